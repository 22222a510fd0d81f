#include <weir/propagation.h>

#include "propagation/propagation.h"

#include <stdlib.h>

/* ---- Fields ---- */

bool weir__field_get(const weir_carrier *carrier, const char *name, weir__field *out)
{
    weir__field other;
    if (!carrier->get(carrier->self, name, 0, &out->data, &out->size) ||
        carrier->get(carrier->self, name, 1, &other.data, &other.size))
        return false;
    *out = weir__field_trim(*out);
    return true;
}

unsigned weir__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* Of eight letters, the values as lower-case digits, a byte each, and 0x80 in those that are none:
 * by arithmetic on all of them at once. */
static uint64_t hex_digits(uint64_t text)
{
    uint64_t const ones = UINT64_C(0x0101010101010101);
    uint64_t const high = text & (ones * 0x80), low = text & (ones * 0x7F);
    /* Of each, 0x80 if it is at least that letter. */
    uint64_t const from_0 = low + ones * (0x80 - '0'), beyond_9 = low + ones * (0x80 - '9' - 1);
    uint64_t const from_a = low + ones * (0x80 - 'a'), beyond_f = low + ones * (0x80 - 'f' - 1);
    uint64_t const digit = from_0 & ~beyond_9 & (ones * 0x80);
    uint64_t const letter = from_a & ~beyond_f & (ones * 0x80);
    uint64_t const value = (low & (ones * 0x0F)) + (letter >> 7) * 9;
    return (value & (ones * 0x0F)) | (~(digit | letter) & (ones * 0x80)) | high;
}

/* Pairs of digits, the first of each above: a byte each, in the even places. */
static bool hex_read_4(const char *text, uint8_t *out)
{
    uint8_t digits[8];
    uint64_t word;
    memcpy(&word, text, 8);
    word = hex_digits(word);
    memcpy(digits, &word, 8);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(digits[2 * i] << 4 | digits[2 * i + 1]);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool weir__hex_read(const char *text, uint8_t *out, size_t count)
{
    bool good = true;
    for (; count >= 4; count -= 4, text += 8, out += 4)
        good = hex_read_4(text, out) && good;
    for (; count > 0; count--, text += 2, out++) {
        unsigned const high = weir__hex_digit(text[0]), low = weir__hex_digit(text[1]);
        bool const lower = text[0] > 'Z' || text[0] <= '9',
                   lower_too = text[1] > 'Z' || text[1] <= '9';
        good = good && high < 16 && low < 16 && lower && lower_too;
        *out = (uint8_t)(high << 4 | (low & 15));
    }
    return good;
}

void weir__hex_write(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

/* ---- All formats ---- */

static const struct {
    const char *name;
    unsigned format;
} propagation_names[] = {
    {"tracecontext", WEIR_PROPAGATE_TRACECONTEXT},
    {"baggage", WEIR_PROPAGATE_BAGGAGE},
    {"b3", WEIR_PROPAGATE_B3},
    {"b3multi", WEIR_PROPAGATE_B3MULTI},
    {"jaeger", WEIR_PROPAGATE_JAEGER},
    {"none", 0},
};

static bool propagation_find(weir__field word, unsigned *formats)
{
    for (size_t i = 0; i < sizeof propagation_names / sizeof propagation_names[0]; i++) {
        const char *const name = propagation_names[i].name;
        if (strlen(name) == word.size && memcmp(name, word.data, word.size) == 0) {
            *formats |= propagation_names[i].format;
            return true;
        }
    }
    return false;
}

int weir_propagation_parse(const char *list, unsigned *formats)
{
    int result = WEIR_OK;
    *formats = 0;
    for (const char *at = list; *at != '\0';) {
        size_t const size = strcspn(at, ",");
        weir__field const word = weir__field_trim((weir__field){at, size});
        if (word.size > 0 && !propagation_find(word, formats))
            result = WEIR_EINVAL;
        at += size + (at[size] == ',');
    }
    return result;
}

int weir_propagation_extract(unsigned formats, const weir_carrier *carrier,
                             weir_trace_context *context, char *state)
{
    static int (*const others[])(const weir_carrier *carrier,
                                 weir_trace_context *out) = {weir__b3_extract,
                                                             weir__b3multi_extract,
                                                             weir__jaeger_extract};
    int result = WEIR_ENOTFOUND;
    state[0] = '\0';
    memset(context, 0, sizeof *context);
    if ((formats & WEIR_PROPAGATE_TRACECONTEXT) != 0)
        result = weir__tracecontext_extract(carrier, context, state);
    for (size_t i = 0; result != WEIR_OK && i < sizeof others / sizeof others[0]; i++)
        if ((formats & (unsigned)WEIR_PROPAGATE_B3 << i) != 0) {
            int const other = others[i](carrier, context);
            result = other == WEIR_ENOTFOUND ? result : other;
        }
    if (result != WEIR_OK) {
        memset(context, 0, sizeof *context);
        return result;
    }
    context->remote = true;
    context->state = state;
    return WEIR_OK;
}

int weir_propagation_inject(unsigned formats, const weir_trace_context *context,
                            const weir_carrier *carrier)
{
    bool good = true;
    if (!weir_trace_context_valid(context))
        return WEIR_EINVAL;
    if ((formats & WEIR_PROPAGATE_TRACECONTEXT) != 0)
        good = weir__tracecontext_inject(context, carrier);
    if ((formats & WEIR_PROPAGATE_B3) != 0)
        good = weir__b3_inject(context, carrier) && good;
    if ((formats & WEIR_PROPAGATE_B3MULTI) != 0)
        good = weir__b3multi_inject(context, carrier) && good;
    if ((formats & WEIR_PROPAGATE_JAEGER) != 0)
        good = weir__jaeger_inject(context, carrier) && good;
    return good ? WEIR_OK : WEIR_ENOMEM;
}

/* ---- The environment ---- */

#define ENVIRONMENT_MAX_NAME 64

/* "x-b3-traceid" becomes X_B3_TRACEID. */
static bool environment_name(const char *name, char out[ENVIRONMENT_MAX_NAME])
{
    size_t const size = strlen(name);
    if (size >= ENVIRONMENT_MAX_NAME)
        return false;
    for (size_t i = 0; i <= size; i++) {
        char const c = name[i];
        out[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        if (c == '-')
            out[i] = '_';
    }
    return true;
}

static bool environment_get(void *self, const char *name, size_t index, const char **value,
                            size_t *size)
{
    char variable[ENVIRONMENT_MAX_NAME];
    (void)self;
    if (index > 0 || !environment_name(name, variable))
        return false;
    *value = getenv(variable); /* NOLINT(concurrency-mt-unsafe): read-only, as by any other. */
    *size = *value != NULL ? strlen(*value) : 0;
    return *size > 0; /* Empty is as if it were not set. */
}

static bool environment_set(void *self, const char *name, const char *value, size_t size)
{
    char variable[ENVIRONMENT_MAX_NAME];
    char text[WEIR_BAGGAGE_SIZE];
    (void)self;
    if (size >= sizeof text || !environment_name(name, variable))
        return false;
    memcpy(text, value, size);
    text[size] = '\0';
    return setenv(variable, text, 1) == 0; /* NOLINT(concurrency-mt-unsafe): as the header says. */
}

weir_carrier weir_carrier_environment(void)
{
    return (weir_carrier){.get = environment_get, .set = environment_set, .self = NULL};
}
