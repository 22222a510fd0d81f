/* Random targets and probers: quick, slow, lost, late and doubled answers, abstentions, a task that
 * is late or starved, limits on runs, clocks that step back. Beside the checker goes a model of
 * HAProxy's rules, written down independently. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/health.h>

#include <stdio.h>
#include <string.h>

#define MS       UINT64_C(1000000)
#define CHECKS   24
#define STEPS    250
#define STALL_MS 1500

typedef struct world world;

typedef struct target {
    world *w;
    weir_health_check *check;
    weir_health_check_options options;
    /* What the model says. */
    uint32_t health; /* HAProxy's name of the counter. */
    bool known, up, judged;
    uint64_t passed, failed;
    weir_health_state told;
    /* The run under way. */
    bool running;
    weir_health_token token;
    uint64_t started_ns, answer_ns; /* WEIR_NEVER = it never comes. */
    weir_health_verdict answer;
    uint64_t free_ns; /* Since when nothing keeps it from its next run. */
    uint64_t starts;
} target;

struct world {
    fake_env fake;
    weir__rng rng;
    weir_health *health;
    weir_health_options options;
    target targets[CHECKS];
    size_t count;
    size_t running;
    uint64_t latest_ns, stalled_ns, last_run_ns;
    unsigned illness; /* Of 100 answers, those that fail. */
    unsigned system_events;
    weir_health_system system;
    weir_health_token old[16]; /* Of runs long over. */
    uint64_t digest;
};

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static uint32_t between(world *w, uint32_t least, uint32_t most)
{
    return least + (uint32_t)below(w, most - least + 1);
}

static void note(world *w, uint64_t value)
{
    w->digest = (w->digest ^ value) * UINT64_C(1099511628211);
}

/* ---- The model: haproxy's src/check.c in words ---- */

static void model_pass(target *t)
{
    uint32_t const top = t->options.rise + t->options.fall - 1;
    bool const first = !t->judged;
    t->judged = true;
    t->passed++;
    if (t->health < top) {
        t->health++;
        if (t->health >= t->options.rise) /* "OK now": all failures are forgiven. */
            t->health = top;
    }
    if (first && t->options.first_pass_up)
        t->health = top;
    if (t->health >= t->options.rise)
        t->known = t->up = true;
}

static void model_fail(target *t)
{
    t->judged = true;
    t->failed++;
    if (t->up && t->health > t->options.rise) {
        t->health--; /* "Still good." */
        return;
    }
    t->health = 0;
    t->known = true;
    t->up = false;
}

static weir_health_state model_state(const target *t)
{
    if (!t->known)
        return WEIR_HEALTH_UNKNOWN;
    return t->up ? WEIR_HEALTH_UP : WEIR_HEALTH_DOWN;
}

static void run_over(target *t)
{
    SEED_CHECK(t->running);
    t->running = false;
    t->w->running--;
    t->free_ns = t->w->latest_ns;
}

/* ---- Probers ---- */

static weir_health_verdict draw_verdict(world *w)
{
    if (below(w, 30) == 0)
        return WEIR_HEALTH_ABSTAIN;
    return below(w, 100) < w->illness ? WEIR_HEALTH_FAIL : WEIR_HEALTH_PASS;
}

static void count_answer(target *t, weir_health_verdict verdict)
{
    if (verdict == WEIR_HEALTH_PASS)
        model_pass(t);
    else if (verdict == WEIR_HEALTH_FAIL && t->started_ns >= t->w->stalled_ns)
        model_fail(t);
}

static uint64_t longest_ns(const target *t)
{
    const weir_health_check_options *const o = &t->options;
    uint64_t ms = o->interval_ms;
    ms = o->fast_ms > ms ? o->fast_ms : ms;
    ms = o->down_ms > ms ? o->down_ms : ms;
    return ms * MS / 100 * (100 + o->jitter_percent) + MS;
}

/* It is due within its interval from the last start, or as soon as the last run is over; so at the
   task's run before this one, it was not. */
static void check_in_time(const target *t)
{
    const world *const w = t->w;
    uint64_t const since_ns = t->started_ns + longest_ns(t);
    if (w->options.max_running >= w->count && t->starts > 0 && w->stalled_ns <= t->started_ns)
        SEED_CHECK(w->last_run_ns <= (t->free_ns > since_ns ? t->free_ns : since_ns));
}

