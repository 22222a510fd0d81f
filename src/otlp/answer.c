#include "otlp/otlp.h"

#include "base/json.h"
#include "base/number.h"

#include <string.h>

/* ---- What the collector says ---- */

/* In one line, whatever it says. */
static void answer_message(weir__otlp_answer *answer, weir__json *json)
{
    weir__text *const message = &answer->message;
    weir__text_clear(message);
    (void)weir__json_text(json, message);
    for (size_t i = 0; i < message->size; i++)
        if ((unsigned char)message->data[i] < ' ' || message->data[i] == 0x7f)
            message->data[i] = ' ';
}

static void answer_partial(weir__otlp_answer *answer, weir__json *json)
{
    weir__json_object(json);
    while (weir__json_member(json)) {
        if (weir__json_is(json, "rejectedSpans") || weir__json_is(json, "rejectedDataPoints"))
            weir__json_u64(json, 0, INT64_MAX, &answer->rejected);
        else if (weir__json_is(json, "errorMessage"))
            answer_message(answer, json);
        else
            weir__json_skip(json);
    }
}

bool weir__otlp_answer_read(weir__otlp_answer *answer, const char *text, size_t size)
{
    weir__json json;
    answer->rejected = 0;
    weir__text_clear(&answer->message);
    weir__json_begin(&json, text, size);
    weir__json_object(&json);
    while (weir__json_member(&json)) {
        if (weir__json_is(&json, "partialSuccess"))
            answer_partial(answer, &json);
        else if (weir__json_is(&json, "message"))
            answer_message(answer, &json);
        else
            weir__json_skip(&json);
    }
    if (weir__json_end(&json))
        return true;
    answer->rejected = 0;
    weir__text_clear(&answer->message);
    return false;
}

/* ---- Retry-After ---- */

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static uint64_t answer_days(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool const leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    unsigned const past = year - 1;
    uint64_t const days = past * UINT64_C(365) + past / 4 - past / 100 + past / 400;
    return days - 719162 + before[month] + (month > 1 && leap ? 1 : 0) + day - 1;
}

static bool answer_digits(const char **at, size_t count, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (unsigned)(**at - '0');
    }
    return true;
}

static bool answer_literal(const char **at, const char *text)
{
    size_t const size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

static bool answer_month(const char **at, unsigned *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (*month = 0; *month < 12; ++*month)
        if (strncmp(*at, names + (size_t)*month * 3, 3) == 0) {
            *at += 3;
            return true;
        }
    return false;
}

static bool answer_clock(const char **at, uint64_t *seconds)
{
    unsigned hour, minute, second;
    if (!answer_digits(at, 2, &hour) || !answer_literal(at, ":") ||
        !answer_digits(at, 2, &minute) || !answer_literal(at, ":") ||
        !answer_digits(at, 2, &second) || hour > 23 || minute > 59 || second > 60)
        return false;
    *seconds = (hour * UINT64_C(60) + minute) * 60 + second;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": the one form that is still sent (RFC 9110, 5.6.7). */
static bool answer_date(const char *at, uint64_t *out_s)
{
    unsigned day, month, year;
    uint64_t seconds;
    if (strlen(at) != 29)
        return false;
    at += 3;
    if (!answer_literal(&at, ", ") || !answer_digits(&at, 2, &day) || !answer_literal(&at, " ") ||
        !answer_month(&at, &month) || !answer_literal(&at, " ") || !answer_digits(&at, 4, &year) ||
        !answer_literal(&at, " ") || !answer_clock(&at, &seconds) || !answer_literal(&at, " GMT"))
        return false;
    if (year < 1970 || day < 1 || day > 31)
        return false;
    *out_s = answer_days(year, month, day) * 86400 + seconds;
    return true;
}

uint64_t weir__otlp_retry_after_ns(const char *text, size_t size, uint64_t wall_ns)
{
    char date[32];
    uint64_t seconds;
    weir__number_error error;
    if (weir__number_u64(text, size, 0, UINT64_MAX / WEIR__NS_PER_S, &seconds, &error))
        return seconds * WEIR__NS_PER_S;
    if (size >= sizeof date)
        return 0;
    memcpy(date, text, size);
    date[size] = '\0';
    if (!answer_date(date, &seconds))
        return 0;
    uint64_t const at_ns = weir__mul_ns(seconds, WEIR__NS_PER_S);
    return at_ns > wall_ns ? at_ns - wall_ns : 0;
}
