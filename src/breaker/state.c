#include "breaker/breaker.h"

/* 1.01^1000 is 20,959: beyond this, any factor has long reached the cap. */
#define BREAKER_MAX_TRIPS 1000

uint64_t weir__breaker_tick(weir_breaker *breaker, uint64_t now_ns)
{
    if (now_ns > breaker->now_ns)
        breaker->now_ns = now_ns;
    return breaker->now_ns;
}

static void breaker_tell(const void *event, void *user)
{
    weir_breaker *const breaker = user;
    breaker->on_event(event, breaker->user);
}

void weir__breaker_unlock(weir_breaker *breaker)
{
    weir_breaker_event event;
    weir__outbox_unlock(&breaker->outbox, &breaker->lock, &event, breaker_tell, breaker);
}

static void breaker_record(weir_breaker *breaker, weir_breaker_state from, weir_breaker_state to,
                           weir_breaker_reason reason, const weir__window_counts *counts)
{
    breaker->last = (weir_breaker_event){
        .reason = reason,
        .from = from,
        .to = to,
        .at_ns = breaker->now_ns,
        .generation = weir__breaker_generation(atomic_load(&breaker->control)),
        .until_ns = to == WEIR_BREAKER_OPEN ? atomic_load(&breaker->until_ns) : 0,
        .calls = counts->calls,
        .failures = counts->failures,
        .slow = counts->slow,
        .dropped = breaker->outbox.dropped,
    };
    if (breaker->on_event != NULL)
        weir__outbox_add(&breaker->outbox, &breaker->last);
}

/* What is read without the lock is ready before the generation that it belongs to shows. */
void weir__breaker_become(weir_breaker *breaker, weir_breaker_state to, weir_breaker_reason reason,
                          const weir__window_counts *counts)
{
    uint64_t const old = atomic_load(&breaker->control);
    uint64_t const generation = weir__breaker_generation(old) + 1;
    breaker->since_ns = breaker->now_ns;
    breaker->ramp_credit = 0;
    breaker->probing = 0;
    breaker->verdict = (weir__window_counts){.calls = 0};
    for (uint32_t i = 0; i < breaker->probe_places; i++)
        breaker->probes[i].id = 0;
    weir__window_begin(weir__breaker_policy_of(breaker)->window, generation, breaker->now_ns);
    atomic_store(&breaker->control, generation << 3 | (uint64_t)to);
    breaker_record(breaker, weir__breaker_state(old), to, reason, counts);
}

/* base * factor^trips up to the cap, less a random part: jitter never lengthens a rest. */
static uint64_t breaker_rest_ns(weir_breaker *breaker, const weir_breaker_options *o)
{
    uint64_t const max_ns = o->open_max_ms * WEIR__NS_PER_MS;
    uint64_t rest_ns = o->open_ms * WEIR__NS_PER_MS;
    for (uint32_t i = 0; i < breaker->trips && rest_ns < max_ns; i++)
        rest_ns = rest_ns / 100 * o->open_factor_percent;
    if (rest_ns > max_ns)
        rest_ns = max_ns;
    uint64_t const jitter_ns = rest_ns / 100 * o->open_jitter_percent;
    return rest_ns - weir__rng_below(&breaker->rng, jitter_ns + 1);
}

/* Each healthy spell that the breaker went through has made up for one trip. */
static void breaker_forgive(weir_breaker *breaker, const weir_breaker_options *o)
{
    uint64_t const spells =
        (breaker->now_ns - breaker->since_ns) / (o->healthy_ms * WEIR__NS_PER_MS);
    breaker->trips = spells < breaker->trips ? breaker->trips - (uint32_t)spells : 0;
}

void weir__breaker_trip(weir_breaker *breaker, weir_breaker_reason reason,
                        const weir__window_counts *counts)
{
    const weir_breaker_options *const o = &weir__breaker_policy_of(breaker)->options;
    if (weir__breaker_state(atomic_load(&breaker->control)) == WEIR_BREAKER_CLOSED)
        breaker_forgive(breaker, o);
    atomic_store(&breaker->until_ns, weir__add_ns(breaker->now_ns, breaker_rest_ns(breaker, o)));
    if (breaker->trips < BREAKER_MAX_TRIPS)
        breaker->trips++;
    weir__breaker_become(breaker, WEIR_BREAKER_OPEN, reason, counts);
}

/* Bad outcomes only add up, so a verdict of ill need not wait for the remaining probes. */
static bool breaker_probes_ill(const weir_breaker_options *o, const weir__window_counts *got)
{
    bool const no_rate = o->failure_percent == 0 && o->slow_percent == 0;
    if (o->verdict == WEIR_BREAKER_ALL_PASS || no_rate)
        return got->failures > 0 || (o->slow_percent != 0 && got->slow > 0);
    return weir__window_reaches(got->failures, o->probe_calls, o->failure_percent) ||
           weir__window_reaches(got->slow, o->probe_calls, o->slow_percent);
}

