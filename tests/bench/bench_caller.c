/* A whole guarded call: limiter, balancer, breaker, retry, deadline and hooks. */
#include "support/bench.h"

#include <weir/caller.h>

static void count_event(const weir_caller_event *event, void *user)
{
    uint64_t *const counts = user;
    counts[event->kind]++;
}

static void begin_end(void *ctx, unsigned thread, uint64_t iterations)
{
    static const weir_attempt_result good = {.outcome = WEIR_SUCCESS};
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_call call;
        weir_attempt attempt;
        uint64_t const now_ns = 1000000 + i * 1000;
        if (weir_caller_begin(ctx, &call, NULL, now_ns, &attempt, NULL) != WEIR_OK ||
            weir_caller_end(&call, &good, now_ns + 500, NULL) != WEIR_CALL_DONE)
            abort();
    }
}

int main(void)
{
    static uint64_t counts[5];
    weir_limiter_options limiter = WEIR_LIMITER_OPTIONS_INIT;
    weir_breaker_options breaker = WEIR_BREAKER_OPTIONS_INIT;
    weir_retry_options retry = WEIR_RETRY_OPTIONS_INIT;
    weir_caller_options options = WEIR_CALLER_OPTIONS_INIT;
    char ids[100][8];
    weir_member members[100];
    weir_caller *caller;
    limiter.limit = limiter.burst = 100000000;
    options.limiter = &limiter;
    options.breaker = &breaker;
    options.retry = &retry;
    options.timeout_ns = 1000000000;
    options.attempt_timeout_ns = 300000000;
    weir_balancer_options balancer = WEIR_BALANCER_OPTIONS_INIT;
    balancer.algorithm = WEIR_LEAST_REQUEST;
    options.balancer = &balancer;
    options.on_event = count_event;
    options.user = counts;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "m%d", i);
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
        members[i].weight = 1 + (uint32_t)i % 5;
    }
    if (weir_caller_create(&caller, &options) || weir_caller_set_members(caller, members, 100, 0))
        abort();
    bench_run("caller.begin_end", 1, 100, begin_end, caller);
    weir_caller_destroy(caller);
    return 0;
}
