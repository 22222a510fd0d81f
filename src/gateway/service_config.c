/* The directives of a service. */
#include "base/number.h"
#include "gateway/option.h"

#include <stdio.h>
#include <string.h>

static int config_route(weir__config_line *line, weir__service_config *service)
{
    service->route = weir__config_word(line);
    if (service->route == NULL)
        return WEIR_EINVAL;
    size_t const size = strlen(service->route);
    if (service->route[0] != '/' || strpbrk(service->route, "?#") != NULL)
        return weir__gateway_fail(line->error, line->number, "route",
                                  "\"%s\": expected a path that begins with /", service->route);
    if (size > 1 && service->route[size - 1] == '/')
        return weir__gateway_fail(line->error, line->number, "route", "\"%s\" must not end with /",
                                  service->route);
    return WEIR_OK;
}

static int config_member_option(const weir__config_option *option, weir__service_config *service)
{
    weir_member *const member = &service->members[service->member_count];
    if (weir__option_is(option, "weight"))
        return weir__option_u32(option, 0, 65535, &member->weight);
    if (weir__option_is(option, "priority"))
        return weir__option_u32(option, 0, 1000, &member->priority);
    if (weir__option_is(option, "max_in_flight"))
        return weir__option_u32(option, 0, 16000000, &member->max_in_flight);
    if (!weir__option_is(option, "zone"))
        return WEIR_ENOTFOUND;
    member->zone = option->value;
    return WEIR_OK;
}

static int config_reserve_member(const weir_env *env, weir__service_config *service)
{
    if (service->member_count < service->member_capacity)
        return WEIR_OK;
    size_t const capacity = service->member_capacity * 2 + 8;
    weir_member *const members =
        weir__resize(env, service->members, service->member_capacity * sizeof *members,
                     capacity * sizeof *members);
    if (members == NULL)
        return WEIR_ENOMEM;
    service->members = members;
    service->member_capacity = capacity;
    return WEIR_OK;
}

static int config_member(weir__config_line *line, weir__service_config *service)
{
    if (line->count < 3)
        return weir__gateway_fail(line->error, line->number, "member",
                                  "expected an id and an address");
    for (size_t i = 0; i < service->member_count; i++)
        if (strcmp(service->members[i].id, line->words[1]) == 0)
            return weir__gateway_fail(line->error, line->number, "member",
                                      "\"%s\" is there already", line->words[1]);
    if (weir__config_address(line, "member", line->words[2], 1))
        return WEIR_EINVAL;
    if (config_reserve_member(&line->config->env, service))
        return WEIR_ENOMEM;
    weir_member *const member = &service->members[service->member_count];
    *member = (weir_member)WEIR_MEMBER_INIT;
    member->id = line->words[1];
    member->address = line->words[2];
    /* Where it is likely to be found, never followed: NOLINTNEXTLINE(performance-no-int-to-ptr) */
    member->user = (void *)(uintptr_t)service->member_count;
    int const result = weir__config_each_option(line, 3, config_member_option, service);
    service->member_count += result == WEIR_OK;
    return result;
}

static int config_limit_option(const weir__config_option *option, weir__service_config *service)
{
    if (weir__option_is(option, "burst"))
        return weir__option_u64(option, 1, UINT32_MAX, &service->limiter.burst);
    if (weir__option_is(option, "dry_run"))
        return weir__option_bare(option, &service->limiter.dry_run);
    return WEIR_ENOTFOUND;
}

static uint64_t config_period_ns(const char *unit)
{
    if (strcmp(unit, "s") == 0)
        return WEIR__NS_PER_S;
    if (strcmp(unit, "m") == 0)
        return 60 * WEIR__NS_PER_S;
    return strcmp(unit, "h") == 0 ? 3600 * WEIR__NS_PER_S : 0;
}

static int config_limit(weir__config_line *line, weir__service_config *service)
{
    service->limited = !weir__config_is_off(line);
    if (!service->limited)
        return WEIR_OK;
    const char *const word = line->count > 1 ? line->words[1] : "";
    const char *const slash = strchr(word, '/');
    uint64_t const period_ns = slash != NULL ? config_period_ns(slash + 1) : 0;
    weir__number_error wrong;
    if (period_ns == 0)
        return weir__gateway_fail(line->error, line->number, "limit",
                                  "\"%s\": expected COUNT/s, COUNT/m, COUNT/h or off", word);
    if (!weir__number_u64(word, (size_t)(slash - word), 1, 1000000000, &service->limiter.limit,
                          &wrong))
        return weir__gateway_fail(line->error, line->number, "limit", "\"%s\": %s at character %zu",
                                  word, wrong.what, wrong.at + 1);
    service->limiter.period_ns = period_ns;
    return weir__config_each_option(line, 2, config_limit_option, service);
}

/* A window of calls, or of time. */
static int config_breaker_window(const weir__config_option *option, weir_breaker_options *breaker)
{
    size_t const size = strlen(option->value);
    if (size > 0 && strspn(option->value, "0123456789") == size) {
        breaker->window = WEIR_BREAKER_COUNT_WINDOW;
        return weir__option_u32(option, 1, 1048576, &breaker->window_calls);
    }
    breaker->window = WEIR_BREAKER_TIME_WINDOW;
    return weir__option_ms(option, &breaker->window_ms);
}

