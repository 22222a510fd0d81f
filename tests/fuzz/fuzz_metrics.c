/* Names, units, help and labels of any bytes: what is accepted is written in lines that can be
 * read, and help and label value come back as they were. Lines of the input: kind and exponent of
 * a value, name, unit, help, key, label value. */
#include "support/fuzz.h"

#include <weir/metrics.h>

#include <string.h>

#define ROOM  (1 << 21) /* Some 170 lines with a label of 8 KiB. */
#define PARTS 6

static char page[ROOM];

static void keep(const void *data, size_t size, void *user)
{
    (void)user;
    FUZZ_CHECK(size < ROOM);
    memcpy(page, data, size);
    page[size] = '\0';
}

static int plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
}

/* A name, which begins with no digit. */
static const char *skip_name(const char *at)
{
    FUZZ_CHECK(plain(*at) && !(*at >= '0' && *at <= '9'));
    while (plain(*at))
        at++;
    return at;
}

/* Up to `end`, without its escapes, it is `text`. */
static const char *skip_escaped(const char *at, char end, const char *text)
{
    for (; *at != end; at++, text++) {
        char c = *at;
        FUZZ_CHECK(c != '\n' && c != '\0');
        if (c == '\\') {
            c = *++at;
            FUZZ_CHECK(c == '\\' || c == '"' || c == 'n');
            c = c == 'n' ? '\n' : c;
        }
        FUZZ_CHECK(c == *text);
    }
    FUZZ_CHECK(*text == '\0');
    return at;
}

static const char *skip_number(const char *at)
{
    char *end;
    (void)strtod(at, &end);
    FUZZ_CHECK(end != at);
    return end;
}

static const char *skip_sample(const char *at, const char *value)
{
    at = skip_name(at);
    FUZZ_CHECK(*at == '{');
    at = skip_name(at + 1);
    FUZZ_CHECK(at[0] == '=' && at[1] == '"');
    at = skip_escaped(at + 2, '"', value) + 1;
    if (*at == ',') { /* le or quantile. */
        at = skip_name(at + 1);
        FUZZ_CHECK(at[0] == '=' && at[1] == '"');
        at = skip_number(at + 2);
        FUZZ_CHECK(*at == '"');
        at++;
    }
    FUZZ_CHECK(at[0] == '}' && at[1] == ' ');
    return skip_number(at + 2);
}

static void check_page(const char *help, const char *value)
{
    for (const char *at = page; *at != '\0'; at++) {
        if (strncmp(at, "# EOF", 5) == 0) {
            FUZZ_CHECK(at[6] == '\0');
            at += 5;
        } else if (strncmp(at, "# HELP ", 7) == 0) {
            at = skip_name(at + 7);
            at = skip_escaped(at + 1, '\n', help);
        } else if (at[0] == '#') {
            at = skip_name(at + 7) + 1;
            while (plain(*at)) /* A unit may begin with a digit. */
                at++;
        } else {
            at = skip_sample(at, value);
        }
        FUZZ_CHECK(*at == '\n');
    }
}

static void count(weir_metrics_series *series, int scale)
{
    double value = 1;
    for (; scale > 0; scale--)
        value *= 2;
    for (; scale < 0; scale++)
        value /= 2;
    weir_metrics_add(series, scale < 0 ? 1 : 5);
    weir_metrics_set(series, value);
    weir_metrics_record(series, value);
    weir_metrics_record(series, value * 1.25);
}

/* Lines, each with a NUL for its end. */
static void split(const uint8_t *data, size_t size, char *text, const char **parts)
{
    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t i = 0; i < PARTS; i++) {
        char *const end = strchr(text, '\n');
        parts[i] = text;
        text = end != NULL && i + 1 < PARTS ? end + 1 : text + strlen(text);
        if (end != NULL && i + 1 < PARTS)
            *end = '\0';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[4096];
    const char *parts[PARTS];
    weir_metrics *metrics;
    weir_metrics_family *family;
    weir_metrics_series *series;
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    split(data, size < sizeof text ? size : sizeof text - 1, text, parts);
    FUZZ_CHECK(weir_metrics_create(&metrics, NULL) == WEIR_OK);
    options.kind = (weir_metrics_kind)((unsigned char)parts[0][0] % 6);
    options.name = parts[1];
    options.unit = parts[2];
    options.help = parts[3];
    options.labels = &parts[4];
    options.label_count = 1;
    if (weir_metrics_family_create(&family, metrics, &options) == WEIR_OK) {
        (void)skip_name(weir_metrics_family_prometheus_name(family));
        if (weir_metrics_series_get(&series, family, &parts[5]) == WEIR_OK)
            count(series, parts[0][0] != '\0' ? (signed char)parts[0][1] * 8 : 0);
        page[0] = '\0';
        FUZZ_CHECK(weir_metrics_prometheus(metrics, keep, NULL) == WEIR_OK);
        check_page(parts[3], parts[5]);
        FUZZ_CHECK(weir_metrics_openmetrics(metrics, keep, NULL) == WEIR_OK);
        check_page(parts[3], parts[5]);
    }
    weir_metrics_destroy(metrics);
    return 0;
}
