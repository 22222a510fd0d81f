/* When a check is run, and what becomes of the run. */
#include "health/health.h"

static uint64_t health_ms(uint32_t ms)
{
    return ms * WEIR__NS_PER_MS;
}

/* HAProxy's three intervals, and Envoy's for those without traffic. */
static uint32_t health_interval_ms(const weir_health_check *check)
{
    const weir__health_plan *const plan = &check->plan;
    if (WEIR__LIKELY(check->counter == weir__health_top(check))) {
        if (plan->idle_ms == 0)
            return plan->interval_ms;
        uint64_t const traffic_ns = atomic_load_explicit(&check->traffic_ns, memory_order_relaxed);
        return weir__add_ns(traffic_ns, health_ms(plan->interval_ms)) < check->started_ns
                   ? plan->idle_ms
                   : plan->interval_ms;
    }
    return check->counter == 0 && weir__health_state(check) == WEIR_HEALTH_DOWN ? plan->down_ms
                                                                                : plan->fast_ms;
}

/* That much of a whole, which is below 2^37 (two days have fewer microseconds), at random. */
static uint64_t health_share(uint64_t whole, uint64_t drawn)
{
    return (drawn >> 37) * whole >> 27;
}

/* The next start, counted from the last; not before now. */
static void health_schedule(weir_health *health, weir_health_check *check)
{
    if (check->startup && check->started_up)
        return; /* Done for good. */
    uint64_t interval_ns = health_ms(health_interval_ms(check));
    if (check->plan.jitter_percent > 0) {
        uint64_t const drawn = weir__mix64(health->jitter += WEIR__GOLDEN);
        uint64_t const jitter_us = interval_ns / 100000 * check->plan.jitter_percent;
        interval_ns -= jitter_us * WEIR__NS_PER_US;
        interval_ns += health_share(2 * jitter_us, drawn) * WEIR__NS_PER_US;
    }
    uint64_t due_ns = weir__add_ns(check->started_ns, interval_ns);
    if (due_ns < health->now_ns)
        due_ns = health->now_ns;
    weir__wheel_set(&health->wheel, check->place, weir__health_ceil_ms(due_ns));
}

/* Multiples of the golden ratio, modulo 1, lie apart from one another, however many there are. */
static uint64_t health_spread_ns(weir_health *health, const weir_health_check *check,
                                 uint32_t percent)
{
    health->spread += WEIR__GOLDEN;
    uint64_t const range_us = check->plan.interval_ms * UINT64_C(10) * percent;
    return health_share(range_us, health->spread) * WEIR__NS_PER_US;
}

/* A heartbeat check is looked at when it has been silent, or down, for as long as it may be. */
static void health_schedule_beat(weir_health *health, weir_health_check *check)
{
    uint64_t due_ns = weir__add_ns(check->started_ns, health_ms(check->plan.ttl_ms));
    if (weir__health_state(check) == WEIR_HEALTH_DOWN) {
        if (check->plan.expire_ms == 0 || check->expired) {
            if (weir__wheel_holds(&health->wheel, check->place))
                weir__wheel_remove(&health->wheel, check->place);
            return; /* Only a beat can change anything. */
        }
        due_ns = weir__add_ns(check->changed_ns, health_ms(check->plan.expire_ms));
    }
    weir__wheel_set(&health->wheel, check->place, weir__health_ceil_ms(due_ns));
}

void weir__health_schedule_first(weir_health *health, weir_health_check *check,
                                 uint32_t spread_percent)
{
    check->started_ns = health->now_ns;
    if (check->start == NULL) {
        health_schedule_beat(health, check);
        return;
    }
    uint64_t const due_ns =
        weir__add_ns(health->now_ns, health_spread_ns(health, check, spread_percent));
    weir__wheel_set(&health->wheel, check->place, weir__health_ceil_ms(due_ns));
}

