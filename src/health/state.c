/* What results mean: the counter, states, targets, the system, and who is told. */
#include "health/health.h"

#include <string.h>

/* ---- Events ---- */

static void health_tell(const void *item, void *user)
{
    const weir__health_told *const told = item;
    weir_health *const health = user;
    health->options.on_event(&told->event, health->options.user);
    pthread_mutex_lock(&health->lock);
    if (told->check != NULL)
        weir__health_release(health, told->check);
    if (told->because != NULL)
        weir__health_release(health, told->because);
    pthread_mutex_unlock(&health->lock);
}

/* What becomes of the check, its texts stay until the event was told. */
static void health_add_event(weir_health *health, weir_health_check *check,
                             weir_health_check *because, const weir_health_event *event)
{
    if (health->options.on_event == NULL)
        return;
    weir__health_told told = {.event = *event, .check = check, .because = because};
    told.event.check = check;
    told.event.id = check != NULL ? check->id : "";
    told.event.target = check != NULL ? check->target->name : "";
    told.event.user = check != NULL ? check->user : NULL;
    told.event.because = because != NULL ? because->id : "";
    told.event.at_ns = health->now_ns;
    if (check != NULL) {
        told.event.counter = check->counter;
        told.event.figure = check->figure;
        memcpy(told.event.note, check->note, sizeof told.event.note);
    }
    uint64_t const dropped = health->outbox.dropped;
    told.event.dropped = dropped;
    weir__outbox_add(&health->outbox, &told);
    if (health->outbox.dropped != dropped)
        return;
    if (check != NULL)
        check->refs++;
    if (because != NULL)
        because->refs++;
}

static bool health_should_wake(const weir_health *health)
{
    if (health->in_run || health->options.on_wake == NULL)
        return false;
    bool const room = health->waiting > 0 && health->running < health->options.max_running;
    return health->wake_ns > 0 && (room || weir__mul_ns(weir__wheel_next_ms(&health->wheel),
                                                        WEIR__NS_PER_MS) < health->wake_ns);
}

void weir__health_unlock(weir_health *health)
{
    bool const wake = health_should_wake(health);
    if (wake) {
        health->wake_ns = 0;
        if (health->promised_ns > health->now_ns)
            health->promised_ns = health->now_ns;
    }
    if (health->outbox.ring.count > 0) {
        weir__health_told told;
        weir__outbox_unlock(&health->outbox, &health->lock, &told, health_tell, health);
    } else {
        pthread_mutex_unlock(&health->lock);
    }
    if (wake)
        health->options.on_wake(health->options.user);
}

/* ---- Time ---- */

/* Whoever comes by may find a stall, which goes on until the task runs. */
static void health_stall(weir_health *health)
{
    uint64_t const late_ns = health->now_ns - health->promised_ns;
    health->stalled_ns = health->now_ns;
    health->stalled_sum_ns += late_ns - health->late_ns;
    if (health->late_ns == 0) {
        health->stalls++;
        weir_health_event const event = {.kind = WEIR_HEALTH_STALLED, .late_ns = late_ns};
        health_add_event(health, NULL, NULL, &event);
    }
    health->late_ns = health->in_run ? 0 : late_ns;
    if (health->in_run)
        health->promised_ns = WEIR_NEVER;
}

uint64_t weir__health_tick(weir_health *health, uint64_t now_ns)
{
    if (now_ns > health->now_ns)
        health->now_ns = now_ns;
    if (WEIR__UNLIKELY(health->now_ns > weir__add_ns(health->promised_ns, health->stall_ns)))
        health_stall(health);
    return health->now_ns;
}

/* ---- Targets and the system ---- */

