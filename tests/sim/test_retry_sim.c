/* Many callers with random policies against a service with a random, changing temper: whatever
 * happens, a retry keeps its promises, and every call comes to an end. */
#include "support/seeds.h"

#include <weir/retry.h>
#include <weir/sim.h>

#define MS      UINT64_C(1000000)
#define CALLERS 20

typedef struct world world;

typedef struct caller {
    world *w;
    weir_retry retry;
    weir_retry_options options;
    uint64_t begun_ns;
    uint64_t timeout_ns;
    uint64_t due_ns; /* Of the attempt under way. */
    uint32_t made;   /* Attempts, counted here. */
    bool over;
} caller;

struct world {
    weir_sim *sim;
    weir_sim_service *service;
    caller callers[CALLERS];
    unsigned overs;
};

static void attempt(uint64_t now_ns, void *user);

static void ended(const weir_sim_result *result, void *user)
{
    caller *const c = user;
    weir_sim *const sim = c->w->sim;
    uint64_t const now_ns = weir_sim_now(sim);
    uint64_t const pushback_ns =
        result->outcome == WEIR_OVERLOAD ? weir_sim_random_below(sim, 20 * MS) : 0;
    uint64_t at_ns = 0;
    weir_retry_verdict const verdict =
        weir_retry_next(&c->retry, result->outcome, now_ns, pushback_ns, &at_ns);
    weir_sim_mark(sim, (uint64_t)verdict);
    if (verdict == WEIR_RETRY_AT) {
        uint64_t const asked_ns =
            pushback_ns < c->options.pushback_cap_ns ? pushback_ns : c->options.pushback_cap_ns;
        uint64_t const most_ns = asked_ns > c->options.cap_ns ? asked_ns : c->options.cap_ns;
        SEED_CHECK(result->outcome != WEIR_SUCCESS);
        SEED_CHECK(at_ns >= now_ns + asked_ns && at_ns <= now_ns + most_ns);
        SEED_CHECK(c->made < c->options.max_attempts);
        c->due_ns = at_ns;
        SEED_CHECK(weir_sim_at(sim, at_ns, attempt, c, NULL) == WEIR_OK);
        return;
    }
    SEED_CHECK((verdict == WEIR_RETRY_SUCCEEDED) == (result->outcome == WEIR_SUCCESS));
    SEED_CHECK(verdict != WEIR_RETRY_EXHAUSTED || c->made == c->options.max_attempts);
    SEED_CHECK(verdict != WEIR_RETRY_DEADLINE || c->options.total_ns != WEIR_NEVER);
    SEED_CHECK(!c->over);
    c->over = true;
    c->w->overs++;
}

static void attempt(uint64_t now_ns, void *user)
{
    caller *const c = user;
    SEED_CHECK(now_ns == c->due_ns);
    SEED_CHECK(c->options.total_ns == WEIR_NEVER || now_ns < c->begun_ns + c->options.total_ns);
    c->made++;
    SEED_CHECK(c->made == c->retry.attempts);
    SEED_CHECK(weir_sim_call(c->w->service, c->timeout_ns, ended, c, NULL) == WEIR_OK);
}

static void begin(world *w, caller *c)
{
    weir_sim *const sim = w->sim;
    c->w = w;
    c->options = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    c->options.jitter = (weir_jitter)weir_sim_random_below(sim, WEIR_JITTER_FACTOR + 1);
    c->options.max_attempts = 1 + (uint32_t)weir_sim_random_below(sim, 8);
    c->options.cap_ns = weir_sim_random_below(sim, 100 * MS);
    c->options.base_ns = weir_sim_random_below(sim, c->options.cap_ns + 1);
    c->options.factor_percent = (uint32_t)weir_sim_random_below(sim, 101);
    c->options.pushback_cap_ns = weir_sim_random_below(sim, 15 * MS);
    if (weir_sim_random_below(sim, 2) == 0)
        c->options.total_ns = 1 + weir_sim_random_below(sim, 200 * MS);
    c->timeout_ns = 1 + weir_sim_random_below(sim, 10 * MS);
    c->begun_ns = c->due_ns = weir_sim_now(sim) + weir_sim_random_below(sim, 50 * MS);
    SEED_CHECK(weir_retry_begin(&c->retry, &c->options, c->begun_ns, weir_sim_random(sim)) ==
               WEIR_OK);
    SEED_CHECK(weir_sim_at(sim, c->begun_ns, attempt, c, NULL) == WEIR_OK);
}