void weir__health_reschedule(weir_health *health, weir_health_check *check)
{
    if (check->start == NULL)
        health_schedule_beat(health, check);
    else if (check->run == 0 && !check->waiting)
        health_schedule(health, check);
}

/* ---- The end of a run ---- */

static void health_end_run(weir_health *health, weir_health_check *check)
{
    check->run = 0;
    health->running--;
    if (weir__wheel_holds(&health->wheel, check->place))
        weir__wheel_remove(&health->wheel, check->place);
}

void weir__health_unschedule(weir_health *health, weir_health_check *check)
{
    weir__wheel_remove(&health->wheel, check->place); /* Out of the line, too. */
    if (check->waiting)
        health->waiting--;
    check->waiting = false;
    if (check->run != 0)
        health_end_run(health, check);
}

weir_health_run weir__health_run_of(weir_health *health, weir_health_check *check)
{
    return (weir_health_run){
        .health = health,
        .check = check,
        .id = check->id,
        .token = {.run = check->run, .place = check->place},
        .started_ns = check->started_ns,
        .deadline_ns = weir__add_ns(check->started_ns, health_ms(check->plan.timeout_ms)),
    };
}

/* As it was before, at the top: nothing but counts can change. */
static bool health_is_steady(const weir_health_check *check, const weir_health_result *result)
{
    return result->verdict == WEIR_HEALTH_PASS && check->last == (uint8_t)WEIR_HEALTH_PASS &&
           result->note == NULL && check->counter == weir__health_top(check);
}

/* What was started before a stall ended has failed on our account as likely as on its own. */
static void health_finish(weir_health *health, weir_health_check *check,
                          const weir_health_result *result, weir_health_reason reason)
{
    health_end_run(health, check);
    if (WEIR__LIKELY(health_is_steady(check, result))) {
        check->passed++;
        check->figure = result->figure;
        health_schedule(health, check);
        return;
    }
    bool const ours = result->verdict == WEIR_HEALTH_FAIL && check->started_ns < health->stalled_ns;
    if (ours || result->verdict == WEIR_HEALTH_ABSTAIN)
        check->discarded++;
    else
        weir__health_judge(health, check, result, reason);
    health_schedule(health, check);
}

static void health_time_out(weir_health *health, weir_health_check *check)
{
    weir_health_run const run = weir__health_run_of(health, check);
    weir_health_result const result = {.verdict = WEIR_HEALTH_FAIL, .note = "no answer in time"};
    if (check->started_ns >= health->stalled_ns)
        check->timeouts++;
    health_finish(health, check, &result, WEIR_HEALTH_BY_TIMEOUT);
    if (check->cancel == NULL)
        return;
    check->refs++;
    weir__health_pause(health);
    check->cancel(&run, check->user);
    pthread_mutex_lock(&health->lock);
    weir__health_release(health, check);
}

int weir_health_done(weir_health *health, weir_health_token token, const weir_health_result *result)
{
    if (result->verdict < WEIR_HEALTH_PASS || result->verdict > WEIR_HEALTH_ABSTAIN)
        return WEIR_EINVAL;
    uint64_t const now_ns = weir__now_ns(&health->env);
    pthread_mutex_lock(&health->lock);
    (void)weir__health_tick(health, now_ns);
    weir_health_check *const check = weir__wheel_owner(&health->wheel, token.place);
    bool const current = check != NULL && token.run != 0 && check->run == token.run;
    if (current) {
        check->latency_ns = health->now_ns - check->started_ns;
        health_finish(health, check, result, WEIR_HEALTH_BY_RESULT);
    } else if (check != NULL && token.run > check->runs_before) {
        check->late++;
    }
    weir__health_unlock(health);
    return current ? WEIR_OK : WEIR_ESTALE;
}

/* ---- The start of a run ---- */

static bool health_is_held_up(const weir_health_check *dependency)
{
    return weir__health_state(dependency) == WEIR_HEALTH_DOWN ||
           dependency->skip == (uint8_t)WEIR_HEALTH_SKIP_DEPENDENCY;
}

