/* The directives of a service. */
#include "base/number.h"
#include "gateway/config.h"

#include <stdio.h>
#include <string.h>

#define CONFIG_DAY_NS (UINT64_C(86400) * WEIR__NS_PER_S)

/* "name=value" behind a directive. */
typedef struct config_option {
    const weir__config_line *line;
    const char *name;
    const char *value;
    size_t name_size;
} config_option;

static bool option_is(const config_option *option, const char *name)
{
    return strlen(name) == option->name_size && memcmp(option->name, name, option->name_size) == 0;
}

static int option_fail(const config_option *option, const char *what)
{
    char field[64];
    (void)snprintf(field, sizeof field, "%s.%.*s", option->line->words[0], (int)option->name_size,
                   option->name);
    return weir__gateway_fail(option->line->error, option->line->number, field, "%s", what);
}

static int option_fail_number(const config_option *option, const weir__number_error *wrong)
{
    char what[128];
    (void)snprintf(what, sizeof what, "\"%.60s\": %s at character %zu", option->value, wrong->what,
                   wrong->at + 1);
    return option_fail(option, what);
}

static int option_u32(const config_option *option, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    weir__number_error wrong;
    if (!weir__number_u64(option->value, strlen(option->value), min, max, &value, &wrong))
        return option_fail_number(option, &wrong);
    *out = (uint32_t)value;
    return WEIR_OK;
}

static int option_u64(const config_option *option, uint64_t min, uint64_t max, uint64_t *out)
{
    weir__number_error wrong;
    if (!weir__number_u64(option->value, strlen(option->value), min, max, out, &wrong))
        return option_fail_number(option, &wrong);
    return WEIR_OK;
}

static int option_ns(const config_option *option, uint64_t min_ns, uint64_t *out_ns)
{
    weir__number_error wrong;
    if (!weir__number_duration(option->value, strlen(option->value), min_ns, CONFIG_DAY_NS, out_ns,
                               &wrong))
        return option_fail_number(option, &wrong);
    return WEIR_OK;
}

static int option_ms(const config_option *option, uint32_t *out_ms)
{
    uint64_t ns = 0;
    int const result = option_ns(option, WEIR__NS_PER_MS, &ns);
    if (result == WEIR_OK)
        *out_ms = (uint32_t)(ns / WEIR__NS_PER_MS);
    return result;
}

static int option_percent(const config_option *option, uint32_t *out)
{
    uint32_t milli = 0;
    weir__number_error wrong;
    if (!weir__number_percent(option->value, strlen(option->value), &milli, &wrong))
        return option_fail_number(option, &wrong);
    if (milli % 1000 != 0 || milli == 0)
        return option_fail(option, "expected a whole percentage, 1% to 100%");
    *out = milli / 1000;
    return WEIR_OK;
}

static bool option_repeats(const weir__config_line *line, size_t first, size_t at,
                           const config_option *option)
{
    for (size_t i = first; i < at; i++)
        if (strncmp(line->words[i], option->name, option->name_size) == 0 &&
            strcspn(line->words[i], "=") == option->name_size)
            return true;
    return false;
}

