/* An hour of a client and a service that falls silent for ten minutes of it, in milliseconds. */
#include <weir/sim.h>

#include <inttypes.h>
#include <stdio.h>

#define MS     UINT64_C(1000000)
#define MINUTE (60000 * MS)

typedef struct client {
    weir_sim *sim;
    weir_sim_service *service;
    unsigned outcomes[WEIR_CANCELLED + 1];
} client;

static void ended(const weir_sim_result *result, void *user)
{
    ((client *)user)->outcomes[result->outcome]++;
}

/* A task: a call every 50 ms, each given 200 ms. */
static uint64_t run(void *self, uint64_t now_ns)
{
    client *const c = self;
    int const result = weir_sim_call(c->service, 200 * MS, ended, c, NULL);
    return result == WEIR_OK ? now_ns + 50 * MS : WEIR_NEVER;
}

static int live(uint64_t seed)
{
    client c = {.sim = NULL};
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    options.seed = seed;
    options.start_ns = 0;
    weir_sim_behaviour behaviour = WEIR_SIM_BEHAVIOUR_INIT;
    behaviour.latency = WEIR_SIM_EXPONENTIAL;
    behaviour.mean_ns = 40 * MS;
    behaviour.failure_rate = 0.01;
    weir_sim_behaviour silent = behaviour;
    silent.link = WEIR_SIM_SILENT;
    if (weir_sim_create(&c.sim, &options) ||
        weir_sim_service_create(&c.service, c.sim, &behaviour) ||
        weir_sim_service_change(c.service, 20 * MINUTE, &silent) ||
        weir_sim_service_change(c.service, 30 * MINUTE, &behaviour) ||
        weir_sim_add_task(c.sim, (weir_task){run, &c}, 0, NULL) ||
        weir_sim_run_until(c.sim, 60 * MINUTE))
        return 1;
    printf("seed %" PRIu64 ": %u succeeded, %u failed, %u timed out; trace %016" PRIx64 "\n", seed,
           c.outcomes[WEIR_SUCCESS], c.outcomes[WEIR_FAILURE], c.outcomes[WEIR_TIMEOUT],
           weir_sim_digest(c.sim));
    weir_sim_destroy(c.sim);
    return 0;
}

int main(void)
{
    return live(1) | live(2) | live(1); /* The same seed: the same hour, to the last event. */
}
