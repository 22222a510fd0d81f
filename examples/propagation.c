/* A request comes in with W3C headers; the calls that it causes go on with B3, too. */
#include <weir/propagation.h>

#include <stdio.h>
#include <string.h>

/* The headers of a request, as some server has them. */
static const struct header {
    const char *name, *value;
} request[] = {
    {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    {"tracestate", "ot=th:8,vendor=x"},
    {"baggage", "tenant=blue%20team"},
};

static bool get(void *self, const char *name, size_t index, const char **value, size_t *size)
{
    (void)self;
    for (size_t i = 0; i < sizeof request / sizeof request[0]; i++)
        if (strcmp(request[i].name, name) == 0 && index-- == 0) {
            *value = request[i].value;
            *size = strlen(*value);
            return true;
        }
    return false;
}

static bool set(void *self, const char *name, const char *value, size_t size)
{
    (void)self;
    printf("  %s: %.*s\n", name, (int)size, value);
    return true;
}

int main(void)
{
    weir_carrier const carrier = {.get = get, .set = set, .self = NULL};
    weir_trace_context context;
    char state[WEIR_TRACESTATE_SIZE], baggage[WEIR_BAGGAGE_SIZE], tenant[32];
    if (weir_propagation_extract(WEIR_PROPAGATE_DEFAULT, &carrier, &context, state) ||
        weir_baggage_extract(&carrier, baggage) ||
        weir_baggage_get(baggage, "tenant", tenant, sizeof tenant, NULL))
        return 1;
    printf("called for %s; the next request says\n", tenant);
    memcpy(context.span_id, "\1\2\3\4\5\6\7\10", 8); /* A tracer makes them up. */
    return weir_propagation_inject(WEIR_PROPAGATE_TRACECONTEXT | WEIR_PROPAGATE_B3, &context,
                                   &carrier) ||
           weir_baggage_inject(baggage, &carrier);
}