/* Each "name=value" (or bare "name": an empty value) from the given word on, through `take`. */
static int config_each_option(const weir__config_line *line, size_t first,
                              int (*take)(const config_option *option,
                                          weir__service_config *service),
                              weir__service_config *service)
{
    for (size_t i = first; i < line->count; i++) {
        char *const word = line->words[i];
        const char *const equals = strchr(word, '=');
        config_option const option = {
            .line = line,
            .name = word,
            .value = equals != NULL ? equals + 1 : "",
            .name_size = equals != NULL ? (size_t)(equals - word) : strlen(word),
        };
        if (option_repeats(line, first, i, &option))
            return option_fail(&option, "is given twice");
        int const result = take(&option, service);
        if (result == WEIR_ENOTFOUND)
            return option_fail(&option, "there is no such option");
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

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

static int config_balance(weir__config_line *line, weir__service_config *service)
{
    static const char *const names[] = {"round_robin", "smooth_weighted", "random",
                                        "least_request"};
    const char *const word = weir__config_word(line);
    if (word == NULL)
        return WEIR_EINVAL;
    for (int i = WEIR_ROUND_ROBIN; i <= WEIR_LEAST_REQUEST; i++)
        if (strcmp(word, names[i]) == 0) {
            service->algorithm = (weir_balancer_algorithm)i;
            return WEIR_OK;
        }
    return weir__gateway_fail(
        line->error, line->number, "balance",
        "\"%s\": expected round_robin, smooth_weighted, random or least_request", word);
}

static int config_member_option(const config_option *option, weir__service_config *service)
{
    weir_member *const member = &service->members[service->member_count];
    if (option_is(option, "weight"))
        return option_u32(option, 0, 65535, &member->weight);
    if (option_is(option, "priority"))
        return option_u32(option, 0, 1000, &member->priority);
    if (option_is(option, "max_in_flight"))
        return option_u32(option, 0, 16000000, &member->max_in_flight);
    if (!option_is(option, "zone"))
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
    int const result = config_each_option(line, 3, config_member_option, service);
    service->member_count += result == WEIR_OK;
    return result;
}

static int config_limit_option(const config_option *option, weir__service_config *service)
{
    if (option_is(option, "burst"))
        return option_u64(option, 1, UINT32_MAX, &service->limiter.burst);
    if (!option_is(option, "dry_run"))
        return WEIR_ENOTFOUND;
    if (option->value[0] != '\0' || option->name[option->name_size] == '=')
        return option_fail(option, "takes no value: write it, or leave it out");
    service->limiter.dry_run = true;
    return WEIR_OK;
}

static uint64_t config_period_ns(const char *unit)
{
    if (strcmp(unit, "s") == 0)
        return WEIR__NS_PER_S;
    if (strcmp(unit, "m") == 0)
        return 60 * WEIR__NS_PER_S;
    return strcmp(unit, "h") == 0 ? 3600 * WEIR__NS_PER_S : 0;
}

static bool config_is_off(const weir__config_line *line)
{
    return line->count == 2 && strcmp(line->words[1], "off") == 0;
}

static int config_limit(weir__config_line *line, weir__service_config *service)
{
    service->limited = !config_is_off(line);
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
    return config_each_option(line, 2, config_limit_option, service);
}

/* A window of calls, or of time. */
static int config_breaker_window(const config_option *option, weir_breaker_options *breaker)
{
    size_t const size = strlen(option->value);
    if (size > 0 && strspn(option->value, "0123456789") == size) {
        breaker->window = WEIR_BREAKER_COUNT_WINDOW;
        return option_u32(option, 1, 1048576, &breaker->window_calls);
    }
    breaker->window = WEIR_BREAKER_TIME_WINDOW;
    return option_ms(option, &breaker->window_ms);
}

static int config_breaker_option(const config_option *option, weir__service_config *service)
{
    weir_breaker_options *const breaker = &service->breaker;
    if (option_is(option, "failures"))
        return option_percent(option, &breaker->failure_percent);
    if (option_is(option, "slow"))
        return option_percent(option, &breaker->slow_percent);
    if (option_is(option, "slow_after"))
        return option_ms(option, &breaker->slow_ms);
    if (option_is(option, "minimum"))
        return option_u32(option, 1, UINT32_MAX, &breaker->min_calls);
    if (option_is(option, "window"))
        return config_breaker_window(option, breaker);
    if (option_is(option, "consecutive"))
        return option_u32(option, 1, UINT32_MAX, &breaker->consecutive_failures);
    if (option_is(option, "rest"))
        return option_ms(option, &breaker->open_ms);
    if (option_is(option, "rest_max"))
        return option_ms(option, &breaker->open_max_ms);
    if (option_is(option, "probes"))
        return option_u32(option, 1, 1024, &breaker->probe_calls);
    if (option_is(option, "lease"))
        return option_ms(option, &breaker->probe_lease_ms);
    if (option_is(option, "ramp"))
        return option_ms(option, &breaker->ramp_ms);
    return WEIR_ENOTFOUND;
}

static int config_breaker(weir__config_line *line, weir__service_config *service)
{
    weir_breaker_options *const breaker = &service->breaker;
    service->guarded = !config_is_off(line);
    if (!service->guarded)
        return WEIR_OK;
    int const result = config_each_option(line, 1, config_breaker_option, service);
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

static int config_jitter(const config_option *option, weir_jitter *out)
{
    static const char *const names[] = {"none", "full", "equal", "decorrelated"};
    for (int i = WEIR_JITTER_NONE; i <= WEIR_JITTER_DECORRELATED; i++)
        if (strcmp(option->value, names[i]) == 0) {
            *out = (weir_jitter)i;
            return WEIR_OK;
        }
    return option_fail(option, "expected full, equal, decorrelated or none");
}

static int config_retry_option(const config_option *option, weir__service_config *service)
{
    if (option_is(option, "attempts"))
        return option_u32(option, 1, 100, &service->retry.max_attempts);
    if (option_is(option, "base"))
        return option_ns(option, 0, &service->retry.base_ns);
    if (option_is(option, "cap"))
        return option_ns(option, 0, &service->retry.cap_ns);
    if (option_is(option, "jitter"))
        return config_jitter(option, &service->retry.jitter);
    return WEIR_ENOTFOUND;
}

static int config_retry(weir__config_line *line, weir__service_config *service)
{
    service->retried = !config_is_off(line);
    if (!service->retried)
        return WEIR_OK;
    int const result = config_each_option(line, 1, config_retry_option, service);
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
        {"balance", config_balance},
        {"limit", config_limit},
        {"breaker", config_breaker},
        {"retry", config_retry},
        {"timeout", config_service_timeout},
        {"attempt_timeout", config_attempt_timeout},
        {"connect_timeout", config_connect_timeout},
    };
    for (uint32_t i = 0; i < sizeof directives / sizeof directives[0]; i++)
        if (strcmp(line->words[0], directives[i].name) == 0)
            return i > 0 && weir__config_repeats(line, &service->seen, i)
                       ? WEIR_EINVAL
                       : directives[i].read(line, service);
    return WEIR_ENOTFOUND;
}
