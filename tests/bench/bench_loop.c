/* The loop: a timer set and fired, among others that wait; a posted call, wake-ups folded. */
#include "support/bench.h"

#include <weir/loop.h>

enum { TIMERS = 10000, POSTS = 256 };

typedef struct loop_bench {
    weir_loop *loop;
    weir_loop_timer *timers[TIMERS];
    uint64_t fired, called;
} loop_bench;

static loop_bench bench;

static void loop_fired(uint64_t now_ns, void *user)
{
    (void)now_ns;
    ++*(uint64_t *)user;
}

static void loop_called(void *user)
{
    ++*(uint64_t *)user;
}

/* Half of the timers wait in the heap; the others are set and fire, a thousand a wake-up. */
static void loop_timer(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)ctx;
    (void)thread;
    uint64_t const until = bench.fired + iterations;
    for (uint64_t i = 0; bench.fired < until; i++) {
        for (uint64_t k = 0; k < 1000 && bench.fired + k < until; k++)
            weir_loop_timer_set(bench.timers[k * 5 % (TIMERS / 2)], weir_loop_now_ns(bench.loop));
        if (weir_loop_dispatch(bench.loop) != WEIR_OK)
            abort();
    }
}

static void loop_post(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i += POSTS) {
        for (int k = 0; k < POSTS; k++)
            if (weir_loop_post(bench.loop, loop_called, &bench.called) != WEIR_OK)
                abort();
        if (weir_loop_dispatch(bench.loop) != WEIR_OK)
            abort();
    }
}

int main(void)
{
    if (weir_loop_create(&bench.loop, NULL) != WEIR_OK)
        return 1;
    for (size_t i = 0; i < TIMERS; i++) {
        if (weir_loop_timer_create(&bench.timers[i], bench.loop, loop_fired, &bench.fired) !=
            WEIR_OK)
            return 1;
        if (i >= TIMERS / 2)
            weir_loop_timer_set(bench.timers[i], WEIR_NEVER - 1 - i);
    }
    bench_run("loop.timer", 1, TIMERS / 2, loop_timer, NULL);
    bench_run("loop.post", 1, POSTS, loop_post, NULL);
    weir_loop_destroy(bench.loop);
    return 0;
}
