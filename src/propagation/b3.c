/* Zipkin's B3, in one header and in several; and Jaeger's uber-trace-id. */
#include "propagation/propagation.h"

#include <stdio.h>

/* 16 or 32 digits, the short ones with zeros before them. */
static bool b3_trace_id(weir__field text, weir_trace_context *out)
{
    if (text.size != 32 && text.size != 16)
        return false;
    memset(out->trace_id, 0, sizeof out->trace_id);
    return weir__hex_read(text.data, out->trace_id + (32 - text.size) / 2, text.size / 2);
}

static bool b3_span_id(weir__field text, weir_trace_context *out)
{
    return text.size == 16 && weir__hex_read(text.data, out->span_id, 8);
}

/* '1', '0', or 'd' for debug. */
static bool b3_state(weir__field text, weir_trace_context *out)
{
    if (text.size != 1 || (text.data[0] != '0' && text.data[0] != '1' && text.data[0] != 'd'))
        return false;
    out->debug = text.data[0] == 'd';
    out->flags = text.data[0] != '0' ? WEIR_TRACE_SAMPLED : 0;
    return true;
}

/* Cuts off what is before the next `mark`; all, if there is none. */
static weir__field b3_part(weir__field *rest, char mark)
{
    const char *const at = rest->size > 0 ? memchr(rest->data, mark, rest->size) : NULL;
    size_t const size = at != NULL ? (size_t)(at - rest->data) : rest->size;
    weir__field const part = {rest->data, size};
    rest->data += size + (at != NULL);
    rest->size -= size + (at != NULL);
    return part;
}

/* ---- b3: trace id "-" span id [ "-" state [ "-" parent ] ], or a state alone ---- */

int weir__b3_extract(const weir_carrier *carrier, weir_trace_context *out)
{
    weir__field rest;
    uint8_t parent[8];
    if (!weir__field_get(carrier, "b3", &rest))
        return WEIR_ENOTFOUND;
    if (b3_state(rest, out))
        return WEIR_ENOTFOUND; /* A wish without a trace. */
    weir__field const trace = b3_part(&rest, '-'), span = {rest.data, 16};
    bool good = b3_trace_id(trace, out) &&
                (rest.size == 16 || rest.size == 18 || rest.size == 35) && b3_span_id(span, out);
    if (good && rest.size > 16)
        good = rest.data[16] == '-' && b3_state((weir__field){rest.data + 17, 1}, out);
    if (good && rest.size > 18)
        good = rest.data[18] == '-' && weir__hex_read(rest.data + 19, parent, 8);
    return good && weir_trace_context_valid(out) ? WEIR_OK : WEIR_EPROTOCOL;
}

bool weir__b3_inject(const weir_trace_context *context, const weir_carrier *carrier)
{
    char text[52];
    bool const sampled = (context->flags & WEIR_TRACE_SAMPLED) != 0;
    weir__hex_write(context->trace_id, 16, text);
    text[32] = '-';
    weir__hex_write(context->span_id, 8, text + 33);
    text[49] = '-';
    text[50] = sampled ? '1' : '0';
    if (context->debug)
        text[50] = 'd';
    text[51] = '\0';
    return carrier->set(carrier->self, "b3", text, 51);
}

/* ---- X-B3-... ---- */

/* "true" and "false" are from before B3 was written down. */
static bool b3multi_sampled(weir__field text, weir_trace_context *out)
{
    if (text.size == 4 && memcmp(text.data, "true", 4) == 0)
        text = (weir__field){"1", 1};
    if (text.size == 5 && memcmp(text.data, "false", 5) == 0)
        text = (weir__field){"0", 1};
    return b3_state(text, out) && !out->debug;
}

