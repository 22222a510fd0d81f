/* The directive outlier. */
#include "gateway/option.h"

static int outlier_rate_option(const weir__config_option *option, weir_outlier_options *outlier)
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

static int outlier_local_option(const weir__config_option *option, weir_outlier_options *outlier)
{
    outlier->split_local = true;
    return weir__option_u32(option, 0, UINT32_MAX, &outlier->consecutive_local);
}

static int outlier_option(const weir__config_option *option, weir__service_config *service)
{
    weir_outlier_options *const outlier = &service->outlier;
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

int weir__config_outlier(weir__config_line *line, weir__service_config *service)
{
    service->watched = !weir__config_is_off(line);
    if (!service->watched)
        return WEIR_OK;
    int const result = weir__config_each_option(line, 1, outlier_option, service);
    if (result == WEIR_OK && service->outlier.max_ms < service->outlier.base_ms)
        return weir__gateway_fail(line->error, line->number, "outlier.max", "is shorter than base");
    return result;
}
