/* Directives about who serves: balance, hash, sticky, spill, panic, zone, aperture, slow_start,
 * recovery, reports. */
#include "base/number.h"
#include "gateway/option.h"

#include <string.h>

#define BALANCE_MAX_NAME 64 /* Of a header or cookie. */

static int balance_option(const weir__config_option *option, weir__service_config *service)
{
    weir_balancer_options *const balancer = &service->balancer;
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

int weir__config_balance(weir__config_line *line, weir__service_config *service)
{
    const char *const word = line->count > 1 ? line->words[1] : "";
    if (weir_balancer_algorithm_find(word, strlen(word), &service->balancer.algorithm) != WEIR_OK)
        return weir__gateway_fail(line->error, line->number, "balance", "\"%s\": no such algorithm",
                                  word);
    return weir__config_each_option(line, 2, balance_option, service);
}

/* RFC 9110, 5.6.2: what names of headers and cookies are made of. */
static bool balance_is_token(const char *text)
{
    static const char special[] = "!#$%&'*+-.^_`|~";
    for (const char *c = text; *c != '\0'; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            strchr(special, *c) == NULL)
            return false;
    return text[0] != '\0' && strlen(text) <= BALANCE_MAX_NAME;
}

static int balance_named(const weir__config_line *line, weir__key_source source,
                         weir__key_config *key)
{
    if (line->count != 3 || !balance_is_token(line->words[2]))
        return weir__gateway_fail(line->error, line->number, line->words[0],
                                  "expected the name of a %s behind \"%s\"", line->words[1],
                                  line->words[1]);
    *key = (weir__key_config){.source = source, .name = line->words[2]};
    return WEIR_OK;
}

int weir__config_hash(weir__config_line *line, weir__service_config *service)
{
    const char *const word = line->count > 1 ? line->words[1] : "";
    if (strcmp(word, "header") == 0)
        return balance_named(line, WEIR__KEY_HEADER, &service->key);
    if (strcmp(word, "cookie") == 0)
        return balance_named(line, WEIR__KEY_COOKIE, &service->key);
    bool const source = strcmp(word, "source") == 0;
    if (line->count != 2 || (!source && strcmp(word, "path") != 0))
        return weir__gateway_fail(line->error, line->number, "hash",
                                  "expected header NAME, cookie NAME, source or path");
    service->key.source = source ? WEIR__KEY_ADDRESS : WEIR__KEY_PATH;
    return WEIR_OK;
}

int weir__config_sticky(weir__config_line *line, weir__service_config *service)
{
    const char *const word = line->count > 1 ? line->words[1] : "";
    if (strcmp(word, "header") == 0)
        return balance_named(line, WEIR__KEY_HEADER, &service->sticky);
    if (strcmp(word, "cookie") == 0)
        return balance_named(line, WEIR__KEY_COOKIE, &service->sticky);
    return weir__gateway_fail(line->error, line->number, "sticky",
                              "expected cookie NAME or header NAME");
}

/* "N%" or "off", as the one word behind a directive. */
static int balance_percent(const weir__config_line *line, uint32_t min, uint32_t max, uint32_t off,
                           uint32_t *out)
{
    if (weir__config_is_off(line)) {
        *out = off;
        return WEIR_OK;
    }
    char *const word = weir__config_word(line);
    if (word == NULL)
        return WEIR_EINVAL;
    weir__config_option const option = {.line = line,
                                        .name = line->words[0],
                                        .value = word,
                                        .name_size = 0};
    return weir__option_percentage(&option, min, max, out);
}

int weir__config_spill(weir__config_line *line, weir__service_config *service)
{
    return balance_percent(line, 100, 1000, WEIR_NO_SPILL,
                           &service->balancer.overprovisioning_percent);
}

int weir__config_panic(weir__config_line *line, weir__service_config *service)
{
    return balance_percent(line, 1, 100, 0, &service->balancer.panic_percent);
}

int weir__config_zone(weir__config_line *line, weir__service_config *service)
{
    service->balancer.zone = weir__config_word(line);
    return service->balancer.zone != NULL ? WEIR_OK : WEIR_EINVAL;
}

static int balance_number(const weir__config_line *line, uint32_t max, uint32_t *out)
{
    weir__config_option const option = {.line = line,
                                        .name = line->words[0],
                                        .value = line->count > 1 ? line->words[1] : "",
                                        .name_size = 0};
    return weir__option_u32(&option, 1, max, out);
}

int weir__config_aperture(weir__config_line *line, weir__service_config *service)
{
    if (weir__config_word(line) == NULL)
        return WEIR_EINVAL;
    return balance_number(line, UINT32_MAX, &service->balancer.aperture);
}

static int slow_start_option(const weir__config_option *option, weir__service_config *service)
{
    uint32_t aggression = 1;
    if (weir__option_is(option, "from"))
        return weir__option_percent(option, &service->balancer.slow_start_percent);
    if (!weir__option_is(option, "aggression"))
        return WEIR_ENOTFOUND;
    int const result = weir__option_u32(option, 1, 10, &aggression);
    service->balancer.slow_start_aggression = aggression;
    return result;
}

int weir__config_slow_start(weir__config_line *line, weir__service_config *service)
{
    weir__config_option const option = {.line = line,
                                        .name = line->words[0],
                                        .value = line->count > 1 ? line->words[1] : "",
                                        .name_size = 0};
    int const result = weir__option_ns(&option, WEIR__NS_PER_MS, &service->balancer.slow_start_ns);
    return result == WEIR_OK ? weir__config_each_option(line, 2, slow_start_option, service)
                             : result;
}

static int recovery_option(const weir__config_option *option, weir__service_config *service)
{
    if (!weir__option_is(option, "hold"))
        return WEIR_ENOTFOUND;
    return weir__option_ns(option, 1, &service->balancer.recovery_hold_ns);
}

int weir__config_recovery(weir__config_line *line, weir__service_config *service)
{
    int const result = balance_number(line, UINT32_MAX, &service->balancer.recovery_min_members);
    return result == WEIR_OK ? weir__config_each_option(line, 2, recovery_option, service) : result;
}

static int reports_option(const weir__config_option *option, weir__service_config *service)
{
    weir_balancer_options *const balancer = &service->balancer;
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

int weir__config_reports(weir__config_line *line, weir__service_config *service)
{
    const char *const word = line->count > 1 ? line->words[1] : "";
    service->balancer.reported_weights = strcmp(word, "on") == 0;
    if (!service->balancer.reported_weights && !weir__config_is_off(line))
        return weir__gateway_fail(line->error, line->number, "reports", "expected on or off");
    return weir__config_each_option(line, 2, reports_option, service);
}