int weir__b3multi_extract(const weir_carrier *carrier, weir_trace_context *out)
{
    weir__field trace, span, state;
    if (!weir__field_get(carrier, "x-b3-traceid", &trace))
        return WEIR_ENOTFOUND;
    bool good = weir__field_get(carrier, "x-b3-spanid", &span) && b3_trace_id(trace, out) &&
                b3_span_id(span, out);
    if (good && weir__field_get(carrier, "x-b3-sampled", &state))
        good = b3multi_sampled(state, out);
    if (good && weir__field_get(carrier, "x-b3-flags", &state) && state.size == 1 &&
        state.data[0] == '1') {
        out->debug = true;
        out->flags = WEIR_TRACE_SAMPLED;
    }
    return good && weir_trace_context_valid(out) ? WEIR_OK : WEIR_EPROTOCOL;
}

bool weir__b3multi_inject(const weir_trace_context *context, const weir_carrier *carrier)
{
    char trace[32], span[16];
    bool const sampled = (context->flags & WEIR_TRACE_SAMPLED) != 0;
    weir__hex_write(context->trace_id, 16, trace);
    weir__hex_write(context->span_id, 8, span);
    return carrier->set(carrier->self, "x-b3-traceid", trace, sizeof trace) &&
           carrier->set(carrier->self, "x-b3-spanid", span, sizeof span) &&
           (context->debug ? carrier->set(carrier->self, "x-b3-flags", "1", 1)
                           : carrier->set(carrier->self, "x-b3-sampled", sampled ? "1" : "0", 1));
}

/* ---- uber-trace-id: trace id ":" span id ":" parent ":" flags, without leading zeros ---- */

/* Digits of either case, to the right end of `count` bytes. */
static bool jaeger_id(weir__field text, uint8_t *out, size_t count)
{
    if (text.size == 0 || text.size > 2 * count)
        return false;
    memset(out, 0, count);
    for (size_t i = 0; i < text.size; i++) {
        unsigned const digit = weir__hex_digit(text.data[text.size - 1 - i]);
        if (digit > 15)
            return false;
        out[count - 1 - i / 2] |= (uint8_t)(i % 2 == 0 ? digit : digit << 4);
    }
    return true;
}

/* Some encode the colons as "%3A". */
static bool jaeger_decode(weir__field text, char out[128], weir__field *decoded)
{
    size_t size = 0;
    if (text.size >= 128)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        bool const colon = text.size - i >= 3 && text.data[i] == '%' && text.data[i + 1] == '3' &&
                           (text.data[i + 2] == 'A' || text.data[i + 2] == 'a');
        if (colon)
            i += 2;
        out[size++] = text.data[i];
        if (colon)
            out[size - 1] = ':';
    }
    *decoded = (weir__field){out, size};
    return true;
}

int weir__jaeger_extract(const weir_carrier *carrier, weir_trace_context *out)
{
    char room[128];
    uint8_t parent[8], flags = 0;
    weir__field rest;
    if (!weir__field_get(carrier, "uber-trace-id", &rest))
        return WEIR_ENOTFOUND;
    if (!jaeger_decode(rest, room, &rest) ||
        !jaeger_id(b3_part(&rest, ':'), out->trace_id, sizeof out->trace_id) ||
        !jaeger_id(b3_part(&rest, ':'), out->span_id, sizeof out->span_id) ||
        !jaeger_id(b3_part(&rest, ':'), parent, sizeof parent) || !jaeger_id(rest, &flags, 1) ||
        !weir_trace_context_valid(out))
        return WEIR_EPROTOCOL;
    out->debug = (flags & 2) != 0;
    out->flags = (flags & 3) != 0 ? WEIR_TRACE_SAMPLED : 0;
    return WEIR_OK;
}

bool weir__jaeger_inject(const weir_trace_context *context, const weir_carrier *carrier)
{
    char text[56];
    bool const sampled = (context->flags & WEIR_TRACE_SAMPLED) != 0;
    weir__hex_write(context->trace_id, 16, text);
    text[32] = ':';
    weir__hex_write(context->span_id, 8, text + 33);
    (void)snprintf(text + 49, 7, ":0:%d", (sampled ? 1 : 0) + (context->debug ? 2 : 0));
    return carrier->set(carrier->self, "uber-trace-id", text, strlen(text));
}
