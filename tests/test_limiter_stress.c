/* Threads at one limiter: the counts are exact. */
#include "support/fake_env.h"

#include <weir/limiter.h>

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4
#define TRIES   20000
#define BURST   30011

typedef struct race {
    weir_limiter *limiter;
    pthread_barrier_t start;
    _Atomic uint64_t admitted;
    _Atomic uint64_t refused;
    _Atomic bool over;
} race;

static void *take_at_a_frozen_clock(void *arg)
{
    race *const r = arg;
    uint64_t admitted = 0;
    pthread_barrier_wait(&r->start);
    for (int i = 0; i < TRIES; i++)
        admitted += weir_limiter_try_at(r->limiter, 1, 1000, NULL) == WEIR_OK;
    atomic_fetch_add(&r->admitted, admitted);
    atomic_fetch_add(&r->refused, TRIES - admitted);
    return NULL;
}

/* Each books and cancels; what could be given back was, and nothing else. */
static void *reserve_and_cancel(void *arg)
{
    race *const r = arg;
    pthread_barrier_wait(&r->start);
    for (int i = 0; i < TRIES / 4; i++) {
        weir_reservation reservation;
        if (weir_limiter_reserve(r->limiter, 1, 1000, WEIR_NEVER, &reservation) != WEIR_OK)
            continue;
        uint64_t const given_ns = weir_limiter_cancel(r->limiter, &reservation, 1000);
        atomic_fetch_add(&r->admitted, given_ns == 0);
    }
    return NULL;
}

static void run(race *r, void *(*body)(void *))
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&r->start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, r), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&r->start);
}

static weir_limiter_options frozen_options(const weir_env *env)
{
    weir_limiter_options options = WEIR_LIMITER_OPTIONS_INIT;
    options.limit = 1;
    options.period_ns = 1000;
    options.burst = BURST;
    options.env = env;
    return options;
}

static void exactly_the_burst_passes_at_a_frozen_clock(void **state)
{
    (void)state;
    race r = {.limiter = NULL};
    weir_limiter_options const options = frozen_options(NULL);
    assert_int_equal(weir_limiter_create(&r.limiter, &options), WEIR_OK);
    run(&r, take_at_a_frozen_clock);
    assert_int_equal(r.admitted, BURST);
    assert_int_equal(r.refused, THREADS * TRIES - BURST);
    weir_limiter_stats stats;
    weir_limiter_get_stats(r.limiter, 1000, &stats);
    assert_int_equal(stats.remaining, 0);
    assert_int_equal(stats.refused, r.refused);
    weir_limiter_destroy(r.limiter);
}

static void what_is_not_given_back_is_what_is_missing(void **state)
{
    (void)state;
    race r = {.limiter = NULL};
    weir_limiter_options const options = frozen_options(NULL);
    assert_int_equal(weir_limiter_create(&r.limiter, &options), WEIR_OK);
    assert_int_equal(weir_limiter_try_at(r.limiter, BURST, 1000, NULL), WEIR_OK);
    run(&r, reserve_and_cancel);
    weir_limiter_stats stats;
    weir_limiter_get_stats(r.limiter, 1000, &stats);
    assert_int_equal(stats.debt_ns, (BURST + r.admitted) * 1000);
    weir_limiter_destroy(r.limiter);
}

/* Ever slower, so that on the frozen clock no TAT ever comes back. */
static void *update_again_and_again(void *arg)
{
    race *const r = arg;
    fake_env fake = {.now_ns = 1000};
    weir_env const env = fake_env_hooks(&fake);
    weir_limiter_options options = frozen_options(&env);
    while (!atomic_load(&r->over)) {
        options.period_ns += 7;
        assert_int_equal(weir_limiter_update(r->limiter, &options), WEIR_OK);
    }
    return NULL;
}

/* The clock stands still, so a rate, whichever it is, brings nothing: permits are conserved. */
static void updates_neither_mint_nor_lose_a_permit(void **state)
{
    (void)state;
    fake_env fake = {.now_ns = 1000};
    weir_env const env = fake_env_hooks(&fake);
    race r = {.limiter = NULL};
    weir_limiter_options const options = frozen_options(&env);
    assert_int_equal(weir_limiter_create(&r.limiter, &options), WEIR_OK);
    assert_int_equal(weir_limiter_try_at(r.limiter, 11, 1000, NULL), WEIR_OK);
    pthread_t updater;
    assert_int_equal(pthread_create(&updater, NULL, update_again_and_again, &r), 0);
    run(&r, take_at_a_frozen_clock);
    atomic_store(&r.over, true);
    pthread_join(updater, NULL);
    assert_int_equal(r.admitted, BURST - 11);
    weir_limiter_destroy(r.limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_burst_passes_at_a_frozen_clock),
        cmocka_unit_test(what_is_not_given_back_is_what_is_missing),
        cmocka_unit_test(updates_neither_mint_nor_lose_a_permit),
    };
    return cmocka_run_group_tests_name("limiter stress", tests, NULL, NULL);
}