static void start(const weir_health_run *run, weir_health_result *result, void *user)
{
    target *const t = user;
    world *const w = t->w;
    SEED_CHECK(!t->running);
    SEED_CHECK(++w->running <= w->options.max_running);
    check_in_time(t);
    t->running = true;
    t->starts++;
    t->token = run->token;
    t->started_ns = run->started_ns;
    t->answer = draw_verdict(w);
    w->old[below(w, 16)] = run->token;
    note(w, run->token.run ^ run->started_ns);
    SEED_CHECK(run->deadline_ns == run->started_ns + t->options.timeout_ms * MS);
    if (below(w, 3) == 0) { /* At once. */
        result->verdict = t->answer;
        count_answer(t, t->answer);
        run_over(t);
        return;
    }
    uint64_t const within_ns = below(w, 2 * t->options.timeout_ms + 1) * MS;
    t->answer_ns = below(w, 8) == 0 ? WEIR_NEVER : w->latest_ns + within_ns;
}

static void cancel(const weir_health_run *run, void *user)
{
    target *const t = user;
    SEED_CHECK(run->token.run == t->token.run);
    SEED_CHECK(t->w->latest_ns >= run->deadline_ns);
    count_answer(t, WEIR_HEALTH_FAIL);
    run_over(t);
}

static void on_event(const weir_health_event *event, void *user)
{
    world *const w = user;
    note(w, (uint64_t)event->kind * 31 + (uint64_t)event->to);
    SEED_CHECK(event->dropped == 0);
    if (event->kind == WEIR_HEALTH_STALLED) {
        SEED_CHECK(event->late_ns > STALL_MS * MS);
        w->stalled_ns = event->at_ns;
    } else if (event->kind == WEIR_HEALTH_CHECK_CHANGED) {
        target *const t = event->user;
        SEED_CHECK(event->from != event->to);
        SEED_CHECK(event->from == t->told);
        t->told = event->to;
    } else if (event->kind == WEIR_HEALTH_SYSTEM_CHANGED) {
        SEED_CHECK(event->system_from == w->system);
        SEED_CHECK(event->system_to != w->system);
        w->system = event->system_to;
    }
}

/* ---- Worlds ---- */

static void draw_options(world *w, target *t)
{
    t->options = (weir_health_check_options)WEIR_HEALTH_CHECK_OPTIONS_INIT;
    t->options.start = start;
    t->options.cancel = cancel;
    t->options.user = t;
    t->options.interval_ms = between(w, 5, 500);
    t->options.fast_ms = below(w, 2) == 0 ? 0 : between(w, 1, 300);
    t->options.down_ms = below(w, 2) == 0 ? 0 : between(w, 1, 1000);
    t->options.timeout_ms = between(w, 1, 600);
    t->options.rise = between(w, 1, 4);
    t->options.fall = between(w, 1, 4);
    t->options.jitter_percent = between(w, 0, 50);
    t->options.spread_percent = between(w, 0, 100);
    t->options.initial = (weir_health_initial)below(w, 4);
    t->options.first_pass_up = below(w, 2) == 0;
    t->options.critical = below(w, 2) == 0;
}

static void add_target(world *w)
{
    target *const t = &w->targets[w->count];
    char id[16];
    t->w = w;
    draw_options(w, t);
    (void)snprintf(id, sizeof id, "%zu", w->count);
    weir_health_initial const initial = t->options.initial;
    t->known = initial != WEIR_HEALTH_START_UNKNOWN;
    t->up = initial == WEIR_HEALTH_START_UP || initial == WEIR_HEALTH_START_FULLY_UP;
    if (t->up)
        t->health = initial == WEIR_HEALTH_START_UP ? t->options.rise
                                                    : t->options.rise + t->options.fall - 1;
    t->told = model_state(t);
    SEED_CHECK(weir_health_add(w->health, id, &t->options, &t->check) == WEIR_OK);
    w->count++;
}

static void check_world(world *w)
{
    uint32_t down = 0, ill = 0;
    for (size_t i = 0; i < w->count; i++) {
        target *const t = &w->targets[i];
        weir_health_status status;
        weir_health_get_status(w->health, t->check, &status);
        SEED_CHECK(status.counter == t->health);
        SEED_CHECK(status.state == model_state(t));
        SEED_CHECK(status.state == t->told);
        SEED_CHECK(status.passed == t->passed);
        SEED_CHECK(status.failed == t->failed);
        SEED_CHECK(status.running == t->running);
        down += t->options.critical && status.state == WEIR_HEALTH_DOWN;
        ill += status.state != WEIR_HEALTH_UP;
    }
    weir_health_summary summary;
    weir_health_system const system = weir_health_get_system(w->health, &summary);
    SEED_CHECK(summary.running == w->running);
    SEED_CHECK(system == (down > 0  ? WEIR_HEALTH_UNHEALTHY
                          : ill > 0 ? WEIR_HEALTH_DEGRADED
                                    : WEIR_HEALTH_HEALTHY));
    SEED_CHECK(system == w->system);
}

