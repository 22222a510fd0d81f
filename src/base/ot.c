#include "base/ot.h"

#include "base/tracestate.h"

#include <weir/trace.h>

#include <string.h>

#define OT_DIGITS     14  /* Of 56 bits. */
#define OT_VALUE_ROOM 257 /* Of a tracestate's value, with its NUL. */

static uint64_t ot_hex(weir__field text)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > OT_DIGITS)
        return UINT64_MAX;
    for (size_t i = 0; i < OT_DIGITS; i++) {
        int const c = i < text.size ? text.data[i] : '0';
        bool const letter = c >= 'a' && c <= 'f';
        if (!letter && (c < '0' || c > '9'))
            return UINT64_MAX;
        value = value << 4 | (uint64_t)(letter ? c - 'a' + 10 : c - '0');
    }
    return value;
}

/* Takes the next sub-key, with its value, off the front of `rest`. */
static bool ot_next(weir__field *rest, weir__field *part)
{
    if (rest->size == 0)
        return false;
    const char *const end = memchr(rest->data, ';', rest->size);
    *part = (weir__field){rest->data, end != NULL ? (size_t)(end - rest->data) : rest->size};
    rest->data += part->size + (end != NULL);
    rest->size -= part->size + (end != NULL);
    return true;
}

static bool ot_is(weir__field part, const char *key)
{
    return part.size >= 3 && memcmp(part.data, key, 3) == 0;
}

weir__ot weir__ot_read(const char *state)
{
    weir__ot ot = {UINT64_MAX, UINT64_MAX};
    weir__field rest, part;
    if (state == NULL || state[0] == '\0' ||
        !weir__tracestate_get(state, "ot", &rest.data, &rest.size))
        return ot;
    while (ot_next(&rest, &part)) {
        weir__field const value = {part.data + 3, part.size - 3};
        if (ot_is(part, "th:"))
            ot.threshold = ot_hex(value);
        else if (ot_is(part, "rv:"))
            ot.random = value.size == OT_DIGITS ? ot_hex(value) : UINT64_MAX;
    }
    return ot;
}

static void ot_append(char *text, size_t *size, weir__field part)
{
    if (*size + part.size + 1 >= OT_VALUE_ROOM)
        return;
    if (*size > 0)
        text[(*size)++] = ';';
    memcpy(text + *size, part.data, part.size);
    *size += part.size;
}

static weir__field ot_threshold(uint64_t threshold, char *room)
{
    size_t size = 0;
    room[0] = 't';
    room[1] = 'h';
    room[2] = ':';
    do {
        threshold &= WEIR__OT_COUNT - 1;
        room[3 + size++] = "0123456789abcdef"[threshold >> (WEIR__OT_BITS - 4)];
        threshold <<= 4;
    } while ((threshold & (WEIR__OT_COUNT - 1)) != 0);
    return (weir__field){room, 3 + size};
}

void weir__ot_write(char *out, const char *state, uint64_t threshold)
{
    char value[OT_VALUE_ROOM], digits[3 + OT_DIGITS];
    size_t size = 0;
    weir__field rest = {"", 0}, part;
    if (threshold < WEIR__OT_COUNT)
        ot_append(value, &size, ot_threshold(threshold, digits));
    if (state != NULL)
        (void)weir__tracestate_get(state, "ot", &rest.data, &rest.size);
    while (ot_next(&rest, &part))
        if (!ot_is(part, "th:") && part.size > 0)
            ot_append(value, &size, part);
    value[size] = '\0';
    (void)weir__tracestate_set(out, state, "ot", size > 0 ? value : NULL);
}

uint64_t weir__ot_random(const char *state, const uint8_t *trace_id)
{
    uint64_t random = weir__ot_read(state).random;
    if (random != UINT64_MAX)
        return random;
    random = 0;
    for (size_t i = 9; i < 16; i++)
        random = random << 8 | trace_id[i];
    return random;
}