static int config_breaker_option(const weir__config_option *option, weir__service_config *service)
{
    weir_breaker_options *const breaker = &service->breaker;
    if (weir__option_is(option, "failures"))
        return weir__option_percent(option, &breaker->failure_percent);
    if (weir__option_is(option, "slow"))
        return weir__option_percent(option, &breaker->slow_percent);
    if (weir__option_is(option, "slow_after"))
        return weir__option_ms(option, &breaker->slow_ms);
    if (weir__option_is(option, "minimum"))
        return weir__option_u32(option, 1, UINT32_MAX, &breaker->min_calls);
    if (weir__option_is(option, "window"))
        return config_breaker_window(option, breaker);
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

static int config_breaker(weir__config_line *line, weir__service_config *service)
{
    weir_breaker_options *const breaker = &service->breaker;
    service->guarded = !weir__config_is_off(line);
    if (!service->guarded)
        return WEIR_OK;
    int const result = weir__config_each_option(line, 1, config_breaker_option, service);
    if (result != WEIR_OK)
        return result;
    if (breaker->window == WEIR_BREAKER_COUNT_WINDOW && breaker->min_calls > breaker->window_calls)
        return weir__gateway_fail(line->error, line->number, "breaker.minimum",
                                  "%u calls do not fit a window of %u", breaker->min_calls,
                                  breaker->window_calls);
    if (breaker->window == WEIR_BREAKER_TIME_WINDOW && breaker->window_ms < breaker->window_buckets)
        return weir__gateway_fail(line->error, line->number, "breaker.window",
                                  "a window has 10ms at least");
    if (breaker->open_max_ms < breaker->open_ms)
        return weir__gateway_fail(line->error, line->number, "breaker.rest_max",
                                  "is shorter than rest");
    return WEIR_OK;
}

static int config_jitter(const weir__config_option *option, weir_jitter *out)
{
    static const char *const names[] = {"none", "full", "equal", "decorrelated"};
    for (int i = WEIR_JITTER_NONE; i <= WEIR_JITTER_DECORRELATED; i++)
        if (strcmp(option->value, names[i]) == 0) {
            *out = (weir_jitter)i;
            return WEIR_OK;
        }
    return weir__option_fail(option, "expected full, equal, decorrelated or none");
}

static int config_retry_option(const weir__config_option *option, weir__service_config *service)
{
    if (weir__option_is(option, "attempts"))
        return weir__option_u32(option, 1, 100, &service->retry.max_attempts);
    if (weir__option_is(option, "base"))
        return weir__option_ns(option, 0, &service->retry.base_ns);
    if (weir__option_is(option, "cap"))
        return weir__option_ns(option, 0, &service->retry.cap_ns);
    if (weir__option_is(option, "jitter"))
        return config_jitter(option, &service->retry.jitter);
    return WEIR_ENOTFOUND;
}

static int config_retry(weir__config_line *line, weir__service_config *service)
{
    service->retried = !weir__config_is_off(line);
    if (!service->retried)
        return WEIR_OK;
    int const result = weir__config_each_option(line, 1, config_retry_option, service);
    if (result == WEIR_OK && service->retry.cap_ns < service->retry.base_ns)
        return weir__gateway_fail(line->error, line->number, "retry.cap", "is shorter than base");
    return result;
}

static int config_timeout(weir__config_line *line, uint64_t *out_ns)
{
    uint32_t ms = 0;
    int const result = weir__config_ms(line, &ms);
    if (result == WEIR_OK)
        *out_ns = ms * WEIR__NS_PER_MS;
    return result;
}

static int config_service_timeout(weir__config_line *line, weir__service_config *service)
{
    return config_timeout(line, &service->timeout_ns);
}

static int config_attempt_timeout(weir__config_line *line, weir__service_config *service)
{
    return config_timeout(line, &service->attempt_timeout_ns);
}

static int config_connect_timeout(weir__config_line *line, weir__service_config *service)
{
    return weir__config_ms(line, &service->connect_ms);
}

int weir__config_service_line(weir__config_line *line, weir__service_config *service)
{
    static const struct {
        const char *name;
        int (*read)(weir__config_line *line, weir__service_config *service);
    } directives[] = {
        {"member", config_member}, /* The one that may come again. */
        {"route", config_route},
        {"balance", weir__config_balance},
        {"hash", weir__config_hash},
        {"sticky", weir__config_sticky},
        {"spill", weir__config_spill},
        {"panic", weir__config_panic},
        {"zone", weir__config_zone},
        {"aperture", weir__config_aperture},
        {"slow_start", weir__config_slow_start},
        {"recovery", weir__config_recovery},
        {"reports", weir__config_reports},
        {"outlier", weir__config_outlier},
        {"limit", config_limit},
        {"breaker", config_breaker},
        {"retry", config_retry},
        {"timeout", config_service_timeout},
        {"attempt_timeout", config_attempt_timeout},
        {"connect_timeout", config_connect_timeout},
        {"health", weir__config_health},
    };
    for (uint32_t i = 0; i < sizeof directives / sizeof directives[0]; i++)
        if (strcmp(line->words[0], directives[i].name) == 0)
            return i > 0 && weir__config_repeats(line, &service->seen, i)
                       ? WEIR_EINVAL
                       : directives[i].read(line, service);
    return WEIR_ENOTFOUND;
}
