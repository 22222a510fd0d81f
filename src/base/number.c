#include "base/number.h"

#include <string.h>

#include "base/env.h"

typedef struct number_scan {
    const char *text;
    size_t size, at;
    weir__number_error *error;
} number_scan;

static bool number_fail(number_scan *scan, const char *what, size_t at)
{
    *scan->error = (weir__number_error){.what = what, .at = at};
    return false;
}

static bool number_digit_next(const number_scan *scan)
{
    return scan->at < scan->size && scan->text[scan->at] >= '0' && scan->text[scan->at] <= '9';
}

/* Digits, at least one. Saturates, so that an error of form is told before one of range. */
static bool number_digits(number_scan *scan, uint64_t *value, bool *over)
{
    if (!number_digit_next(scan))
        return number_fail(scan, "expected a digit", scan->at);
    *value = 0;
    for (; number_digit_next(scan); scan->at++) {
        uint64_t const digit = (uint64_t)(scan->text[scan->at] - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            *over = true;
        *value = *value * 10 + digit;
    }
    return true;
}

/*
 * The digits after a point, first..end-1, times unit. From the last digit up: a step that leaves
 * a remainder can never be made whole by those before it.
 */
static bool number_fraction(number_scan *scan, size_t first, size_t end, uint64_t unit,
                            const char *finer, uint64_t *out)
{
    uint64_t sum = 0;
    while (end > first && scan->text[end - 1] == '0')
        end--;
    for (size_t i = end; i-- > first;) {
        sum += (uint64_t)(scan->text[i] - '0') * unit;
        if (sum % 10 != 0)
            return number_fail(scan, finer, end - 1);
        sum /= 10;
    }
    *out = sum;
    return true;
}

static bool number_in_range(number_scan *scan, uint64_t value, bool over, uint64_t min,
                            uint64_t max)
{
    if (over || value > max)
        return number_fail(scan, "too large", 0);
    if (value < min)
        return number_fail(scan, "too small", 0);
    return true;
}

/* value += count * unit + fraction, noting an overflow. */
static void number_add(uint64_t *value, uint64_t count, uint64_t unit, uint64_t fraction,
                       bool *over)
{
    uint64_t const whole = weir__mul_ns(count, unit);
    if (whole / unit != count || fraction > UINT64_MAX - whole ||
        *value > UINT64_MAX - whole - fraction)
        *over = true;
    *value += whole + fraction;
}

/* <digits>[.<digits>]: the digits before the point, and where those after it are. */
static bool number_decimal(number_scan *scan, uint64_t *whole, bool *over, size_t *first,
                           size_t *end)
{
    uint64_t ignored = 0;
    bool ignored_over = false;
    if (!number_digits(scan, whole, over))
        return false;
    *first = *end = scan->at;
    if (scan->at == scan->size || scan->text[scan->at] != '.')
        return true;
    *first = ++scan->at;
    if (!number_digits(scan, &ignored, &ignored_over))
        return false;
    *end = scan->at;
    return true;
}

bool weir__number_u64(const char *text, size_t size, uint64_t min, uint64_t max, uint64_t *out,
                      weir__number_error *error)
{
    number_scan scan = {.text = text, .size = size, .error = error};
    uint64_t value = 0;
    bool over = false;
    if (!number_digits(&scan, &value, &over))
        return false;
    if (scan.at < size)
        return number_fail(&scan, "expected a digit", scan.at);
    if (!number_in_range(&scan, value, over, min, max))
        return false;
    *out = value;
    return true;
}

typedef struct number_unit {
    const char *name;
    size_t size;
    uint64_t ns;
} number_unit;

/* Two-letter names first, so that "ms" is no "m". */
static const number_unit number_units[] = {
    {"ns", 2, 1},
    {"us", 2, WEIR__NS_PER_US},
    {"ms", 2, WEIR__NS_PER_MS},
    {"s", 1, WEIR__NS_PER_S},
    {"m", 1, 60 * WEIR__NS_PER_S},
    {"h", 1, 3600 * WEIR__NS_PER_S},
    {"d", 1, 86400 * WEIR__NS_PER_S},
};

/* The unit's nanoseconds. Each one is shorter than `below`, the one before it. */
static bool number_time_unit(number_scan *scan, uint64_t below, uint64_t *ns)
{
    if (scan->at == scan->size)
        return number_fail(scan, "expected a unit", scan->at);
    for (size_t i = 0; i < sizeof number_units / sizeof number_units[0]; i++) {
        const number_unit *const unit = &number_units[i];
        const char *const here = scan->text + scan->at;
        if (scan->size - scan->at < unit->size || here[0] != unit->name[0] ||
            (unit->size == 2 && here[1] != unit->name[1]))
            continue;
        if (unit->ns >= below)
            return number_fail(scan, "units must fall", scan->at);
        scan->at += unit->size;
        *ns = unit->ns;
        return true;
    }
    return number_fail(scan, "unknown unit", scan->at);
}

bool weir__number_duration(const char *text, size_t size, uint64_t min_ns, uint64_t max_ns,
                           uint64_t *out_ns, weir__number_error *error)
{
    number_scan scan = {.text = text, .size = size, .error = error};
    uint64_t value = 0;
    uint64_t unit = WEIR_NEVER;
    bool over = false;
    do {
        uint64_t whole = 0;
        uint64_t fraction = 0;
        size_t first = 0;
        size_t end = 0;
        if (!number_decimal(&scan, &whole, &over, &first, &end))
            return false;
        if (size == 1 && text[0] == '0')
            break; /* Nothing needs no unit. */
        if (!number_time_unit(&scan, unit, &unit) ||
            !number_fraction(&scan, first, end, unit, "finer than a nanosecond", &fraction))
            return false;
        number_add(&value, whole, unit, fraction, &over);
    } while (scan.at < size);
    if (!number_in_range(&scan, value, over, min_ns, max_ns))
        return false;
    *out_ns = value;
    return true;
}

static uint64_t number_size_unit(char letter)
{
    switch (letter) {
    case 'k':
    case 'K': return UINT64_C(1) << 10;
    case 'm':
    case 'M': return UINT64_C(1) << 20;
    case 'g':
    case 'G': return UINT64_C(1) << 30;
    default: return 0;
    }
}

bool weir__number_size(const char *text, size_t size, uint64_t min, uint64_t max, uint64_t *out,
                       weir__number_error *error)
{
    number_scan scan = {.text = text, .size = size, .error = error};
    uint64_t count = 0;
    uint64_t value = 0;
    uint64_t unit = 1;
    bool over = false;
    if (!number_digits(&scan, &count, &over))
        return false;
    if (scan.at < size) {
        unit = number_size_unit(text[scan.at]);
        if (unit == 0)
            return number_fail(&scan, "unknown unit", scan.at);
        scan.at++;
    }
    if (scan.at < size)
        return number_fail(&scan, "expected the end", scan.at);
    number_add(&value, count, unit, 0, &over);
    if (!number_in_range(&scan, value, over, min, max))
        return false;
    *out = value;
    return true;
}

bool weir__number_percent(const char *text, size_t size, uint32_t *out_milli,
                          weir__number_error *error)
{
    number_scan scan = {.text = text, .size = size, .error = error};
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t value = 0;
    bool over = false;
    size_t first = 0;
    size_t end = 0;
    if (!number_decimal(&scan, &whole, &over, &first, &end))
        return false;
    if (scan.at == size || text[scan.at] != '%')
        return number_fail(&scan, "expected %", scan.at);
    if (++scan.at < size)
        return number_fail(&scan, "expected the end", scan.at);
    if (!number_fraction(&scan, first, end, 1000, "finer than a thousandth", &fraction))
        return false;
    number_add(&value, whole, 1000, fraction, &over);
    if (!number_in_range(&scan, value, over, 0, 100000))
        return false;
    *out_milli = (uint32_t)value;
    return true;
}

/* Where this one's bytes end: at the stop, or at the end of all. */
static size_t number_until(const char *text, size_t from, size_t to, char stop)
{
    const char *const found = from < to ? memchr(text + from, stop, to - from) : NULL;
    return found != NULL ? (size_t)(found - text) : to;
}

static bool number_part(const char *text, size_t from, size_t to, uint64_t min, uint64_t max,
                        uint64_t *out, weir__number_error *error)
{
    bool const good = weir__number_u64(text + from, to - from, min, max, out, error);
    error->at += good ? 0 : from;
    return good;
}

size_t weir__number_ranges(const char *text, size_t size, uint64_t min, uint64_t max,
                           weir__number_range *out, size_t room, weir__number_error *error)
{
    size_t count = 0, at = 0;
    do {
        if (count == room) {
            *error = (weir__number_error){.what = "too many ranges", .at = at};
            return 0;
        }
        weir__number_range *const range = &out[count++];
        size_t const end = number_until(text, at, size, ',');
        size_t const dash = number_until(text, at, end, '-');
        if (!number_part(text, at, dash, min, max, &range->low, error))
            return 0;
        range->high = range->low;
        if (dash < end && !number_part(text, dash + 1, end, range->low, max, &range->high, error))
            return 0;
        at = end + 1;
    } while (at <= size);
    return count;
}