static void add_service(world *w)
{
    weir_sim_behaviour behaviour = WEIR_SIM_BEHAVIOUR_INIT;
    behaviour.latency = WEIR_SIM_EXPONENTIAL;
    behaviour.mean_ns = 4 * MS;
    behaviour.capacity = 3;
    behaviour.queue = 2;
    SEED_CHECK(weir_sim_service_create(&w->service, w->sim, &behaviour) == WEIR_OK);
    for (int i = 0; i < 5; i++) {
        behaviour.failure_rate = (double)weir_sim_random_below(w->sim, 101) / 100;
        behaviour.overload_rate = (double)weir_sim_random_below(w->sim, 51) / 100;
        behaviour.link = (weir_sim_link)weir_sim_random_below(w->sim, WEIR_SIM_SILENT + 1);
        uint64_t const at_ns = weir_sim_now(w->sim) + weir_sim_random_below(w->sim, 200 * MS);
        SEED_CHECK(weir_sim_service_change(w->service, at_ns, &behaviour) == WEIR_OK);
    }
}

static uint64_t live(uint64_t seed)
{
    world w = {.sim = NULL};
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    options.seed = seed;
    options.shuffle = true;
    SEED_CHECK(weir_sim_create(&w.sim, &options) == WEIR_OK);
    add_service(&w);
    for (int i = 0; i < CALLERS; i++)
        begin(&w, &w.callers[i]);
    SEED_CHECK(weir_sim_run(w.sim) == WEIR_OK);
    SEED_CHECK(w.overs == CALLERS);
    uint64_t const digest = weir_sim_digest(w.sim);
    weir_sim_destroy(w.sim);
    return digest;
}

static void promises_are_kept(uint64_t seed)
{
    uint64_t const digest = live(seed);
    SEED_CHECK(seed % 16 != 0 || live(seed) == digest);
}

static void every_call_ends_and_no_retry_breaks_its_bounds(void **state)
{
    (void)state;
    seeds_run(2000, promises_are_kept);
}

/* Callers that failed together: how many come back within the fullest 10 ms. */
static unsigned crowd(weir_jitter jitter)
{
    weir_retry_options options = WEIR_RETRY_OPTIONS_INIT;
    options.jitter = jitter;
    options.base_ns = 100 * MS;
    unsigned slots[10] = {0};
    unsigned fullest = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        weir_retry retry;
        uint64_t at_ns = 0;
        SEED_CHECK(weir_retry_begin(&retry, &options, 0, i) == WEIR_OK);
        SEED_CHECK(weir_retry_next(&retry, WEIR_FAILURE, 0, 0, &at_ns) == WEIR_RETRY_AT);
        unsigned *const slot = &slots[at_ns < 100 * MS ? at_ns / (10 * MS) : 9];
        (*slot)++;
        fullest = *slot > fullest ? *slot : fullest;
    }
    return fullest;
}

static void jitter_spreads_a_herd(void **state)
{
    (void)state;
    assert_int_equal(crowd(WEIR_JITTER_NONE), 1000);
    assert_in_range(crowd(WEIR_JITTER_FULL), 100, 150); /* 100 each, 9.5 either way. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_ends_and_no_retry_breaks_its_bounds),
        cmocka_unit_test(jitter_spreads_a_herd),
    };
    return cmocka_run_group_tests_name("retry simulation", tests, NULL, NULL);
}
