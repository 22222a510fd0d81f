/* Looks at checks, and names. */
#include "health/health.h"

#include <string.h>

weir_health_state weir_health_get_state(const weir_health_check *check)
{
    return weir__health_state(check);
}

weir_health_check *weir_health_find(weir_health *health, const char *id)
{
    pthread_mutex_lock(&health->lock);
    weir_health_check *const check = weir__map_get(&health->checks, id, strlen(id));
    pthread_mutex_unlock(&health->lock);
    return check;
}

static uint64_t health_due_ns(const weir_health *health, const weir_health_check *check)
{
    if (check->waiting)
        return health->now_ns;
    return weir__wheel_holds(&health->wheel, check->place)
               ? health->wheel.nodes[check->place].at_ms * WEIR__NS_PER_MS
               : WEIR_NEVER;
}

/* Lock held. */
static void health_describe(const weir_health *health, weir_health_check *check,
                            weir_health_status *status)
{
    *status = (weir_health_status){
        .id = check->id,
        .target = check->target->name,
        .user = check->user,
        .check = check,
        .state = weir__health_state(check),
        .skip = (weir_health_skip)check->skip,
        .because = check->because != NULL ? check->because->id : "",
        .running = check->run != 0,
        .critical = check->plan.critical,
        .counter = check->counter,
        .rise = check->plan.rise,
        .fall = check->plan.fall,
        .changed_ns = check->changed_ns,
        .due_ns = health_due_ns(health, check),
        .latency_ns = check->latency_ns,
        .last = (weir_health_verdict)check->last,
        .figure = check->figure,
        .runs = check->runs,
        .passed = check->passed,
        .failed = check->failed,
        .timeouts = check->timeouts,
        .discarded = check->discarded,
        .late = check->late,
        .skipped = check->skipped,
    };
    memcpy(status->note, check->note, sizeof status->note);
}

void weir_health_get_status(weir_health *health, weir_health_check *check,
                            weir_health_status *status)
{
    pthread_mutex_lock(&health->lock);
    health_describe(health, check, status);
    pthread_mutex_unlock(&health->lock);
}

size_t weir_health_get_history(weir_health *health, weir_health_check *check,
                               weir_health_transition *out, size_t size)
{
    pthread_mutex_lock(&health->lock);
    size_t const count = size < check->history_count ? size : check->history_count;
    for (uint32_t i = 0; i < count; i++)
        out[i] = check->history[(check->history_next + check->history_capacity - 1 - i) %
                                check->history_capacity];
    pthread_mutex_unlock(&health->lock);
    return count;
}

int weir_health_get_target(weir_health *health, const char *target, weir_health_state *state)
{
    pthread_mutex_lock(&health->lock);
    const weir__health_target *const found =
        weir__map_get(&health->targets, target, strlen(target));
    if (found != NULL)
        *state = found->state;
    pthread_mutex_unlock(&health->lock);
    return found != NULL ? WEIR_OK : WEIR_ENOTFOUND;
}

weir_health_system weir_health_get_system(weir_health *health, weir_health_summary *summary)
{
    pthread_mutex_lock(&health->lock);
    const uint32_t *const optional = health->counts.by_state[0];
    const uint32_t *const critical = health->counts.by_state[1];
    weir_health_summary const found = {
        .system = health->system,
        .checks = (uint32_t)health->checks.count,
        .unknown = optional[WEIR_HEALTH_UNKNOWN] + critical[WEIR_HEALTH_UNKNOWN],
        .up = optional[WEIR_HEALTH_UP] + critical[WEIR_HEALTH_UP],
        .warn = optional[WEIR_HEALTH_WARN] + critical[WEIR_HEALTH_WARN],
        .down = optional[WEIR_HEALTH_DOWN] + critical[WEIR_HEALTH_DOWN],
        .critical_down = critical[WEIR_HEALTH_DOWN],
        .running = health->running,
        .waiting = health->waiting,
        .stalls = health->stalls,
        .stalled_ns = health->stalled_sum_ns,
        .dropped = health->outbox.dropped,
    };
    pthread_mutex_unlock(&health->lock);
    if (summary != NULL)
        *summary = found;
    return found.system;
}

void weir_health_visit(weir_health *health, weir_health_visit_fn visit, void *user)
{
    weir_health_status status;
    pthread_mutex_lock(&health->lock);
    for (uint32_t i = 0; i < health->wheel.count; i++) {
        weir_health_check *const check = weir__wheel_owner(&health->wheel, i);
        if (check == NULL)
            continue;
        health_describe(health, check, &status);
        weir_health_check *const because = check->because;
        check->refs++; /* Its texts, and those of whom it waits for, stay until it was seen. */
        if (because != NULL)
            because->refs++;
        pthread_mutex_unlock(&health->lock);
        visit(&status, user);
        pthread_mutex_lock(&health->lock);
        if (because != NULL)
            weir__health_release(health, because);
        weir__health_release(health, check);
    }
    pthread_mutex_unlock(&health->lock);
}

const char *weir_health_state_name(weir_health_state state)
{
    switch (state) {
    case WEIR_HEALTH_UNKNOWN: return "unknown";
    case WEIR_HEALTH_UP: return "up";
    case WEIR_HEALTH_WARN: return "warn";
    case WEIR_HEALTH_DOWN: return "down";
    }
    return "unknown";
}

const char *weir_health_system_name(weir_health_system system)
{
    switch (system) {
    case WEIR_HEALTH_HEALTHY: return "healthy";
    case WEIR_HEALTH_DEGRADED: return "degraded";
    case WEIR_HEALTH_UNHEALTHY: return "unhealthy";
    }
    return "unknown";
}

const char *weir_health_skip_name(weir_health_skip skip)
{
    switch (skip) {
    case WEIR_HEALTH_NOT_SKIPPED: return "";
    case WEIR_HEALTH_SKIP_DEPENDENCY: return "dependency";
    case WEIR_HEALTH_SKIP_STARTUP: return "startup";
    case WEIR_HEALTH_SKIP_TRAFFIC: return "traffic";
    }
    return "unknown";
}

const char *weir_health_reason_name(weir_health_reason reason)
{
    switch (reason) {
    case WEIR_HEALTH_BY_RESULT: return "result";
    case WEIR_HEALTH_BY_TIMEOUT: return "timeout";
    case WEIR_HEALTH_BY_BEAT: return "beat";
    case WEIR_HEALTH_BY_SILENCE: return "silence";
    }
    return "unknown";
}
