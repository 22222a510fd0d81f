/* The directive `health`. */
#include "gateway/extras.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

static int extras_health_start(const weir__option *option, weir_health_initial *out)
{
    if (strcmp(option->value, "up") == 0)
        *out = WEIR_HEALTH_START_FULLY_UP;
    else if (strcmp(option->value, "down") == 0)
        *out = WEIR_HEALTH_START_DOWN;
    else if (strcmp(option->value, "unknown") != 0)
        return weir__option_fail(option, "expected up, down or unknown");
    return WEIR_OK;
}

static int extras_health_jitter(const weir__option *option, uint32_t *out)
{
    int const result = weir__option_percent(option, out);
    return result == WEIR_OK && *out > 50 ? weir__option_fail(option, "is 50% at most") : result;
}

/* What every kind of check has. */
static int extras_health_any_option(const weir__option *option, weir__health_config *health)
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
        return extras_health_start(option, &health->check.initial);
    if (weir__option_is(option, "jitter"))
        return extras_health_jitter(option, &health->check.jitter_percent);
    return WEIR_ENOTFOUND;
}

static int extras_health_text(const weir__option *option, const char **out)
{
    size_t const size = strlen(option->value);
    *out = option->value;
    return size >= 1 && size <= 255 ? WEIR_OK : weir__option_fail(option, "has 1 to 255 bytes");
}

static int extras_health_statuses(const weir__option *option, const char **out)
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

static int extras_health_http_option(const weir__option *option, void *out)
{
    weir__health_config *const health = out;
    if (weir__option_is(option, "method"))
        return extras_health_text(option, &health->http.method);
    if (weir__option_is(option, "host"))
        return extras_health_text(option, &health->http.host);
    if (weir__option_is(option, "body"))
        return extras_health_text(option, &health->http.body);
    if (weir__option_is(option, "expect"))
        return extras_health_statuses(option, &health->http.expect);
    if (weir__option_is(option, "warn"))
        return extras_health_statuses(option, &health->http.warn);
    return extras_health_any_option(option, health);
}

static int extras_health_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

/* The byte behind a backslash, and how many letters say so; -1 = there is no such escape. */
static int extras_health_escape(const char *text, size_t *letters)
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
    int const high = text[0] == 'x' ? extras_health_digit(text[1]) : -1;
    int const low = high >= 0 ? extras_health_digit(text[2]) : -1;
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
            byte = extras_health_escape(text + i + 1, &letters);
        if (byte < 0 || out->size == sizeof out->data)
            return false;
        out->data[out->size++] = (char)byte;
        i += letters;
    }
    return true;
}

static int extras_health_bytes(const weir__option *option, weir__health_bytes *out)
{
    if (weir__health_unescape(option->value, out) && out->size > 0)
        return WEIR_OK;
    return weir__option_fail(option,
                             "expected 1 to 255 bytes, with \\r \\n \\t \\s \\0 \\\\ and \\xHH");
}

static int extras_health_tcp_option(const weir__option *option, void *out)
{
    weir__health_config *const health = out;
    if (weir__option_is(option, "send"))
        return extras_health_bytes(option, &health->send);
    if (weir__option_is(option, "expect"))
        return extras_health_bytes(option, &health->expect);
    return extras_health_any_option(option, health);
}

static int extras_health_check_times(const weir__directive *directive,
                                     const weir__health_config *health)
{
    if (health->check.timeout_ms > health->check.interval_ms)
        return weir__complain(directive->complaint, "health.timeout",
                              "is longer than the interval");
    return WEIR_OK;
}

int weir__extras_health(weir__directive *directive, weir__extras *extras)
{
    weir__health_config *const health = &extras->health;
    const char *const kind = directive->count > 1 ? directive->words[1] : "";
    if (weir__directive_is_off(directive))
        return WEIR_OK;
    int result = WEIR_OK;
    if (strcmp(kind, "http") == 0 && directive->count > 2 && directive->words[2][0] == '/') {
        health->kind = WEIR__HEALTH_HTTP;
        health->http.target = directive->words[2];
        result = weir__directive_options(directive, 3, extras_health_http_option, health);
    } else if (strcmp(kind, "tcp") == 0) {
        health->kind = WEIR__HEALTH_TCP;
        result = weir__directive_options(directive, 2, extras_health_tcp_option, health);
    } else {
        return weir__complain(directive->complaint, "health",
                              "expected http and a path, tcp, or off");
    }
    return result == WEIR_OK ? extras_health_check_times(directive, health) : result;
}
