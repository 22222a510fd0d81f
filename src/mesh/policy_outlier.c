/* The directive outlier. */
#include "mesh/policy.h"

static int outlier_rate_option(const weir__option *option, weir_outlier_options *outlier)
{
    if (weir__option_is(option, "deviation"))
        return weir__option_u32(option, 0, 100000, &outlier->success_rate_factor);
    if (weir__option_is(option, "deviation_hosts"))
        return weir__option_u32(option, 2, UINT32_MAX, &outlier->success_rate_min_hosts);
    if (weir__option_is(option, "deviation_calls"))
        return weir__option_u32(option, 1, UINT32_MAX, &outlier->success_rate_min_calls);
    if (weir__option_is(option, "failures"))
        return weir__option_percent(option, &outlier->failure_percent);
    if (weir__option_is(option, "failures_hosts"))
        return weir__option_u32(option, 1, UINT32_MAX, &outlier->failure_percent_min_hosts);
    if (weir__option_is(option, "failures_calls"))
        return weir__option_u32(option, 1, UINT32_MAX, &outlier->failure_percent_min_calls);
    if (weir__option_is(option, "slow"))
        return weir__option_percentage(option, 101, 100000, &outlier->latency_percent);
    if (weir__option_is(option, "slow_floor"))
        return weir__option_ms(option, &outlier->latency_floor_ms);
    if (weir__option_is(option, "slow_hosts"))
        return weir__option_u32(option, 2, UINT32_MAX, &outlier->latency_min_hosts);
    if (weir__option_is(option, "slow_calls"))
        return weir__option_u32(option, 1, UINT32_MAX, &outlier->latency_min_calls);
    return WEIR_ENOTFOUND;
}

static int outlier_local_option(const weir__option *option, weir_outlier_options *outlier)
{
    outlier->split_local = true;
    return weir__option_u32(option, 0, UINT32_MAX, &outlier->consecutive_local);
}

static int outlier_option(const weir__option *option, void *out)
{
    weir_outlier_options *const outlier = &((weir__policy *)out)->outlier;
    if (weir__option_is(option, "consecutive"))
        return weir__option_u32(option, 0, UINT32_MAX, &outlier->consecutive_failures);
    if (weir__option_is(option, "gateway"))
        return weir__option_u32(option, 0, UINT32_MAX, &outlier->consecutive_gateway);
    if (weir__option_is(option, "local"))
        return outlier_local_option(option, outlier);
    if (weir__option_is(option, "interval"))
        return weir__option_ms(option, &outlier->interval_ms);
    if (weir__option_is(option, "base"))
        return weir__option_ms(option, &outlier->base_ms);
    if (weir__option_is(option, "max"))
        return weir__option_ms(option, &outlier->max_ms);
    if (weir__option_is(option, "jitter"))
        return weir__option_ms(option, &outlier->jitter_ms);
    if (weir__option_is(option, "share"))
        return weir__option_percent(option, &outlier->max_ejected_percent);
    if (weir__option_is(option, "dry_run"))
        return weir__option_bare(option, &outlier->dry_run);
    return outlier_rate_option(option, outlier);
}

int weir__policy_outlier(weir__directive *directive, weir__policy *policy)
{
    policy->watched = !weir__directive_is_off(directive);
    if (!policy->watched)
        return WEIR_OK;
    int const result = weir__directive_options(directive, 1, outlier_option, policy);
    if (result == WEIR_OK && policy->outlier.max_ms < policy->outlier.base_ms)
        return weir__complain(directive->complaint, "outlier.max", "is shorter than base");
    return result;
}
