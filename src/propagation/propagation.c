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
        out[i] = c;
        if (c >= 'a' && c <= 'z')
            out[i] = (char)(c - 'a' + 'A');
        else if (c == '-')
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