static bool health_has_traffic(const weir_health_check *check)
{
    return check->skips_in_row < check->plan.traffic_skips &&
           check->counter == weir__health_top(check) &&
           atomic_load_explicit(&check->traffic_ns, memory_order_relaxed) > check->started_ns;
}

static weir_health_skip health_why_skip(const weir_health *health, const weir_health_check *check,
                                        weir_health_check **because)
{
    *because = NULL;
    for (size_t i = 0; i < check->depends_count; i++)
        if (health_is_held_up(check->depends[i])) {
            *because = check->depends[i];
            return WEIR_HEALTH_SKIP_DEPENDENCY;
        }
    if (health->gates > 0 && check->target->gates > 0 && !check->startup)
        return WEIR_HEALTH_SKIP_STARTUP;
    return health_has_traffic(check) ? WEIR_HEALTH_SKIP_TRAFFIC : WEIR_HEALTH_NOT_SKIPPED;
}

/* Lock held, but for the call of the prober. */
static void health_start(weir_health *health, weir_health_check *check)
{
    check->run = ++health->runs;
    check->started_ns = health->now_ns;
    check->runs++;
    check->refs++;
    health->running++;
    weir_health_run const run = weir__health_run_of(health, check);
    weir_health_result result = WEIR_HEALTH_RESULT_INIT;
    weir__health_pause(health);
    check->start(&run, &result, check->user);
    pthread_mutex_lock(&health->lock);
    if (result.verdict > WEIR_HEALTH_ABSTAIN)
        result.verdict = WEIR_HEALTH_ABSTAIN; /* No verdict that we know. */
    if (check->run == run.token.run) {
        if (result.verdict == WEIR_HEALTH_PENDING) {
            weir__wheel_set(&health->wheel, check->place, weir__health_ceil_ms(run.deadline_ns));
        } else {
            health_finish(health, check, &result, WEIR_HEALTH_BY_RESULT);
        }
    }
    weir__health_release(health, check);
}

static void health_begin(weir_health *health, weir_health_check *check)
{
    weir_health_check *because;
    weir_health_skip const skip = health_why_skip(health, check, &because);
    if (WEIR__UNLIKELY(skip != (weir_health_skip)check->skip || because != NULL))
        weir__health_tell_skip(health, check, skip, because);
    if (skip == WEIR_HEALTH_NOT_SKIPPED) {
        check->skips_in_row = 0;
        health_start(health, check);
        return;
    }
    check->skipped++;
    check->skips_in_row += skip == WEIR_HEALTH_SKIP_TRAFFIC;
    check->started_ns = health->now_ns;
    health_schedule(health, check);
}

/* ---- The task ---- */

/* Silence counts from the last beat, and a stall may have kept beats from being heard. */
static void health_look_at_beat(weir_health *health, weir_health_check *check)
{
    if (check->started_ns < health->stalled_ns)
        check->started_ns = health->stalled_ns;
    uint64_t const silent_ns = health->now_ns - check->started_ns;
    if (weir__health_state(check) == WEIR_HEALTH_DOWN) {
        weir__health_expire(health, check);
    } else if (silent_ns >= health_ms(check->plan.ttl_ms)) {
        weir_health_result const result = {.verdict = WEIR_HEALTH_FAIL, .note = "no beat in time"};
        check->timeouts++;
        weir__health_judge(health, check, &result, WEIR_HEALTH_BY_SILENCE);
        if (weir__health_state(check) != WEIR_HEALTH_DOWN)
            check->started_ns = health->now_ns; /* Tolerated: one more round. */
    }
    health_schedule_beat(health, check);
}

/* After a stall, all that should have run meanwhile must not run at once. */
static bool health_is_overdue(const weir_health *health, const weir_health_check *check)
{
    return health->stalled_ns != 0 &&
           health->wheel.nodes[check->place].at_ms * WEIR__NS_PER_MS < health->stalled_ns;
}

