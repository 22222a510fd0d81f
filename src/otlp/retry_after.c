/* Retry-After (RFC 9110, 10.2.3), and the three forms that a date may have. */
#include "otlp/otlp.h"

#include "base/number.h"

#include <string.h>

typedef struct date_parts {
    unsigned year, month, day; /* The month from 0 on. */
    uint64_t seconds;          /* Of the day. */
} date_parts;

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static uint64_t date_days(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool const leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    unsigned const past = year - 1;
    uint64_t const days = past * UINT64_C(365) + past / 4 - past / 100 + past / 400;
    return days - 719162 + before[month] + (month > 1 && leap ? 1 : 0) + day - 1;
}

static bool date_digits(const char **at, size_t count, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (unsigned)(**at - '0');
    }
    return true;
}

static bool date_literal(const char **at, const char *text)
{
    size_t const size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

static bool date_month(const char **at, unsigned *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (*month = 0; *month < 12; ++*month)
        if (strncmp(*at, names + (size_t)*month * 3, 3) == 0) {
            *at += 3;
            return true;
        }
    return false;
}

static bool date_clock(const char **at, uint64_t *seconds)
{
    unsigned hour, minute, second;
    if (!date_digits(at, 2, &hour) || !date_literal(at, ":") || !date_digits(at, 2, &minute) ||
        !date_literal(at, ":") || !date_digits(at, 2, &second) || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    *seconds = (hour * UINT64_C(60) + minute) * 60 + second;
    return true;
}

/* A day of a month, or two digits of a year. */
static bool date_pair(const char **at, unsigned *out)
{
    if (**at != ' ')
        return date_digits(at, 2, out);
    ++*at;
    return date_digits(at, 1, out);
}

/* "06 Nov 1994 08:49:37 GMT", or with hyphens "06-Nov-94 08:49:37 GMT" (RFC 850). */
static bool date_day_first(const char *at, date_parts *date, unsigned this_year)
{
    const char *const sign = at[0] != '\0' && at[1] != '\0' && at[2] == '-' ? "-" : " ";
    if (!date_digits(&at, 2, &date->day) || !date_literal(&at, sign) ||
        !date_month(&at, &date->month) || !date_literal(&at, sign) ||
        !date_digits(&at, sign[0] == '-' ? 2 : 4, &date->year) || !date_literal(&at, " ") ||
        !date_clock(&at, &date->seconds) || strcmp(at, " GMT") != 0)
        return false;
    if (sign[0] == '-') /* The one that is at most 50 years ahead. */
        for (date->year += 1900; date->year + 50 <= this_year;)
            date->year += 100;
    return true;
}

/* "Nov  6 08:49:37 1994" (C's asctime()). */
static bool date_month_first(const char *at, date_parts *date)
{
    return date_month(&at, &date->month) && date_literal(&at, " ") && date_pair(&at, &date->day) &&
           date_literal(&at, " ") && date_clock(&at, &date->seconds) && date_literal(&at, " ") &&
           date_digits(&at, 4, &date->year) && *at == '\0';
}

/* Behind the day of the week, which is believed: any of the forms of RFC 9110, 5.6.7. */
static bool date_read(const char *text, uint64_t wall_ns, uint64_t *out_s)
{
    date_parts date;
    unsigned const this_year = 1970 + (unsigned)(wall_ns / WEIR__NS_PER_S / 31556952);
    const char *at = text;
    while ((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z'))
        at++;
    bool const read = strncmp(at, ", ", 2) == 0 ? date_day_first(at + 2, &date, this_year)
                                                : *at == ' ' && date_month_first(at + 1, &date);
    if (!read || date.year < 1970 || date.day < 1 || date.day > 31)
        return false;
    *out_s = date_days(date.year, date.month, date.day) * 86400 + date.seconds;
    return true;
}

uint64_t weir__otlp_retry_after_ns(const char *text, size_t size, uint64_t wall_ns)
{
    char date[40];
    uint64_t seconds;
    weir__number_error error;
    if (weir__number_u64(text, size, 0, UINT64_MAX, &seconds, &error))
        return weir__mul_ns(seconds, WEIR__NS_PER_S);
    if (size == 0 || size >= sizeof date)
        return 0;
    memcpy(date, text, size);
    date[size] = '\0';
    if (date[strspn(date, "0123456789")] == '\0')
        return WEIR_NEVER; /* Beyond counting. */
    if (!date_read(date, wall_ns, &seconds))
        return 0;
    uint64_t const at_ns = weir__mul_ns(seconds, WEIR__NS_PER_S);
    return at_ns > wall_ns ? at_ns - wall_ns : 0;
}
