/* The directive `health`. */
#include "base/number.h"
#include "gateway/option.h"

#include <stdio.h>
#include <string.h>

static int config_health_start(const weir__config_option *option, weir_health_initial *out)
{
    if (strcmp(option->value, "up") == 0)
        *out = WEIR_HEALTH_START_FULLY_UP;
    else if (strcmp(option->value, "down") == 0)
        *out = WEIR_HEALTH_START_DOWN;
    else if (strcmp(option->value, "unknown") != 0)
        return weir__option_fail(option, "expected up, down or unknown");
    return WEIR_OK;
}

static int config_health_jitter(const weir__config_option *option, uint32_t *out)
{
    int const result = weir__option_percent(option, out);
    return result == WEIR_OK && *out > 50 ? weir__option_fail(option, "is 50% at most") : result;
}

/* What every kind of check has. */
static int config_health_any(const weir__config_option *option, weir__health_config *health)
{
    if (weir__option_is(option, "interval"))
        return weir__option_ms(option, &health->check.interval_ms);
    if (weir__option_is(option, "timeout"))
        return weir__option_ms(option, &health->check.timeout_ms);
    if (weir__option_is(option, "rise"))
        return weir__option_u32(option, 1, 10000, &health->check.rise);
    if (weir__option_is(option, "fall"))
        return weir__option_u32(option, 1, 10000, &health->check.fall);
    if (weir__option_is(option, "fast"))
        return weir__option_ms(option, &health->check.fast_ms);
    if (weir__option_is(option, "down"))
        return weir__option_ms(option, &health->check.down_ms);
    if (weir__option_is(option, "idle"))
        return weir__option_ms(option, &health->check.idle_ms);
    if (weir__option_is(option, "skip"))
        return weir__option_u32(option, 0, 10000, &health->check.traffic_skips);
    if (weir__option_is(option, "port"))
        return weir__option_u32(option, 1, 65535, &health->port);
    if (weir__option_is(option, "start"))
        return config_health_start(option, &health->check.initial);
    if (weir__option_is(option, "jitter"))
        return config_health_jitter(option, &health->check.jitter_percent);
    return WEIR_ENOTFOUND;
}

static int config_health_text(const weir__config_option *option, const char **out)
{
    size_t const size = strlen(option->value);
    *out = option->value;
    return size >= 1 && size <= 255 ? WEIR_OK : weir__option_fail(option, "has 1 to 255 bytes");
}

static int config_health_statuses(const weir__config_option *option, const char **out)
{
    weir__number_range ranges[8];
    weir__number_error wrong;
    char what[128];
    *out = option->value;
    if (weir__number_ranges(option->value, strlen(option->value), 200, 599, ranges, 8, &wrong) > 0)
        return WEIR_OK;
    (void)snprintf(what, sizeof what, "\"%.60s\": %s at character %zu", option->value, wrong.what,
                   wrong.at + 1);
    return weir__option_fail(option, what);
}

static int config_health_http(const weir__config_option *option, weir__service_config *service)
{
    weir__health_config *const health = &service->health;
    if (weir__option_is(option, "method"))
        return config_health_text(option, &health->http.method);
    if (weir__option_is(option, "host"))
        return config_health_text(option, &health->http.host);
    if (weir__option_is(option, "body"))
        return config_health_text(option, &health->http.body);
    if (weir__option_is(option, "expect"))
        return config_health_statuses(option, &health->http.expect);
    if (weir__option_is(option, "warn"))
        return config_health_statuses(option, &health->http.warn);
    return config_health_any(option, health);
}

static int config_health_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

/* The byte behind a backslash, and how many letters say so; -1 = there is no such escape. */
static int config_health_escape(const char *text, size_t *letters)
{
    *letters = 1;
    switch (text[0]) {
    case 'r': return '\r';
    case 'n': return '\n';
    case 't': return '\t';
    case '0': return '\0';
    case 's': return ' ';
    case '\\': return '\\';
    default: break;
    }
    int const high = text[0] == 'x' ? config_health_digit(text[1]) : -1;
    int const low = high >= 0 ? config_health_digit(text[2]) : -1;
    *letters = 3;
    return low >= 0 ? high * 16 + low : -1;
}

bool weir__health_unescape(const char *text, weir__health_bytes *out)
{
    out->size = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        int byte = (unsigned char)text[i];
        size_t letters = 0;
        if (byte == '\\')
            byte = config_health_escape(text + i + 1, &letters);
        if (byte < 0 || out->size == sizeof out->data)
            return false;
        out->data[out->size++] = (char)byte;
        i += letters;
    }
    return true;
}

static int config_health_bytes(const weir__config_option *option, weir__health_bytes *out)
{
    if (weir__health_unescape(option->value, out) && out->size > 0)
        return WEIR_OK;
    return weir__option_fail(option,
                             "expected 1 to 255 bytes, with \\r \\n \\t \\s \\0 \\\\ and \\xHH");
}

static int config_health_tcp(const weir__config_option *option, weir__service_config *service)
{
    weir__health_config *const health = &service->health;
    if (weir__option_is(option, "send"))
        return config_health_bytes(option, &health->send);
    if (weir__option_is(option, "expect"))
        return config_health_bytes(option, &health->expect);
    return config_health_any(option, health);
}

static int config_health_check(const weir__config_line *line, const weir__health_config *health)
{
    if (health->check.timeout_ms > health->check.interval_ms)
        return weir__gateway_fail(line->error, line->number, "health.timeout",
                                  "is longer than the interval");
    return WEIR_OK;
}

int weir__config_health(weir__config_line *line, weir__service_config *service)
{
    weir__health_config *const health = &service->health;
    const char *const kind = line->count > 1 ? line->words[1] : "";
    if (weir__config_is_off(line))
        return WEIR_OK;
    int result = WEIR_OK;
    if (strcmp(kind, "http") == 0 && line->count > 2 && line->words[2][0] == '/') {
        health->kind = WEIR__HEALTH_HTTP;
        health->http.target = line->words[2];
        result = weir__config_each_option(line, 3, config_health_http, service);
    } else if (strcmp(kind, "tcp") == 0) {
        health->kind = WEIR__HEALTH_TCP;
        result = weir__config_each_option(line, 2, config_health_tcp, service);
    } else {
        return weir__gateway_fail(line->error, line->number, "health",
                                  "expected http and a path, tcp, or off");
    }
    return result == WEIR_OK ? config_health_check(line, health) : result;
}
