/* traceparent and tracestate: W3C Trace Context Level 2. */
#include "propagation/propagation.h"

#define PARENT_SIZE (WEIR_TRACEPARENT_SIZE - 1)

/* ---- traceparent: version "-" trace id "-" span id "-" flags ---- */

/* The version and the flags, at once. */
static bool parent_read_ends(const char *text, unsigned *version, unsigned *flags)
{
    const unsigned char *const t = (const unsigned char *)text;
    uint64_t const zeros = (uint64_t)0x30303030 << 32; /* Four more digits. */
    uint64_t bad = 0;
    uint64_t const bytes =
        weir__hex_pack(weir__hex_digits((uint64_t)t[0] | (uint64_t)t[1] << 8 |
                                            (uint64_t)t[53] << 16 | (uint64_t)t[54] << 24 | zeros,
                                        &bad));
    *version = bytes & 0xFF;
    *flags = bytes >> 8 & 0xFF;
    return bad == 0;
}

static bool parent_read(weir_trace_context *out, const char *text, size_t size)
{
    unsigned version, flags;
    if (size < PARENT_SIZE || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    bool const hex = parent_read_ends(text, &version, &flags) &&
                     weir__hex_read(text + 3, out->trace_id, 16) &&
                     weir__hex_read(text + 36, out->span_id, 8);
    if (!hex || version == 0xFF || (version == 0 && size > PARENT_SIZE) ||
        (size > PARENT_SIZE && text[PARENT_SIZE] != '-'))
        return false;
    out->flags = (uint8_t)(flags & (WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM));
    return weir_trace_context_valid(out);
}

int weir_traceparent_parse(weir_trace_context *out, const char *text, size_t size)
{
    weir__field const field = weir__field_trim((weir__field){text, size});
    memset(out, 0, sizeof *out);
    if (parent_read(out, field.data, field.size))
        return WEIR_OK;
    memset(out, 0, sizeof *out);
    return WEIR_EPROTOCOL;
}

void weir_traceparent_format(const weir_trace_context *context, char *out)
{
    uint8_t const flags = context->flags & (WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM);
    memcpy(out, "00-", 3);
    weir__hex_write(context->trace_id, 16, out + 3);
    out[35] = '-';
    weir__hex_write(context->span_id, 8, out + 36);
    out[52] = '-';
    weir__hex_write(&flags, 1, out + 53);
    out[PARENT_SIZE] = '\0';
}

/* ---- tracestate ---- */

void weir__tracestate_extract(const weir_carrier *carrier, char *state)
{
    weir__tracestate list; /* Not filled with zeros: most have none. */
    weir__field header;
    state[0] = '\0';
    list.count = 0;
    for (size_t i = 0; carrier->get(carrier->self, "tracestate", i, &header.data, &header.size);
         i++)
        if (!weir__tracestate_read(&list, header))
            return;
    if (list.count > 0)
        weir__tracestate_write(&list, state);
}

bool weir_tracestate_get(const char *state, const char *key, const char **value, size_t *size)
{
    return weir__tracestate_get(state, key, value, size);
}

int weir_tracestate_set(char *out, const char *state, const char *key, const char *value)
{
    return weir__tracestate_set(out, state, key, value) ? WEIR_OK : WEIR_EINVAL;
}

/* ---- Both ---- */

int weir__tracecontext_extract(const weir_carrier *carrier, weir_trace_context *out, char *state)
{
    weir__field parent, other;
    if (!carrier->get(carrier->self, "traceparent", 0, &parent.data, &parent.size))
        return WEIR_ENOTFOUND;
    if (carrier->get(carrier->self, "traceparent", 1, &other.data, &other.size) ||
        weir_traceparent_parse(out, parent.data, parent.size) != WEIR_OK)
        return WEIR_EPROTOCOL;
    weir__tracestate_extract(carrier, state);
    return WEIR_OK;
}

bool weir__tracecontext_inject(const weir_trace_context *context, const weir_carrier *carrier)
{
    char text[WEIR_TRACEPARENT_SIZE];
    const char *const state = context->state;
    weir_traceparent_format(context, text);
    return carrier->set(carrier->self, "traceparent", text, PARENT_SIZE) &&
           (state == NULL || state[0] == '\0' ||
            carrier->set(carrier->self, "tracestate", state, strlen(state)));
}
