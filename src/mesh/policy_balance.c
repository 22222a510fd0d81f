/* Directives about who serves: balance, spill, panic, zone, aperture, slow_start, recovery,
 * reports, endpoint. */
#include "mesh/policy.h"

#include <string.h>

static int balance_option(const weir__option *option, void *out)
{
    weir__policy *const policy = out;
    weir_balancer_options *const balancer = &policy->balancer;
    uint32_t bias = 0;
    if (weir__option_is(option, "choices"))
        return weir__option_u32(option, 2, 10, &balancer->choices);
    if (weir__option_is(option, "bias")) {
        int const result = weir__option_u32(option, 0, 10, &bias);
        balancer->bias = bias;
        return result;
    }
    if (weir__option_is(option, "decay"))
        return weir__option_ns(option, 1, &balancer->decay_ns);
    if (weir__option_is(option, "failure_latency"))
        return weir__option_ns(option, 0, &balancer->failure_latency_ns);
    if (weir__option_is(option, "table"))
        return weir__option_u32(option, 2, 5000011, &balancer->table_size);
    if (weir__option_is(option, "ring"))
        return weir__option_u32(option, 1, 8388608, &balancer->ring_min);
    if (weir__option_is(option, "bound"))
        return weir__option_percentage(option, 100, 1000, &balancer->load_factor_percent);
    return WEIR_ENOTFOUND;
}

int weir__policy_balance(weir__directive *directive, weir__policy *policy)
{
    const char *const word = directive->count > 1 ? directive->words[1] : "";
    if (weir_balancer_algorithm_find(word, strlen(word), &policy->balancer.algorithm) != WEIR_OK)
        return weir__complain(directive->complaint, "balance", "\"%s\": no such algorithm", word);
    return weir__directive_options(directive, 2, balance_option, policy);
}

/* "N%" or "off", as the one word behind a directive. */
static int balance_percent(const weir__directive *directive, uint32_t min, uint32_t max,
                           uint32_t off, uint32_t *out)
{
    if (weir__directive_is_off(directive)) {
        *out = off;
        return WEIR_OK;
    }
    if (weir__directive_word(directive) == NULL)
        return WEIR_EINVAL;
    weir__option const option = weir__directive_value(directive, 1);
    return weir__option_percentage(&option, min, max, out);
}

int weir__policy_spill(weir__directive *directive, weir__policy *policy)
{
    return balance_percent(directive, 100, 1000, WEIR_NO_SPILL,
                           &policy->balancer.overprovisioning_percent);
}

int weir__policy_panic(weir__directive *directive, weir__policy *policy)
{
    return balance_percent(directive, 1, 100, 0, &policy->balancer.panic_percent);
}

static int balance_string(const weir__directive *directive, char *out)
{
    const char *const word = weir__directive_word(directive);
    if (word == NULL)
        return WEIR_EINVAL;
    size_t const size = strlen(word);
    if (size >= WEIR__POLICY_STRING)
        return weir__complain(directive->complaint, directive->words[0], "has 255 bytes at most");
    memcpy(out, word, size + 1);
    return WEIR_OK;
}

int weir__policy_zone(weir__directive *directive, weir__policy *policy)
{
    return balance_string(directive, policy->zone);
}

int weir__policy_endpoint(weir__directive *directive, weir__policy *policy)
{
    return balance_string(directive, policy->endpoint);
}

static int balance_number(const weir__directive *directive, uint32_t max, uint32_t *out)
{
    weir__option const option = weir__directive_value(directive, 1);
    return weir__option_u32(&option, 1, max, out);
}

int weir__policy_aperture(weir__directive *directive, weir__policy *policy)
{
    if (weir__directive_word(directive) == NULL)
        return WEIR_EINVAL;
    return balance_number(directive, UINT32_MAX, &policy->balancer.aperture);
}

static int slow_start_option(const weir__option *option, void *out)
{
    weir__policy *const policy = out;
    uint32_t aggression = 1;
    if (weir__option_is(option, "from"))
        return weir__option_percent(option, &policy->balancer.slow_start_percent);
    if (!weir__option_is(option, "aggression"))
        return WEIR_ENOTFOUND;
    int const result = weir__option_u32(option, 1, 10, &aggression);
    policy->balancer.slow_start_aggression = aggression;
    return result;
}

int weir__policy_slow_start(weir__directive *directive, weir__policy *policy)
{
    weir__option const option = weir__directive_value(directive, 1);
    int const result = weir__option_ns(&option, WEIR__NS_PER_MS, &policy->balancer.slow_start_ns);
    return result == WEIR_OK ? weir__directive_options(directive, 2, slow_start_option, policy)
                             : result;
}

static int recovery_option(const weir__option *option, void *out)
{
    weir__policy *const policy = out;
    if (!weir__option_is(option, "hold"))
        return WEIR_ENOTFOUND;
    return weir__option_ns(option, 1, &policy->balancer.recovery_hold_ns);
}

int weir__policy_recovery(weir__directive *directive, weir__policy *policy)
{
    int const result =
        balance_number(directive, UINT32_MAX, &policy->balancer.recovery_min_members);
    return result == WEIR_OK ? weir__directive_options(directive, 2, recovery_option, policy)
                             : result;
}

static int reports_option(const weir__option *option, void *out)
{
    weir__policy *const policy = out;
    weir_balancer_options *const balancer = &policy->balancer;
    uint32_t penalty = 0;
    if (weir__option_is(option, "blackout"))
        return weir__option_ns(option, 0, &balancer->report_blackout_ns);
    if (weir__option_is(option, "expiry"))
        return weir__option_ns(option, 1, &balancer->report_expiry_ns);
    if (weir__option_is(option, "update"))
        return weir__option_ns(option, WEIR__NS_PER_MS, &balancer->report_update_ns);
    if (!weir__option_is(option, "penalty"))
        return WEIR_ENOTFOUND;
    int const result = weir__option_u32(option, 0, 1000, &penalty);
    balancer->report_error_penalty = penalty;
    return result;
}

int weir__policy_reports(weir__directive *directive, weir__policy *policy)
{
    const char *const word = directive->count > 1 ? directive->words[1] : "";
    policy->balancer.reported_weights = strcmp(word, "on") == 0;
    if (!policy->balancer.reported_weights && !weir__directive_is_off(directive))
        return weir__complain(directive->complaint, "reports", "expected on or off");
    return weir__directive_options(directive, 2, reports_option, policy);
}
