/* Headers of any bytes: what is extracted can be injected, and comes back the same. The first line
 * is a traceparent, or whatever its first letter says; the others are tracestates, or baggage. */
#include "support/fields.h"
#include "support/fuzz.h"

static const char *const names[] = {"traceparent", "b3", "uber-trace-id", "x-b3-traceid"};

static void fill(fields *f, const uint8_t *data, size_t size)
{
    size_t line = 0;
    f->count = 0;
    f->room = FIELDS_MAX;
    while (size > 0 && line < 6) {
        const uint8_t *const end = memchr(data, '\n', size);
        size_t const length = end != NULL ? (size_t)(end - data) : size;
        const char *const name = line == 0   ? names[size % 4]
                                 : line == 1 ? "x-b3-spanid"
                                 : line < 4  ? "tracestate"
                                             : "baggage";
        (void)fields_set(f, name, (const char *)data, length);
        data += length + (end != NULL);
        size -= length + (end != NULL);
        line++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fields in, out;
    static char state[WEIR_TRACESTATE_SIZE], again[WEIR_TRACESTATE_SIZE];
    static char baggage[WEIR_BAGGAGE_SIZE], baggage_again[WEIR_BAGGAGE_SIZE];
    weir_trace_context context, back;
    fill(&in, data, size < 8000 ? size : 8000);
    weir_carrier const from = fields_carrier(&in), to = fields_carrier(&out);
    out.count = 0;
    out.room = FIELDS_MAX;
    if (weir_propagation_extract(31, &from, &context, state) == WEIR_OK) {
        FUZZ_CHECK(weir_trace_context_valid(&context));
        FUZZ_CHECK(weir_propagation_inject(1, &context, &to) == WEIR_OK);
        FUZZ_CHECK(weir_propagation_extract(1, &to, &back, again) == WEIR_OK);
        FUZZ_CHECK(memcmp(back.trace_id, context.trace_id, 16) == 0);
        FUZZ_CHECK(memcmp(back.span_id, context.span_id, 8) == 0);
        FUZZ_CHECK(strcmp(state, again) == 0);
    }
    if (weir_baggage_extract(&from, baggage) != WEIR_ENOTFOUND) {
        out.count = 0;
        FUZZ_CHECK(weir_baggage_inject(baggage, &to) == WEIR_OK);
        FUZZ_CHECK(weir_baggage_extract(&to, baggage_again) == WEIR_OK || baggage[0] == '\0');
        FUZZ_CHECK(baggage[0] == '\0' || strcmp(baggage, baggage_again) == 0);
    }
    return 0;
}