static weir_health_state health_target_state(const weir__health_target *target)
{
    const uint32_t *const optional = target->counts.by_state[0];
    const uint32_t *const critical = target->counts.by_state[1];
    if (critical[WEIR_HEALTH_DOWN] > 0)
        return WEIR_HEALTH_DOWN;
    if (critical[WEIR_HEALTH_UNKNOWN] > 0)
        return WEIR_HEALTH_UNKNOWN;
    if (critical[WEIR_HEALTH_WARN] + optional[WEIR_HEALTH_WARN] + optional[WEIR_HEALTH_DOWN] > 0)
        return WEIR_HEALTH_WARN;
    return critical[WEIR_HEALTH_UP] + optional[WEIR_HEALTH_UP] > 0 ? WEIR_HEALTH_UP
                                                                   : WEIR_HEALTH_UNKNOWN;
}

static weir_health_system health_system_state(const weir__health_counts *counts)
{
    if (counts->by_state[1][WEIR_HEALTH_DOWN] > 0)
        return WEIR_HEALTH_UNHEALTHY;
    uint32_t ill = counts->by_state[0][WEIR_HEALTH_DOWN];
    for (int critical = 0; critical < 2; critical++)
        ill += counts->by_state[critical][WEIR_HEALTH_UNKNOWN] +
               counts->by_state[critical][WEIR_HEALTH_WARN];
    return ill > 0 ? WEIR_HEALTH_DEGRADED : WEIR_HEALTH_HEALTHY;
}

void weir__health_count(weir_health *health, weir_health_check *check, int by)
{
    weir_health_state const state = weir__health_state(check);
    health->counts.by_state[check->plan.critical][state] += (uint32_t)by;
    check->target->counts.by_state[check->plan.critical][state] += (uint32_t)by;
}

void weir__health_recount(weir_health *health, weir_health_check *check)
{
    weir__health_target *const target = check->target;
    weir_health_state const from = target->state;
    target->state = health_target_state(target);
    if (target->state != from && target->checks > 0) {
        weir_health_event const event = {.kind = WEIR_HEALTH_TARGET_CHANGED,
                                         .from = from,
                                         .to = target->state};
        health_add_event(health, check, NULL, &event);
    }
    weir_health_system const system_from = health->system;
    health->system = health_system_state(&health->counts);
    if (health->system != system_from) {
        weir_health_event const event = {.kind = WEIR_HEALTH_SYSTEM_CHANGED,
                                         .system_from = system_from,
                                         .system_to = health->system};
        health_add_event(health, check, NULL, &event);
    }
}

/* ---- States ---- */

static void health_remember(weir_health *health, weir_health_check *check, weir_health_state from,
                            weir_health_state to, weir_health_reason reason)
{
    if (check->history == NULL)
        return;
    weir_health_transition *const entry = &check->history[check->history_next];
    *entry = (weir_health_transition){.at_ns = health->now_ns,
                                      .wall_ns = weir__wall_ns(&health->env),
                                      .from = from,
                                      .to = to,
                                      .reason = reason,
                                      .figure = check->figure};
    memcpy(entry->note, check->note, sizeof entry->note);
    check->history_next = (check->history_next + 1) % check->history_capacity;
    if (check->history_count < check->history_capacity)
        check->history_count++;
}

static void health_become(weir_health *health, weir_health_check *check, weir_health_state to,
                          weir_health_reason reason)
{
    weir_health_state const from = weir__health_state(check);
    if (to == from)
        return;
    weir__health_count(health, check, -1);
    atomic_store_explicit(&check->state, (uint32_t)to, memory_order_release);
    weir__health_count(health, check, 1);
    check->changed_ns = health->now_ns;
    check->expired = false;
    health_remember(health, check, from, to, reason);
    weir_health_event const event = {.kind = WEIR_HEALTH_CHECK_CHANGED,
                                     .from = from,
                                     .to = to,
                                     .reason = reason};
    health_add_event(health, check, NULL, &event);
    if (check->startup && !check->started_up && to != WEIR_HEALTH_DOWN) {
        check->started_up = true;
        check->target->gates--;
        health->gates--;
    }
    weir__health_recount(health, check);
}