static void health_look_at(weir_health *health, weir_health_check *check)
{
    if (check->run != 0) {
        health_time_out(health, check);
    } else if (check->start == NULL) {
        health_look_at_beat(health, check);
    } else if (WEIR__UNLIKELY(health_is_overdue(health, check))) {
        uint64_t const due_ns =
            weir__add_ns(health->now_ns, 1 + health_spread_ns(health, check, 100));
        weir__wheel_set(&health->wheel, check->place, weir__health_ceil_ms(due_ns));
    } else if (WEIR__LIKELY(health->waiting == 0 &&
                            health->running < health->options.max_running)) {
        health_begin(health, check);
    } else {
        check->waiting = true;
        health->waiting++;
        weir__wheel_append(&health->wheel, WEIR__WHEEL_LINE, check->place);
    }
}

uint64_t weir__health_run(void *self, uint64_t now_ns)
{
    weir_health *const health = self;
    pthread_mutex_lock(&health->lock);
    health->in_run = true;
    uint64_t const now_ms = weir__health_tick(health, now_ns) / WEIR__NS_PER_MS;
    uint64_t next_ms = WEIR_NEVER;
    for (;;) {
        if (WEIR__UNLIKELY(health->outbox.ring.count > 0)) { /* Told before there are too many. */
            weir__health_unlock(health);
            pthread_mutex_lock(&health->lock);
        }
        weir_health_check *check = weir__wheel_take(&health->wheel, now_ms, &next_ms);
        if (check != NULL) {
            health_look_at(health, check);
            continue;
        }
        if (health->waiting == 0 || health->running >= health->options.max_running)
            break;
        check = weir__wheel_first(&health->wheel, WEIR__WHEEL_LINE);
        weir__wheel_remove(&health->wheel, check->place);
        check->waiting = false;
        health->waiting--;
        health_begin(health, check);
    }
    health->in_run = false;
    uint64_t const next_ns = weir__mul_ns(next_ms, WEIR__NS_PER_MS);
    health->promised_ns = health->wake_ns = next_ns;
    weir__health_unlock(health);
    return next_ns;
}

int weir_health_beat(weir_health *health, weir_health_check *check,
                     const weir_health_result *result)
{
    if (check->start != NULL || result->verdict < WEIR_HEALTH_PASS ||
        result->verdict > WEIR_HEALTH_FAIL)
        return WEIR_EINVAL;
    uint64_t const now_ns = weir__now_ns(&health->env);
    pthread_mutex_lock(&health->lock);
    weir_health_state const before = weir__health_state(check);
    check->started_ns = weir__health_tick(health, now_ns);
    check->runs++;
    weir__health_judge(health, check, result, WEIR_HEALTH_BY_BEAT);
    /* In the same state, it is looked at anyway, and not too late. */
    if (weir__health_state(check) != before || !weir__wheel_holds(&health->wheel, check->place))
        health_schedule_beat(health, check);
    weir__health_unlock(health);
    return WEIR_OK;
}

void weir_health_note_traffic(weir_health_check *check, uint64_t now_ns)
{
    uint64_t const last_ns = atomic_load_explicit(&check->traffic_ns, memory_order_relaxed);
    uint64_t const step_ns = atomic_load_explicit(&check->traffic_step_ns, memory_order_relaxed);
    if (now_ns > last_ns && now_ns - last_ns >= step_ns)
        atomic_store_explicit(&check->traffic_ns, now_ns, memory_order_relaxed);
}

void weir_health_check_now(weir_health *health, weir_health_check *check)
{
    uint64_t const now_ns = weir__now_ns(&health->env);
    pthread_mutex_lock(&health->lock);
    (void)weir__health_tick(health, now_ns);
    bool const done = check->startup && check->started_up;
    if (check->start != NULL && check->run == 0 && !check->waiting && !done)
        weir__wheel_set(&health->wheel, check->place, weir__health_ceil_ms(health->now_ns));
    weir__health_unlock(health);
}
