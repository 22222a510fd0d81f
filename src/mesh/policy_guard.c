/* Directives about what is let through: limit, breaker, retry. */
#include "mesh/policy.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

static int guard_limit_option(const weir__option *option, void *out)
{
    weir__policy *const policy = out;
    if (weir__option_is(option, "burst"))
        return weir__option_u64(option, 1, UINT32_MAX, &policy->limiter.burst);
    if (weir__option_is(option, "dry_run"))
        return weir__option_bare(option, &policy->limiter.dry_run);
    return WEIR_ENOTFOUND;
}

static uint64_t guard_period_ns(const char *unit)
{
    if (strcmp(unit, "s") == 0)
        return WEIR__NS_PER_S;
    if (strcmp(unit, "m") == 0)
        return 60 * WEIR__NS_PER_S;
    return strcmp(unit, "h") == 0 ? 3600 * WEIR__NS_PER_S : 0;
}

int weir__policy_limit(weir__directive *directive, weir__policy *policy)
{
    policy->limited = !weir__directive_is_off(directive);
    if (!policy->limited)
        return WEIR_OK;
    const char *const word = directive->count > 1 ? directive->words[1] : "";
    const char *const slash = strchr(word, '/');
    uint64_t const period_ns = slash != NULL ? guard_period_ns(slash + 1) : 0;
    weir__number_error wrong;
    if (period_ns == 0)
        return weir__complain(directive->complaint, "limit",
                              "\"%s\": expected COUNT/s, COUNT/m, COUNT/h or off", word);
    if (!weir__number_u64(word, (size_t)(slash - word), 1, 1000000000, &policy->limiter.limit,
                          &wrong))
        return weir__complain(directive->complaint, "limit", "\"%s\": %s at character %zu", word,
                              wrong.what, wrong.at + 1);
    policy->limiter.period_ns = period_ns;
    return weir__directive_options(directive, 2, guard_limit_option, policy);
}

/* A window of calls, or of time. */
static int guard_breaker_window(const weir__option *option, weir_breaker_options *breaker)
{
    size_t const size = strlen(option->value);
    if (size > 0 && strspn(option->value, "0123456789") == size) {
        breaker->window = WEIR_BREAKER_COUNT_WINDOW;
        return weir__option_u32(option, 1, 1048576, &breaker->window_calls);
    }
    breaker->window = WEIR_BREAKER_TIME_WINDOW;
    return weir__option_ms(option, &breaker->window_ms);
}

static int guard_breaker_option(const weir__option *option, void *out)
{
    weir_breaker_options *const breaker = &((weir__policy *)out)->breaker;
    if (weir__option_is(option, "failures"))
        return weir__option_percent(option, &breaker->failure_percent);
    if (weir__option_is(option, "slow"))
        return weir__option_percent(option, &breaker->slow_percent);
    if (weir__option_is(option, "slow_after"))
        return weir__option_ms(option, &breaker->slow_ms);
    if (weir__option_is(option, "minimum"))
        return weir__option_u32(option, 1, UINT32_MAX, &breaker->min_calls);
    if (weir__option_is(option, "window"))
        return guard_breaker_window(option, breaker);
    if (weir__option_is(option, "consecutive"))
        return weir__option_u32(option, 1, UINT32_MAX, &breaker->consecutive_failures);
    if (weir__option_is(option, "rest"))
        return weir__option_ms(option, &breaker->open_ms);
    if (weir__option_is(option, "rest_max"))
        return weir__option_ms(option, &breaker->open_max_ms);
    if (weir__option_is(option, "probes"))
        return weir__option_u32(option, 1, 1024, &breaker->probe_calls);
    if (weir__option_is(option, "lease"))
        return weir__option_ms(option, &breaker->probe_lease_ms);
    if (weir__option_is(option, "ramp"))
        return weir__option_ms(option, &breaker->ramp_ms);
    return WEIR_ENOTFOUND;
}

int weir__policy_breaker(weir__directive *directive, weir__policy *policy)
{
    weir_breaker_options *const breaker = &policy->breaker;
    policy->guarded = !weir__directive_is_off(directive);
    if (!policy->guarded)
        return WEIR_OK;
    int const result = weir__directive_options(directive, 1, guard_breaker_option, policy);
    if (result != WEIR_OK)
        return result;
    if (breaker->window == WEIR_BREAKER_COUNT_WINDOW && breaker->min_calls > breaker->window_calls)
        return weir__complain(directive->complaint, "breaker.minimum",
                              "%u calls do not fit a window of %u", breaker->min_calls,
                              breaker->window_calls);
    if (breaker->window == WEIR_BREAKER_TIME_WINDOW && breaker->window_ms < breaker->window_buckets)
        return weir__complain(directive->complaint, "breaker.window", "a window has 10ms at least");
    if (breaker->open_max_ms < breaker->open_ms)
        return weir__complain(directive->complaint, "breaker.rest_max", "is shorter than rest");
    return WEIR_OK;
}

static int guard_jitter(const weir__option *option, weir_jitter *out)
{
    static const char *const names[] = {"none", "full", "equal", "decorrelated"};
    for (int i = WEIR_JITTER_NONE; i <= WEIR_JITTER_DECORRELATED; i++)
        if (strcmp(option->value, names[i]) == 0) {
            *out = (weir_jitter)i;
            return WEIR_OK;
        }
    return weir__option_fail(option, "expected full, equal, decorrelated or none");
}

static int guard_retry_option(const weir__option *option, void *out)
{
    weir__policy *const policy = out;
    if (weir__option_is(option, "attempts"))
        return weir__option_u32(option, 1, 100, &policy->retry.max_attempts);
    if (weir__option_is(option, "base"))
        return weir__option_ns(option, 0, &policy->retry.base_ns);
    if (weir__option_is(option, "cap"))
        return weir__option_ns(option, 0, &policy->retry.cap_ns);
    if (weir__option_is(option, "jitter"))
        return guard_jitter(option, &policy->retry.jitter);
    return WEIR_ENOTFOUND;
}

int weir__policy_retry(weir__directive *directive, weir__policy *policy)
{
    policy->retried = !weir__directive_is_off(directive);
    if (!policy->retried)
        return WEIR_OK;
    int const result = weir__directive_options(directive, 1, guard_retry_option, policy);
    if (result == WEIR_OK && policy->retry.cap_ns < policy->retry.base_ns)
        return weir__complain(directive->complaint, "retry.cap", "is shorter than base");
    return result;
}
