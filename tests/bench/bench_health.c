/* What a checker of many targets costs: one due check started, and its result taken. */
#include "support/bench.h"

#include <weir/health.h>

#define MS UINT64_C(1000000)

static uint64_t clock_ns = 1000 * MS;
static weir_health_token pending;
static uint64_t runs;

static uint64_t now_ns(void *user)
{
    (void)user;
    return clock_ns;
}

static void pass(const weir_health_run *run, weir_health_result *result, void *user)
{
    (void)run;
    (void)user;
    result->verdict = WEIR_HEALTH_PASS;
    runs++;
}

static void answer_later(const weir_health_run *run, weir_health_result *result, void *user)
{
    (void)result;
    (void)user;
    pending = run->token;
    runs++;
}

static weir_health *checker_of(size_t size, weir_health_start_fn start)
{
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = now_ns;
    weir_health_options options = WEIR_HEALTH_OPTIONS_INIT;
    options.env = &env;
    weir_health *health;
    if (weir_health_create(&health, &options) != WEIR_OK)
        abort();
    weir_health_check_options check = WEIR_HEALTH_CHECK_OPTIONS_INIT;
    check.start = start;
    check.history = 0;
    for (size_t i = 0; i < size; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "target-%zu", i);
        if (weir_health_add(health, id, &check, NULL) != WEIR_OK)
            abort();
    }
    return health;
}

/* From one due time to the next; an operation is a run, however many fall into one tick. */
static void tick(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    weir_health *const health = ctx;
    weir_task const task = weir_health_task(health);
    uint64_t next_ns = task.run(task.self, clock_ns);
    weir_health_result result = WEIR_HEALTH_RESULT_INIT;
    result.verdict = WEIR_HEALTH_PASS;
    for (runs = 0; runs < iterations;) {
        clock_ns = next_ns;
        next_ns = task.run(task.self, clock_ns);
        if (pending.run != 0)
            (void)weir_health_done(health, pending, &result);
        pending.run = 0;
    }
}

static void traffic(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        weir_health_note_traffic(ctx, clock_ns + i);
}

int main(void)
{
    weir_health *const few = checker_of(10, pass);
    bench_run("health.tick", 1, 10, tick, few);
    bench_run("health.note_traffic", 1, 1, traffic, weir_health_find(few, "target-0"));
    bench_run("health.note_traffic", 2, 1, traffic, weir_health_find(few, "target-0"));
    weir_health_destroy(few);
    weir_health *const many = checker_of(10000, pass);
    bench_run("health.tick", 1, 10000, tick, many);
    weir_health_destroy(many);
    weir_health *const async = checker_of(10, answer_later);
    bench_run("health.tick_async", 1, 10, tick, async);
    weir_health_destroy(async);
    return 0;
}
