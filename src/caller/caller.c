#include <weir/caller.h>

#include "caller/caller.h"

#define CALLER_MAX_REFUSALS 32 /* Breakers asked for one attempt. */

uint64_t weir_caller_now_ns(const weir_caller *caller)
{
    return weir__now_ns(&caller->env);
}

void weir__caller_tell(weir_caller *caller, const weir_caller_event *event)
{
    if (caller->on_event != NULL)
        caller->on_event(event, caller->user);
}

static void caller_count(_Atomic uint64_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

/* What an attempt needs: who was asked and would not, until one would. */
typedef struct caller_search {
    const weir_member *excluded[WEIR_CALL_MAX_TRIED + CALLER_MAX_REFUSALS];
    weir__slot *refused[CALLER_MAX_REFUSALS];
    size_t excluded_count, refused_count;
    bool avoids_tried;
    uint64_t retry_after_ns; /* Of the first breaker that may change its mind. */
} caller_search;

static void slot_hold(weir__slot *slot)
{
    atomic_fetch_add_explicit(&slot->in_use, 1, memory_order_relaxed);
}

static void slot_drop(weir__slot *slot)
{
    atomic_fetch_sub_explicit(&slot->in_use, 1, memory_order_release);
}

static void search_begin(caller_search *search, const weir_call *call)
{
    search->excluded_count = search->refused_count = 0;
    search->retry_after_ns = WEIR_NEVER;
    search->avoids_tried = call->tried_count > 0;
    for (uint32_t i = 0; i < call->tried_count; i++)
        search->excluded[search->excluded_count++] = &((weir__slot *)call->tried[i])->view;
}

static void search_end(caller_search *search)
{
    for (size_t i = 0; i < search->refused_count; i++)
        slot_drop(search->refused[i]);
}

/* Members tried before are better than none. */
static void search_allow_tried(caller_search *search)
{
    search->avoids_tried = false;
    search->excluded_count = 0;
    for (size_t i = 0; i < search->refused_count; i++)
        search->excluded[search->excluded_count++] = &search->refused[i]->view;
}

static void search_refuse(caller_search *search, weir__slot *slot, uint64_t retry_after_ns)
{
    if (retry_after_ns < search->retry_after_ns)
        search->retry_after_ns = retry_after_ns;
    search->refused[search->refused_count++] = slot;
    search->excluded[search->excluded_count++] = &slot->view;
}

static int caller_pick(weir_call *call, caller_search *search, uint64_t now_ns, weir__slot **slot)
{
    weir_pick_options const options = {.excluded = search->excluded,
                                       .excluded_count = search->excluded_count,
                                       .hash = call->hash,
                                       .sticky = call->sticky,
                                       .labels = call->labels,
                                       .label_count = call->label_count};
    weir__reader *const reader = weir__read_begin(); /* Until the slot is held. */
    int const result = weir_balancer_pick_at(call->caller->balancer, &options, now_ns, &call->pick);
    if (result == WEIR_OK) {
        *slot = call->pick.member->user;
        slot_hold(*slot);
    }
    weir__read_end(reader);
    return result;
}

/*
 * Breakers are to blame if one has refused, or if members rest: then some may serve again when the
 * first of these does. How soon a probe or a saturated member is free is not known: 0.
 */
static void caller_explain(const weir_caller *caller, const caller_search *search, int result,
                           uint64_t now_ns, weir_rejection *rejection)
{
    uint64_t const rest_ns = atomic_load(&caller->next_rest_ns);
    bool const resting = result == WEIR_EDOWN && rest_ns != WEIR_NEVER;
    bool const open = resting || search->refused_count > 0;
    uint64_t wait_ns = search->refused_count > 0 ? search->retry_after_ns : 0;
    if (resting && search->refused_count == 0)
        wait_ns = rest_ns > now_ns ? rest_ns - now_ns : 0;
    *rejection = (weir_rejection){
        .stage = open ? WEIR_STAGE_BREAKER : WEIR_STAGE_BALANCER,
        .code = open ? WEIR_EOPEN : result,
        .retry_after_ns = wait_ns,
    };
}

/* A member and its breaker's permit, or who would not give one. */
static int caller_find_member(weir_call *call, const weir__call_policy *policy, uint64_t now_ns,
                              weir_rejection *rejection)
{
    caller_search search;
    search_begin(&search, call);
    int result = WEIR_OK;
    call->permit.generation = 0;
    while (search.refused_count < CALLER_MAX_REFUSALS) {
        weir__slot *slot = NULL;
        uint64_t retry_after_ns;
        result = caller_pick(call, &search, now_ns, &slot);
        if (result != WEIR_OK && search.avoids_tried) {
            search_allow_tried(&search);
            continue;
        }
        if (result != WEIR_OK)
            break;
        call->slot = slot;
        if (!policy->guarded ||
            weir_breaker_enter_at(slot->breaker, now_ns, &call->permit, &retry_after_ns) == WEIR_OK)
            break;
        (void)weir_balancer_done(call->caller->balancer, &call->pick, WEIR_CANCELLED, 0);
        search_refuse(&search, slot, retry_after_ns);
        result = WEIR_EOPEN;
    }
    search_end(&search);
    if (WEIR__UNLIKELY(result != WEIR_OK))
        caller_explain(call->caller, &search, result, now_ns, rejection);
    return result != WEIR_OK ? rejection->code : WEIR_OK;
}

/* Gives everything of the attempt back; the slot stays held for the sake of call->tried. */
static void caller_release(weir_call *call, weir_outcome outcome, weir_outlier_origin origin,
                           uint64_t now_ns)
{
    weir__slot *const slot = call->slot;
    uint64_t const latency_ns = now_ns > call->attempt_ns ? now_ns - call->attempt_ns : 0;
    weir_breaker_leave_at(slot->breaker, &call->permit, outcome, now_ns);
    if (call->watched)
        weir_outlier_record(slot->host, outcome, origin, latency_ns, now_ns);
    (void)weir_balancer_done(call->caller->balancer, &call->pick, outcome, latency_ns);
    call->attempting = false;
}

static void caller_remember_tried(weir_call *call)
{
    if (call->tried_count == WEIR_CALL_MAX_TRIED) {
        slot_drop(call->tried[0]);
        memmove(&call->tried[0], &call->tried[1], sizeof call->tried - sizeof call->tried[0]);
        call->tried_count--;
    }
    call->tried[call->tried_count++] = call->slot;
    call->slot = NULL;
}

static void caller_close(weir_call *call)
{
    for (uint32_t i = 0; i < call->tried_count; i++)
        slot_drop(call->tried[i]);
    call->tried_count = 0;
    call->caller = NULL;
}

/* Permits for now or not at all, as a reservation: so that they can be given back exactly. */
static int caller_ask_limiter(weir_call *call, uint64_t cost, uint64_t now_ns,
                              weir_reservation *permits, weir_rejection *rejection)
{
    int const result = weir_limiter_reserve(call->caller->limiter, cost, now_ns, 0, permits);
    if (result == WEIR_OK)
        return WEIR_OK;
    uint64_t const wait_ns =
        permits->ready_ns == WEIR_NEVER ? WEIR_NEVER : permits->ready_ns - now_ns;
    *rejection = (weir_rejection){WEIR_STAGE_LIMITER, result, wait_ns};
    return result;
}

static void caller_tell_rejection(weir_call *call, uint64_t now_ns, const weir_rejection *rejection)
{
    caller_count(&call->caller->counts.rejected[rejection->stage]);
    weir__caller_tell(call->caller, &(weir_caller_event){.kind = WEIR_CALLER_REJECTED,
                                                         .at_ns = now_ns,
                                                         .call = call,
                                                         .attempt = call->retry.attempts,
                                                         .rejection = *rejection});
}

static void caller_start_attempt(weir_call *call, const weir__call_policy *policy, uint64_t now_ns,
                                 weir_attempt *attempt)
{
    weir__slot *const slot = call->slot;
    uint64_t const end_ns = weir__add_ns(now_ns, policy->attempt_timeout_ns);
    call->attempting = true;
    call->watched = policy->watched;
    call->attempt_ns = now_ns;
    *attempt = (weir_attempt){
        .member = call->pick.member,
        .user = atomic_load_explicit(&slot->user, memory_order_relaxed),
        .deadline_ns = end_ns < call->deadline_ns ? end_ns : call->deadline_ns,
        .number = call->retry.attempts,
    };
    caller_count(&call->caller->counts.attempts);
    if (call->caller->on_event != NULL)
        weir__caller_tell(call->caller, &(weir_caller_event){.kind = WEIR_CALLER_ATTEMPT,
                                                             .at_ns = now_ns,
                                                             .call = call,
                                                             .member = attempt->member->id,
                                                             .attempt = attempt->number,
                                                             .deadline_ns = attempt->deadline_ns});
}

/* Outermost first; cost 0: a retry, which has paid. */
static int caller_admit(weir_call *call, const weir__call_policy *policy, uint64_t cost,
                        uint64_t now_ns, weir_rejection *rejection)
{
    if (WEIR__UNLIKELY(now_ns >= call->deadline_ns)) {
        *rejection = (weir_rejection){WEIR_STAGE_DEADLINE, WEIR_EDEADLINE, 0};
        return WEIR_EDEADLINE;
    }
    if (WEIR__UNLIKELY(now_ns >=
                       atomic_load_explicit(&call->caller->next_rest_ns, memory_order_relaxed)))
        weir__caller_wake(call->caller, now_ns);
    weir_reservation permits = {.cost = 0};
    if (cost > 0 && caller_ask_limiter(call, cost, now_ns, &permits, rejection) != WEIR_OK)
        return rejection->code;
    call->attempt_ns = now_ns;
    int const result = caller_find_member(call, policy, now_ns, rejection);
    if (WEIR__UNLIKELY(result != WEIR_OK) && cost > 0)
        (void)weir_limiter_cancel(call->caller->limiter, &permits, now_ns);
    return result;
}

static int caller_load_call(weir_call_options *loaded, const weir_call_options *options)
{
    *loaded = (weir_call_options)WEIR_CALL_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return WEIR_EINVAL;
    return loaded->cost >= 1 ? WEIR_OK : WEIR_EINVAL;
}

static int caller_open_call(weir_caller *caller, weir_call *call, const weir_call_options *options,
                            const weir__call_policy *policy, uint64_t now_ns)
{
    uint64_t const seed =
        weir__mix64(atomic_fetch_add_explicit(&caller->seeds, WEIR__GOLDEN, memory_order_relaxed));
    if (weir_retry_begin(&call->retry, &policy->retry, now_ns, seed) != WEIR_OK)
        return WEIR_EINVAL;
    call->user = options->user;
    call->caller = caller;
    call->began_ns = now_ns;
    call->deadline_ns = weir__add_ns(now_ns, policy->timeout_ns);
    if (options->deadline_ns < call->deadline_ns)
        call->deadline_ns = options->deadline_ns;
    if (call->deadline_ns < call->retry.deadline_ns)
        call->retry.deadline_ns = call->deadline_ns;
    call->hash = options->hash;
    call->sticky = options->sticky;
    call->labels = options->labels;
    call->label_count = options->label_count;
    call->repeatable = options->repeatable;
    call->attempting = false;
    call->tried_count = 0;
    call->slot = NULL;
    call->pick = (weir_pick){.member = NULL};
    return WEIR_OK;
}

static weir__call_policy caller_policy_of(weir_caller *caller)
{
    weir__reader *const reader = weir__read_begin();
    const weir__caller_policy *const current = weir__snapshot_get(&caller->policy);
    weir__call_policy const policy = current->calls;
    weir__read_end(reader);
    return policy;
}

int weir_caller_begin(weir_caller *caller, weir_call *call, const weir_call_options *options,
                      uint64_t now_ns, weir_attempt *attempt, weir_rejection *rejection)
{
    weir_call_options loaded;
    weir_rejection refusal;
    call->caller = NULL;
    if (caller_load_call(&loaded, options))
        return WEIR_EINVAL;
    weir__call_policy const policy = caller_policy_of(caller);
    if (caller_open_call(caller, call, &loaded, &policy, now_ns))
        return WEIR_EINVAL;
    int const result = caller_admit(call, &policy, loaded.cost, now_ns, &refusal);
    if (result == WEIR_OK) {
        caller_count(&caller->counts.calls);
        caller_start_attempt(call, &policy, now_ns, attempt);
        return WEIR_OK;
    }
    caller_tell_rejection(call, now_ns, &refusal);
    caller_close(call);
    if (rejection != NULL)
        *rejection = refusal;
    return result;
}

static void caller_tell_end(weir_call *call, weir_outcome outcome, uint64_t now_ns)
{
    if (call->caller->on_event == NULL)
        return;
    uint64_t const latency_ns = now_ns > call->began_ns ? now_ns - call->began_ns : 0;
    weir__caller_tell(call->caller, &(weir_caller_event){.kind = WEIR_CALLER_ENDED,
                                                         .at_ns = now_ns,
                                                         .call = call,
                                                         .attempt = call->retry.attempts,
                                                         .outcome = outcome,
                                                         .latency_ns = latency_ns});
}

/* The call is over. */
static weir_call_verdict caller_conclude(weir_call *call, weir_call_verdict verdict,
                                         weir_outcome outcome, uint64_t now_ns)
{
    if (verdict == WEIR_CALL_FAILED)
        caller_count(&call->caller->counts.failed);
    else if (outcome == WEIR_SUCCESS)
        caller_count(&call->caller->counts.succeeded);
    caller_tell_end(call, outcome, now_ns);
    caller_close(call);
    return verdict;
}

static void caller_tell_result(weir_call *call, weir_outcome outcome, uint64_t now_ns)
{
    if (call->caller->on_event == NULL)
        return;
    uint64_t const latency_ns = now_ns > call->attempt_ns ? now_ns - call->attempt_ns : 0;
    weir__caller_tell(call->caller,
                      &(weir_caller_event){.kind = WEIR_CALLER_RESULT,
                                           .at_ns = now_ns,
                                           .call = call,
                                           .member = ((weir__slot *)call->slot)->view.id,
                                           .attempt = call->retry.attempts,
                                           .outcome = outcome,
                                           .latency_ns = latency_ns});
}

weir_call_verdict weir_caller_end(weir_call *call, const weir_attempt_result *result,
                                  uint64_t now_ns, uint64_t *retry_at_ns)
{
    if (call->caller == NULL || !call->attempting)
        return WEIR_CALL_FAILED;
    weir_outcome const outcome = result->outcome;
    caller_release(call, outcome, result->unsent ? WEIR_ORIGIN_LOCAL : result->origin, now_ns);
    caller_tell_result(call, outcome, now_ns);
    caller_remember_tried(call);
    if (outcome == WEIR_SUCCESS || outcome == WEIR_IGNORED || outcome == WEIR_CANCELLED)
        return caller_conclude(call, WEIR_CALL_DONE, outcome, now_ns);
    uint64_t at_ns;
    bool const repeatable = !result->final && (call->repeatable || result->unsent);
    if (!repeatable)
        call->retry.verdict = WEIR_RETRY_NOT_RETRYABLE;
    if (!repeatable || weir_retry_next(&call->retry, outcome, now_ns, result->retry_after_ns,
                                       &at_ns) != WEIR_RETRY_AT)
        return caller_conclude(call, WEIR_CALL_FAILED, outcome, now_ns);
    if (retry_at_ns != NULL)
        *retry_at_ns = at_ns;
    return WEIR_CALL_RETRY;
}

int weir_caller_retry(weir_call *call, uint64_t now_ns, weir_attempt *attempt,
                      weir_rejection *rejection)
{
    weir_caller *const caller = call->caller;
    weir_rejection refusal;
    if (caller == NULL || call->attempting)
        return WEIR_EINVAL;
    weir__call_policy const policy = caller_policy_of(caller);
    int const result = caller_admit(call, &policy, 0, now_ns, &refusal);
    if (result == WEIR_OK) {
        caller_start_attempt(call, &policy, now_ns, attempt);
        return WEIR_OK;
    }
    caller_tell_rejection(call, now_ns, &refusal);
    (void)caller_conclude(call, WEIR_CALL_FAILED, WEIR_FAILURE, now_ns);
    if (rejection != NULL)
        *rejection = refusal;
    return result;
}

void weir_caller_cancel(weir_call *call, uint64_t now_ns)
{
    if (call->caller == NULL)
        return;
    if (call->attempting) {
        caller_release(call, WEIR_CANCELLED, WEIR_ORIGIN_LOCAL, now_ns);
        caller_tell_result(call, WEIR_CANCELLED, now_ns);
        caller_remember_tried(call);
    }
    (void)caller_conclude(call, WEIR_CALL_DONE, WEIR_CANCELLED, now_ns);
}

int weir_caller_execute(weir_caller *caller, const weir_call_options *options, weir_caller_fn fn,
                        void *user, weir_rejection *rejection)
{
    weir_call call;
    weir_attempt attempt;
    int code =
        weir_caller_begin(caller, &call, options, weir_caller_now_ns(caller), &attempt, rejection);
    while (code == WEIR_OK) {
        weir_attempt_result result = {.outcome = WEIR_FAILURE};
        uint64_t retry_at_ns = 0;
        fn(&attempt, &result, user);
        uint64_t const now_ns = weir_caller_now_ns(caller);
        weir_call_verdict const verdict = weir_caller_end(&call, &result, now_ns, &retry_at_ns);
        if (verdict != WEIR_CALL_RETRY)
            return result.outcome == WEIR_SUCCESS ? WEIR_OK : WEIR_EFAILED;
        if (retry_at_ns > now_ns)
            weir__sleep_ns(&caller->env, retry_at_ns - now_ns);
        code = weir_caller_retry(&call, weir_caller_now_ns(caller), &attempt, rejection);
    }
    return code;
}

const char *weir_caller_stage_name(weir_caller_stage stage)
{
    switch (stage) {
    case WEIR_STAGE_DEADLINE: return "deadline";
    case WEIR_STAGE_BALANCER: return "balancer";
    case WEIR_STAGE_BREAKER: return "breaker";
    case WEIR_STAGE_LIMITER: return "limiter";
    }
    return "unknown";
}
