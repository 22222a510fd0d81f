/* Pick and done, over few members and over many; weights 1 to 5. */
#include "support/bench.h"

#include <weir/balancer.h>

static void pick_done(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_pick pick;
        if (weir_balancer_pick(ctx, NULL, &pick))
            abort();
        (void)weir_balancer_done(ctx, &pick, WEIR_SUCCESS, 1000);
    }
}

/* Keys that are hashed already. */
static void pick_by_key_done(void *ctx, unsigned thread, uint64_t iterations)
{
    weir_pick_options options = {.hash = thread + 1};
    for (uint64_t i = 0; i < iterations; i++) {
        weir_pick pick;
        options.hash = (options.hash ^ options.hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
        if (weir_balancer_pick(ctx, &options, &pick))
            abort();
        (void)weir_balancer_done(ctx, &pick, WEIR_SUCCESS, 1000);
    }
}

static void set_members(weir_balancer *balancer, size_t count)
{
    weir_member *const members = calloc(count, sizeof *members);
    char(*const ids)[16] = calloc(count, sizeof *ids);
    if (members == NULL || ids == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "m%zu", i);
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
        members[i].weight = 1 + (uint32_t)(i % 5);
    }
    if (weir_balancer_update(balancer, members, count, 0))
        abort();
    free(members);
    free(ids);
}

static void flip_a_flag(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        if (i % 2 == 0 ? weir_balancer_mark_down(ctx, "m1") : weir_balancer_mark_up(ctx, "m1"))
            abort();
}

static void bench_kind(const char *name, const char *rebuild, weir_balancer_algorithm algorithm,
                       size_t size, bench_body body)
{
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    weir_balancer *balancer;
    options.algorithm = algorithm;
    if (weir_balancer_create(&balancer, &options))
        abort();
    set_members(balancer, size);
    bench_run(name, 1, size, body, balancer);
    bench_run(name, 2, size, body, balancer);
    bench_run(rebuild, 1, size, flip_a_flag, balancer);
    weir_balancer_destroy(balancer);
}

static void bench_hashes(void)
{
    for (size_t size = 100; size <= 10000; size *= 100) {
        bench_kind("balancer.maglev", "balancer.rebuild_maglev", WEIR_MAGLEV, size,
                   pick_by_key_done);
        bench_kind("balancer.ketama", "balancer.rebuild_ketama", WEIR_KETAMA, size,
                   pick_by_key_done);
        bench_kind("balancer.jump", "balancer.rebuild_jump", WEIR_JUMP, size, pick_by_key_done);
    }
    bench_kind("balancer.rendezvous", "balancer.rebuild_rendezvous", WEIR_RENDEZVOUS, 100,
               pick_by_key_done);
}

/* The caller has read the clock; each call is 50 ns after the one before. */
static void pick_at_done(void *ctx, unsigned thread, uint64_t iterations)
{
    static _Thread_local uint64_t now_ns;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_pick pick;
        if (weir_balancer_pick_at(ctx, NULL, now_ns += 50, &pick))
            abort();
        (void)weir_balancer_done(ctx, &pick, WEIR_SUCCESS, 1000);
    }
}

/* Of 10,000 members, 500 get another weight. */
static void update_some(void *ctx, unsigned thread, uint64_t iterations)
{
    static weir_member members[10000];
    static char ids[10000][16];
    static uint32_t round;
    (void)thread;
    for (size_t i = 0; i < 10000; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "m%zu", i);
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
    }
    for (uint64_t i = 0; i < iterations; i++) {
        round++;
        for (size_t at = 0; at < 10000; at += 20)
            members[at].weight = 1 + round % 2;
        if (weir_balancer_update(ctx, members, 10000, 0))
            abort();
    }
}

static void bench_update(void)
{
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    weir_balancer *balancer;
    options.algorithm = WEIR_SMOOTH_WEIGHTED;
    if (weir_balancer_create(&balancer, &options))
        abort();
    bench_run("balancer.update", 1, 10000, update_some, balancer);
    weir_balancer_destroy(balancer);
}

/* Each update changes all weights. */
static void update(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    static weir_member members[1000];
    static char ids[1000][16];
    static unsigned round;
    for (uint64_t end = round + iterations; round < end; round++) {
        for (size_t i = 0; i < 1000; i++) {
            (void)snprintf(ids[i], sizeof ids[i], "m%zu", i);
            members[i] = (weir_member)WEIR_MEMBER_INIT;
            members[i].id = ids[i];
            members[i].weight = 1 + (uint32_t)(i + round) % 5;
        }
        if (weir_balancer_update(ctx, members, 1000, 0))
            abort();
    }
}

static void bench_builds(void)
{
    static const struct {
        const char *name;
        weir_balancer_algorithm algorithm;
    } kinds[] = {{"balancer.maglev_build", WEIR_MAGLEV},
                 {"balancer.ketama_build", WEIR_KETAMA},
                 {"balancer.rendezvous_build", WEIR_RENDEZVOUS},
                 {"balancer.jump_build", WEIR_JUMP}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
        weir_balancer *balancer;
        options.algorithm = kinds[i].algorithm;
        if (weir_balancer_create(&balancer, &options))
            abort();
        bench_run(kinds[i].name, 1, 1000, update, balancer);
        weir_balancer_destroy(balancer);
    }
}

int main(void)
{
    static const struct {
        const char *name, *rebuild;
        weir_balancer_algorithm algorithm;
    } kinds[] = {
        {"balancer.round_robin", "balancer.rebuild_round_robin", WEIR_ROUND_ROBIN},
        {"balancer.smooth_weighted", "balancer.rebuild_smooth_weighted", WEIR_SMOOTH_WEIGHTED},
        {"balancer.random", "balancer.rebuild_random", WEIR_RANDOM},
        {"balancer.least_request", "balancer.rebuild_least_request", WEIR_LEAST_REQUEST},
        {"balancer.earliest_deadline", "balancer.rebuild_earliest_deadline",
         WEIR_EARLIEST_DEADLINE},
        {"balancer.static_stride", "balancer.rebuild_static_stride", WEIR_STATIC_STRIDE},
        {"balancer.least_connections", "balancer.rebuild_least_connections",
         WEIR_LEAST_CONNECTIONS},
        {"balancer.peak_ewma_clock", "balancer.rebuild_peak_ewma", WEIR_PEAK_EWMA},
        {"balancer.locality_aware", "balancer.rebuild_locality_aware", WEIR_LOCALITY_AWARE},
    };
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t size = 100; size <= 10000; size *= 100)
            bench_kind(kinds[kind].name, kinds[kind].rebuild, kinds[kind].algorithm, size,
                       pick_done);
    for (size_t size = 100; size <= 10000; size *= 100)
        bench_kind("balancer.peak_ewma", "balancer.rebuild_peak_ewma", WEIR_PEAK_EWMA, size,
                   pick_at_done);
    bench_hashes();
    bench_update();
    bench_builds();
    return 0;
}
