/* A context out of the headers of a request, and into those of the next. */
#include "support/bench.h"

#include <weir/propagation.h>

#include <string.h>

typedef struct headers {
    const char *names[4], *values[4];
    size_t sizes[4];
    char out[2][WEIR_TRACESTATE_SIZE];
} headers;

static bool get(void *self, const char *name, size_t index, const char **value, size_t *size)
{
    const headers *const all = self;
    for (size_t i = 0; i < 4; i++)
        if (all->names[i][0] == name[0] && strcmp(all->names[i], name) == 0 && index-- == 0) {
            *value = all->values[i];
            *size = all->sizes[i];
            return true;
        }
    return false;
}

static bool set(void *self, const char *name, const char *value, size_t size)
{
    headers *const all = self;
    memcpy(all->out[name[5] == 's'], value, size);
    return true;
}

static headers request = {
    .names = {"host", "accept", "traceparent", "user-agent"},
    .values = {"example.org", "*/*", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
               "weir"},
    .sizes = {11, 3, 55, 4},
};

static void extract(void *ctx, unsigned thread, uint64_t iterations)
{
    weir_carrier const carrier = {.get = get, .set = set, .self = ctx};
    weir_trace_context context;
    char state[WEIR_TRACESTATE_SIZE];
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        bench_use(
            (uint64_t)weir_propagation_extract(WEIR_PROPAGATE_DEFAULT, &carrier, &context, state) +
            context.span_id[7]);
}

static void inject(void *ctx, unsigned thread, uint64_t iterations)
{
    headers own = *(const headers *)ctx;
    weir_carrier const carrier = {.get = get, .set = set, .self = &own};
    weir_trace_context context;
    (void)thread;
    bench_use((uint64_t)weir_traceparent_parse(&context, own.values[2], own.sizes[2]));
    for (uint64_t i = 0; i < iterations; i++) {
        context.span_id[7] = (uint8_t)(i | 1);
        bench_use((uint64_t)weir_propagation_inject(WEIR_PROPAGATE_DEFAULT, &context, &carrier) +
                  (uint64_t)own.out[0][40]);
    }
}

int main(void)
{
    bench_run("tracer.extract", 1, 1, extract, &request);
    bench_run("tracer.extract", 2, 1, extract, &request);
    bench_run("tracer.inject", 1, 1, inject, &request);
    bench_run("tracer.inject", 2, 1, inject, &request);
    return 0;
}
