/* The simulator: one timer that sets the next one, among as many others; and one whole call. */
#include "support/bench.h"

#include <weir/sim.h>

typedef struct world {
    weir_sim *sim;
    weir_sim_service *service;
} world;

static void set_next(uint64_t now_ns, void *user)
{
    weir_sim *const sim = user;
    if (weir_sim_at(sim, now_ns + (weir_sim_random(sim) >> 34), set_next, sim, NULL))
        abort();
}

static void event(void *ctx, unsigned thread, uint64_t iterations)
{
    const world *const w = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        bench_use(weir_sim_step(w->sim));
}

static void ended(const weir_sim_result *result, void *user)
{
    (void)user;
    bench_use(result->latency_ns);
}

static void call(void *ctx, unsigned thread, uint64_t iterations)
{
    const world *const w = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        if (weir_sim_call(w->service, 1000000, ended, NULL, NULL) || !weir_sim_step(w->sim))
            abort();
}

static void begin(world *w, size_t timers)
{
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    weir_sim_behaviour behaviour = WEIR_SIM_BEHAVIOUR_INIT;
    options.max_events = UINT64_MAX;
    behaviour.min_ns = 1000;
    if (weir_sim_create(&w->sim, &options) ||
        weir_sim_service_create(&w->service, w->sim, &behaviour))
        abort();
    for (size_t i = 0; i < timers; i++)
        set_next(weir_sim_now(w->sim), w->sim);
}

int main(void)
{
    static const size_t sizes[] = {1, 10000};
    world w;
    for (size_t i = 0; i < 2; i++) {
        begin(&w, sizes[i]);
        bench_run("sim.event", 1, sizes[i], event, &w);
        weir_sim_destroy(w.sim);
    }
    begin(&w, 0);
    bench_run("sim.call", 1, 1, call, &w);
    weir_sim_destroy(w.sim);
    return 0;
}