static void health_pass(weir_health *health, weir_health_check *check, bool first, bool warns,
                        weir_health_reason reason)
{
    uint32_t const top = weir__health_top(check);
    check->passed++;
    check->failing = false;
    if (check->counter < top) {
        check->counter++;
        if (check->counter >= check->plan.rise || (first && check->plan.first_pass_up))
            check->counter = top;
    }
    if (check->counter >= check->plan.rise)
        health_become(health, check, warns ? WEIR_HEALTH_WARN : WEIR_HEALTH_UP, reason);
}

static void health_fail(weir_health *health, weir_health_check *check, weir_health_reason reason)
{
    check->failed++;
    if (!check->failing) {
        check->failing = true;
        check->failing_ns = health->now_ns;
    }
    if (check->counter > check->plan.rise) {
        check->counter--;
        return;
    }
    weir_health_state const state = weir__health_state(check);
    bool const tolerated =
        health->now_ns - check->failing_ns < check->plan.tolerate_ms * WEIR__NS_PER_MS;
    if (state != WEIR_HEALTH_DOWN && tolerated) {
        if (state == WEIR_HEALTH_UNKNOWN)
            check->counter = 0; /* Passes to be up come in a row. */
        return;
    }
    check->counter = 0;
    health_become(health, check, WEIR_HEALTH_DOWN, reason);
    weir__health_expire(health, check);
}

void weir__health_expire(weir_health *health, weir_health_check *check)
{
    uint64_t const expire_ns = check->plan.expire_ms * WEIR__NS_PER_MS;
    if (expire_ns == 0 || check->expired || weir__health_state(check) != WEIR_HEALTH_DOWN ||
        health->now_ns - check->changed_ns < expire_ns)
        return;
    check->expired = true;
    weir_health_event const event = {.kind = WEIR_HEALTH_CHECK_EXPIRED,
                                     .from = WEIR_HEALTH_DOWN,
                                     .to = WEIR_HEALTH_DOWN};
    health_add_event(health, check, NULL, &event);
}

/* A note is only as old as the verdict it came with. */
static void health_note(weir_health_check *check, const weir_health_result *result)
{
    if (result->note != NULL) {
        size_t const size = strnlen(result->note, WEIR_HEALTH_NOTE_SIZE - 1);
        memcpy(check->note, result->note, size);
        memset(check->note + size, 0, WEIR_HEALTH_NOTE_SIZE - size);
    } else if (check->last != (uint8_t)result->verdict) {
        memset(check->note, 0, WEIR_HEALTH_NOTE_SIZE);
    }
    check->figure = result->figure;
    check->last = (uint8_t)result->verdict;
}

void weir__health_judge(weir_health *health, weir_health_check *check,
                        const weir_health_result *result, weir_health_reason reason)
{
    bool const first = check->last == (uint8_t)WEIR_HEALTH_PENDING;
    health_note(check, result);
    if (result->verdict == WEIR_HEALTH_FAIL)
        health_fail(health, check, reason);
    else
        health_pass(health, check, first, result->verdict == WEIR_HEALTH_WARNING, reason);
}

void weir__health_tell_skip(weir_health *health, weir_health_check *check, weir_health_skip skip,
                            weir_health_check *because)
{
    weir_health_check *const before = check->because;
    if (skip == (weir_health_skip)check->skip && because == before)
        return;
    bool const was_told =
        check->skip != WEIR_HEALTH_NOT_SKIPPED && check->skip != WEIR_HEALTH_SKIP_TRAFFIC;
    bool const is_told = skip != WEIR_HEALTH_NOT_SKIPPED && skip != WEIR_HEALTH_SKIP_TRAFFIC;
    if (because != NULL)
        because->refs++;
    check->skip = (uint8_t)skip;
    check->because = because;
    if (is_told || was_told) {
        weir_health_event const event = {.kind = is_told ? WEIR_HEALTH_CHECK_SKIPPED
                                                         : WEIR_HEALTH_CHECK_RESUMED,
                                         .from = weir__health_state(check),
                                         .to = weir__health_state(check),
                                         .skip = skip};
        health_add_event(health, check, because, &event);
    }
    if (before != NULL)
        weir__health_release(health, before);
}