void weir__breaker_pass_verdict(weir_breaker *breaker)
{
    const weir_breaker_options *const o = &weir__breaker_policy_of(breaker)->options;
    weir__window_counts const got = breaker->verdict;
    if (breaker_probes_ill(o, &got))
        weir__breaker_trip(breaker, WEIR_BREAKER_PROBES_ILL, &got);
    else if (got.calls >= o->probe_calls)
        weir__breaker_become(breaker,
                             o->ramp_ms > 0 ? WEIR_BREAKER_RECOVERING : WEIR_BREAKER_CLOSED,
                             WEIR_BREAKER_PROBES_WELL, &got);
}

void weir__breaker_probe_done(weir_breaker *breaker, uint64_t probe, bool counts, bool failed,
                              bool slow)
{
    weir__breaker_probe *place = NULL;
    for (uint32_t i = 0; i < breaker->probe_places && place == NULL; i++)
        if (breaker->probes[i].id == probe)
            place = &breaker->probes[i];
    if (place == NULL)
        return; /* Given up, or reported twice from a copy of its permit. */
    place->id = 0;
    breaker->probing--;
    if (!counts)
        return;
    breaker->verdict.calls++;
    breaker->verdict.failures += failed;
    breaker->verdict.slow += slow;
    weir__breaker_pass_verdict(breaker);
}

/* The first free place, once leases that have ended are given up; NULL if all are taken. */
static weir__breaker_probe *breaker_find_place(weir_breaker *breaker)
{
    weir__breaker_probe *place = NULL;
    for (uint32_t i = 0; i < breaker->probe_places; i++) {
        weir__breaker_probe *const probe = &breaker->probes[i];
        if (probe->id != 0 && probe->lease_end_ns <= breaker->now_ns) {
            probe->id = 0;
            breaker->probing--;
            breaker_record(breaker, WEIR_BREAKER_HALF_OPEN, WEIR_BREAKER_HALF_OPEN,
                           WEIR_BREAKER_PROBE_LOST, &breaker->verdict);
        }
        if (probe->id == 0)
            place = place != NULL ? place : probe;
    }
    return place;
}

static int breaker_admit_probe(weir_breaker *breaker, weir_breaker_permit *permit,
                               uint64_t *retry_after_ns)
{
    const weir_breaker_options *const o = &weir__breaker_policy_of(breaker)->options;
    weir__breaker_probe *const place = breaker_find_place(breaker);
    if (place == NULL || breaker->probing + breaker->verdict.calls >= o->probe_calls) {
        *retry_after_ns = 0; /* A probe may be back, and give a place or a verdict, any moment. */
        return WEIR_EOPEN;
    }
    place->id = ++breaker->probe_ids;
    place->lease_end_ns = weir__add_ns(breaker->now_ns, o->probe_lease_ms * WEIR__NS_PER_MS);
    breaker->probing++;
    permit->probe = place->id;
    return WEIR_OK;
}

/* Calls pass as their shares add up to whole calls: the n-th at an even 1 / n, without chance. */
static int breaker_admit_ramp(weir_breaker *breaker, uint64_t *retry_after_ns)
{
    const weir_breaker_options *const o = &weir__breaker_policy_of(breaker)->options;
    uint64_t const ramp_ns = o->ramp_ms * WEIR__NS_PER_MS;
    uint64_t const passed_ns = breaker->now_ns - breaker->since_ns;
    if (passed_ns >= ramp_ns) {
        weir__breaker_become(breaker, WEIR_BREAKER_CLOSED, WEIR_BREAKER_RAMP_OVER,
                             &(weir__window_counts){.calls = 0});
        return WEIR_OK;
    }
    uint64_t const whole = 10000, start = o->ramp_start_percent * UINT64_C(100);
    breaker->ramp_credit += start + (whole - start) * (passed_ns / 1000) / (ramp_ns / 1000);
    if (breaker->ramp_credit < whole) {
        *retry_after_ns = 0; /* The next call's share may be whole. */
        return WEIR_EOPEN;
    }
    breaker->ramp_credit -= whole;
    return WEIR_OK;
}

int weir__breaker_admit(weir_breaker *breaker, weir_breaker_permit *permit,
                        uint64_t *retry_after_ns)
{
    uint64_t const until_ns = atomic_load(&breaker->until_ns);
    weir_breaker_state state = weir__breaker_state(atomic_load(&breaker->control));
    if (state == WEIR_BREAKER_OPEN && breaker->now_ns >= until_ns) {
        state = WEIR_BREAKER_HALF_OPEN;
        weir__breaker_become(breaker, state, WEIR_BREAKER_REST_OVER,
                             &(weir__window_counts){.calls = 0});
    }
    int result = WEIR_OK;
    if (state == WEIR_BREAKER_HALF_OPEN)
        result = breaker_admit_probe(breaker, permit, retry_after_ns);
    else if (state == WEIR_BREAKER_RECOVERING)
        result = breaker_admit_ramp(breaker, retry_after_ns);
    else if (state == WEIR_BREAKER_OPEN) {
        *retry_after_ns = until_ns - breaker->now_ns;
        result = WEIR_EOPEN;
    } else if (state == WEIR_BREAKER_FORCED_OPEN) {
        *retry_after_ns = WEIR_NEVER;
        result = WEIR_EOPEN;
    }
    permit->generation =
        result == WEIR_OK ? weir__breaker_generation(atomic_load(&breaker->control)) : 0;
    return result;
}