static void bring_answers(world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        target *const t = &w->targets[i];
        if (!t->running || t->answer_ns > w->latest_ns)
            continue;
        weir_health_result const result = {.verdict = t->answer, .figure = (int64_t)i};
        /* Looking at the clock, it may find a stall: then the failure does not count. */
        SEED_CHECK(weir_health_done(w->health, t->token, &result) == WEIR_OK);
        count_answer(t, t->answer);
        run_over(t);
        if (below(w, 4) == 0)
            SEED_CHECK(weir_health_done(w->health, t->token, &result) == WEIR_ESTALE);
    }
    weir_health_result const late = {.verdict = WEIR_HEALTH_PASS};
    weir_health_token const token = w->old[below(w, 16)];
    bool current = false;
    for (size_t i = 0; i < w->count; i++)
        current = current || (w->targets[i].running && w->targets[i].token.run == token.run);
    if (!current)
        SEED_CHECK(weir_health_done(w->health, token, &late) == WEIR_ESTALE);
}

static void set_clock(world *w, uint64_t now_ns)
{
    w->fake.now_ns = now_ns;
    if (now_ns > w->latest_ns)
        w->latest_ns = now_ns;
}

/* Mostly as soon as it wants to be run; at times late, starved, or while the clock steps back. */
static void move_clock(world *w, uint64_t next_ns)
{
    uint64_t const kind = below(w, 100);
    uint64_t now_ns = next_ns == WEIR_NEVER ? w->latest_ns + 100 * MS : next_ns;
    if (kind < 30)
        now_ns = w->latest_ns + below(w, 50) * MS / 2;
    else if (kind < 34)
        now_ns += below(w, 200) * MS;
    else if (kind < 36)
        now_ns += between(w, STALL_MS - 10, 10000) * MS;
    else if (kind < 38)
        now_ns = w->latest_ns - below(w, 100) * MS;
    set_clock(w, now_ns);
}

static uint64_t live(uint64_t seed)
{
    world w = {.fake = {.now_ns = 10000 * MS, .random = seed, .random_step = seed}};
    weir_env const env = fake_env_hooks(&w.fake);
    weir__rng_seed(&w.rng, seed);
    set_clock(&w, w.fake.now_ns);
    w.options = (weir_health_options)WEIR_HEALTH_OPTIONS_INIT;
    w.options.env = &env;
    w.options.on_event = on_event;
    w.options.user = &w;
    w.options.stall_ms = STALL_MS;
    w.options.max_running = below(&w, 2) == 0 ? CHECKS : between(&w, 1, 4);
    SEED_CHECK(weir_health_create(&w.health, &w.options) == WEIR_OK);
    size_t const count = between(&w, 1, CHECKS);
    while (w.count < count)
        add_target(&w);
    weir_task const task = weir_health_task(w.health);
    uint64_t next_ns = WEIR_NEVER;
    for (int i = 0; i < STEPS; i++) {
        if (i % 25 == 0)
            w.illness = (unsigned)below(&w, 3) * 50;
        bring_answers(&w);
        next_ns = task.run(task.self, w.fake.now_ns);
        check_world(&w);
        note(&w, next_ns);
        w.last_run_ns = w.latest_ns;
        move_clock(&w, next_ns);
    }
    uint64_t const digest = w.digest;
    w.latest_ns = WEIR_NEVER; /* What still runs is cancelled before its time. */
    weir_health_destroy(w.health);
    SEED_CHECK(w.fake.live == 0 && w.fake.live_bytes == 0);
    return digest;
}

static void hangs_together(uint64_t seed)
{
    uint64_t const digest = live(seed);
    if (seed % 16 == 0)
        SEED_CHECK(live(seed) == digest);
}

static void a_checker_does_as_haproxy_does_in_every_world(void **state)
{
    (void)state;
    seeds_run(3000, hangs_together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checker_does_as_haproxy_does_in_every_world),
    };
    return cmocka_run_group_tests_name("health_sim", tests, NULL, NULL);
}
