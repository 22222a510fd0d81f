#include "gateway/orca.h"

#include <string.h>

#define ORCA_MOST_DIGITS 15 /* So that a double holds them. */

static bool orca_skip(weir_http_slice *text, const char *word)
{
    size_t const size = strlen(word);
    if (text->size < size || memcmp(text->data, word, size) != 0)
        return false;
    text->data += size;
    text->size -= size;
    return true;
}

static void orca_skip_blanks(weir_http_slice *text)
{
    while (orca_skip(text, " ") || orca_skip(text, "\t")) {
    }
}

/* <digits>[.<digits>] */
static bool orca_number(weir_http_slice *text, double *value)
{
    double unit = 1;
    size_t digits = 0;
    bool fraction = false;
    *value = 0;
    for (; text->size > 0; text->data++, text->size--) {
        char const c = text->data[0];
        if (c == '.' && !fraction && digits > 0) {
            fraction = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (++digits > ORCA_MOST_DIGITS)
            return false;
        *value = *value * 10 + (c - '0');
        unit *= fraction ? 10 : 1;
    }
    *value /= unit;
    return digits > 0;
}

/* Where a figure of that name goes; `other` for those that do not matter. */
static double *orca_field(weir_http_slice name, weir_load_report *report, double *cpu,
                          double *other)
{
    if (weir_http_equals(name, "application_utilization"))
        return &report->utilization;
    if (weir_http_equals(name, "cpu_utilization"))
        return cpu;
    if (weir_http_equals(name, "rps_fractional"))
        return &report->calls_per_s;
    return weir_http_equals(name, "eps") ? &report->errors_per_s : other;
}

bool weir__orca_parse(weir_http_slice text, weir_load_report *report)
{
    double cpu = 0, other = 0;
    *report = (weir_load_report){.utilization = 0};
    if (!orca_skip(&text, "TEXT "))
        return false;
    do {
        orca_skip_blanks(&text);
        const char *const equals = text.size > 0 ? memchr(text.data, '=', text.size) : NULL;
        if (equals == NULL)
            return false;
        weir_http_slice const name = {text.data, (size_t)(equals - text.data)};
        text.size -= name.size + 1;
        text.data += name.size + 1;
        if (!orca_number(&text, orca_field(name, report, &cpu, &other)))
            return false;
        orca_skip_blanks(&text);
    } while (orca_skip(&text, ","));
    if (report->utilization <= 0)
        report->utilization = cpu;
    return text.size == 0;
}
