#include <weir/breaker.h>

#include "breaker/breaker.h"

static int breaker_enter_slowly(weir_breaker *breaker, uint64_t now_ns, weir_breaker_permit *permit,
                                uint64_t *retry_after_ns)
{
    pthread_mutex_lock(&breaker->lock);
    (void)weir__breaker_tick(breaker, now_ns);
    int const result = weir__breaker_admit(breaker, permit, retry_after_ns);
    weir__breaker_unlock(breaker);
    return result;
}

int weir_breaker_enter_at(weir_breaker *breaker, uint64_t now_ns, weir_breaker_permit *permit,
                          uint64_t *retry_after_ns)
{
    uint64_t const control = atomic_load_explicit(&breaker->control, memory_order_acquire);
    weir_breaker_state const state = weir__breaker_state(control);
    *permit = (weir_breaker_permit){weir__breaker_generation(control), now_ns, 0};
    if (WEIR__LIKELY(state == WEIR_BREAKER_CLOSED || state == WEIR_BREAKER_DISABLED ||
                     state == WEIR_BREAKER_METRICS_ONLY))
        return WEIR_OK;

    int result = WEIR_EOPEN;
    uint64_t wait_ns = WEIR_NEVER;
    uint64_t const until_ns = atomic_load_explicit(&breaker->until_ns, memory_order_relaxed);
    if (state == WEIR_BREAKER_OPEN && now_ns < until_ns)
        wait_ns = until_ns - now_ns;
    else if (state != WEIR_BREAKER_FORCED_OPEN)
        result = breaker_enter_slowly(breaker, now_ns, permit, &wait_ns);
    if (result == WEIR_OK)
        return WEIR_OK;
    permit->generation = 0;
    atomic_fetch_add_explicit(&breaker->refused, 1, memory_order_relaxed);
    if (retry_after_ns != NULL)
        *retry_after_ns = wait_ns;
    return WEIR_EOPEN;
}

int weir_breaker_enter(weir_breaker *breaker, weir_breaker_permit *permit, uint64_t *retry_after_ns)
{
    return weir_breaker_enter_at(breaker, weir__now_ns(&breaker->env), permit, retry_after_ns);
}

/* The window said so without the lock; with it, and with the time, it must say so again. */
static void breaker_open_if_ill(weir_breaker *breaker, uint64_t generation, uint64_t now_ns)
{
    pthread_mutex_lock(&breaker->lock);
    uint64_t const at_ns = weir__breaker_tick(breaker, now_ns);
    weir__breaker_policy *const policy = weir__breaker_policy_of(breaker);
    weir__window_counts counts;
    weir_breaker_reason reason;
    if (generation == weir__breaker_generation(atomic_load(&breaker->control))) {
        weir__window_read(policy->window, generation, at_ns, &counts);
        if (weir__window_judge(&policy->options, &counts, &reason))
            weir__breaker_trip(breaker, reason, &counts);
    }
    weir__breaker_unlock(breaker);
}

static bool breaker_is_slow(const weir_breaker_options *options, uint64_t entered_ns,
                            uint64_t now_ns)
{
    return now_ns > entered_ns && now_ns - entered_ns > options->slow_ms * WEIR__NS_PER_MS;
}

static void breaker_count(weir_breaker *breaker, weir_breaker_state state, uint64_t generation,
                          uint64_t entered_ns, bool failed, uint64_t now_ns)
{
    weir__reader *const reader = weir__read_begin();
    weir__breaker_policy *const policy = weir__breaker_policy_of(breaker);
    bool const slow = breaker_is_slow(&policy->options, entered_ns, now_ns);
    bool const ill =
        weir__window_count(policy->window, &policy->options, generation, now_ns, failed, slow);
    weir__read_end(reader);
    if (WEIR__UNLIKELY(ill) && state != WEIR_BREAKER_METRICS_ONLY)
        breaker_open_if_ill(breaker, generation, now_ns);
}

static void breaker_leave_probe(weir_breaker *breaker, uint64_t generation,
                                const weir_breaker_permit *permit, bool counts, bool failed,
                                uint64_t now_ns)
{
    pthread_mutex_lock(&breaker->lock);
    uint64_t const at_ns = weir__breaker_tick(breaker, now_ns);
    const weir_breaker_options *const options = &weir__breaker_policy_of(breaker)->options;
    if (generation == weir__breaker_generation(atomic_load(&breaker->control)))
        weir__breaker_probe_done(breaker, permit->probe, counts, failed,
                                 breaker_is_slow(options, permit->entered_ns, at_ns));
    weir__breaker_unlock(breaker);
}

void weir_breaker_leave_at(weir_breaker *breaker, weir_breaker_permit *permit, weir_outcome outcome,
                           uint64_t now_ns)
{
    uint64_t const generation = permit->generation;
    permit->generation = 0;
    uint64_t const control = atomic_load_explicit(&breaker->control, memory_order_acquire);
    weir_breaker_state const state = weir__breaker_state(control);
    if (generation != weir__breaker_generation(control))
        return; /* Late, or spent before: generations start at 1. */

    bool const failed = outcome == WEIR_FAILURE || outcome == WEIR_TIMEOUT;
    bool const counts = failed || outcome == WEIR_SUCCESS;
    if (state == WEIR_BREAKER_HALF_OPEN)
        breaker_leave_probe(breaker, generation, permit, counts, failed, now_ns);
    else if (counts && state != WEIR_BREAKER_DISABLED)
        breaker_count(breaker, state, generation, permit->entered_ns, failed, now_ns);
}

void weir_breaker_leave(weir_breaker *breaker, weir_breaker_permit *permit, weir_outcome outcome)
{
    weir_breaker_leave_at(breaker, permit, outcome, weir__now_ns(&breaker->env));
}

static bool breaker_is_manual(weir_breaker_state state)
{
    return state == WEIR_BREAKER_DISABLED || state == WEIR_BREAKER_METRICS_ONLY ||
           state == WEIR_BREAKER_FORCED_OPEN;
}

void weir_breaker_open_until(weir_breaker *breaker, uint64_t until_ns)
{
    pthread_mutex_lock(&breaker->lock);
    uint64_t const now_ns = weir__breaker_tick(breaker, weir__now_ns(&breaker->env));
    weir_breaker_state const state = weir__breaker_state(atomic_load(&breaker->control));
    bool const rests = state == WEIR_BREAKER_OPEN && atomic_load(&breaker->until_ns) >= until_ns;
    if (until_ns > now_ns && !rests && !breaker_is_manual(state)) {
        atomic_store(&breaker->until_ns, until_ns);
        weir__breaker_become(breaker, WEIR_BREAKER_OPEN, WEIR_BREAKER_RETRY_AFTER,
                             &(weir__window_counts){.calls = 0});
    }
    weir__breaker_unlock(breaker);
}

static void breaker_set_by_hand(weir_breaker *breaker, weir_breaker_state state)
{
    pthread_mutex_lock(&breaker->lock);
    (void)weir__breaker_tick(breaker, weir__now_ns(&breaker->env));
    if (state == WEIR_BREAKER_CLOSED)
        breaker->trips = 0;
    weir__breaker_become(breaker, state, WEIR_BREAKER_BY_HAND, &(weir__window_counts){.calls = 0});
    weir__breaker_unlock(breaker);
}

int weir_breaker_force(weir_breaker *breaker, weir_breaker_state state)
{
    if (state != WEIR_BREAKER_CLOSED && !breaker_is_manual(state))
        return WEIR_EINVAL;
    breaker_set_by_hand(breaker, state);
    return WEIR_OK;
}

void weir_breaker_reset(weir_breaker *breaker)
{
    breaker_set_by_hand(breaker, WEIR_BREAKER_CLOSED);
}

weir_breaker_state weir_breaker_get_state(const weir_breaker *breaker)
{
    return weir__breaker_state(atomic_load_explicit(&breaker->control, memory_order_acquire));
}

void weir_breaker_get_stats(weir_breaker *breaker, weir_breaker_stats *stats)
{
    pthread_mutex_lock(&breaker->lock);
    uint64_t const now_ns = weir__breaker_tick(breaker, weir__now_ns(&breaker->env));
    uint64_t const control = atomic_load(&breaker->control);
    weir_breaker_state const state = weir__breaker_state(control);
    weir__window_counts counts = breaker->verdict;
    if (state != WEIR_BREAKER_HALF_OPEN)
        weir__window_read(weir__breaker_policy_of(breaker)->window,
                          weir__breaker_generation(control), now_ns, &counts);
    double const percent = counts.calls > 0 ? 100.0 / counts.calls : 0;
    *stats = (weir_breaker_stats){
        .state = state,
        .generation = weir__breaker_generation(control),
        .until_ns = state == WEIR_BREAKER_OPEN ? atomic_load(&breaker->until_ns) : 0,
        .calls = counts.calls,
        .failures = counts.failures,
        .slow = counts.slow,
        .streak = counts.streak,
        .probes = breaker->probing,
        .trips = breaker->trips,
        .failure_percent = counts.failures * percent,
        .slow_percent = counts.slow * percent,
        .refused = atomic_load_explicit(&breaker->refused, memory_order_relaxed),
        .last = breaker->last,
    };
    weir__breaker_unlock(breaker);
}

const char *weir_breaker_state_name(weir_breaker_state state)
{
    switch (state) {
    case WEIR_BREAKER_CLOSED: return "closed";
    case WEIR_BREAKER_OPEN: return "open";
    case WEIR_BREAKER_HALF_OPEN: return "half_open";
    case WEIR_BREAKER_RECOVERING: return "recovering";
    case WEIR_BREAKER_DISABLED: return "disabled";
    case WEIR_BREAKER_METRICS_ONLY: return "metrics_only";
    case WEIR_BREAKER_FORCED_OPEN: return "forced_open";
    }
    return "unknown";
}

const char *weir_breaker_reason_name(weir_breaker_reason reason)
{
    switch (reason) {
    case WEIR_BREAKER_FAILURE_RATE: return "failure_rate";
    case WEIR_BREAKER_SLOW_RATE: return "slow_rate";
    case WEIR_BREAKER_STREAK: return "streak";
    case WEIR_BREAKER_REST_OVER: return "rest_over";
    case WEIR_BREAKER_PROBES_ILL: return "probes_ill";
    case WEIR_BREAKER_PROBES_WELL: return "probes_well";
    case WEIR_BREAKER_PROBE_LOST: return "probe_lost";
    case WEIR_BREAKER_RAMP_OVER: return "ramp_over";
    case WEIR_BREAKER_RETRY_AFTER: return "retry_after";
    case WEIR_BREAKER_BY_HAND: return "by_hand";
    }
    return "unknown";
}
