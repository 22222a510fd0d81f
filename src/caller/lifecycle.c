#include "caller/caller.h"

static void caller_policy_free(weir__version *version, void *owner)
{
    weir__free(&((weir_caller *)owner)->env, version, sizeof(weir__caller_policy));
}

static weir_limiter_options caller_limiter_options(const weir_caller *caller,
                                                   const weir_caller_options *options)
{
    weir_limiter_options limiter = WEIR_LIMITER_OPTIONS_INIT;
    limiter.limit = WEIR_LIMITER_UNLIMITED;
    if (options->limiter != NULL)
        limiter = *options->limiter;
    limiter.env = &caller->env;
    return limiter;
}

static weir_balancer_options caller_balancer_options(const weir_caller *caller,
                                                     const weir_caller_options *options)
{
    weir_balancer_options balancer = WEIR_BALANCER_OPTIONS_INIT;
    if (options->balancer != NULL)
        balancer = *options->balancer;
    balancer.env = &caller->env;
    return balancer;
}

static weir_breaker_options caller_breaker_options(const weir_caller *caller,
                                                   const weir_caller_options *options)
{
    weir_breaker_options breaker = WEIR_BREAKER_OPTIONS_INIT;
    if (options->breaker != NULL)
        breaker = *options->breaker;
    breaker.on_event = NULL;
    breaker.env = &caller->env;
    return breaker;
}

static weir_outlier_options caller_outlier_options(weir_caller *caller,
                                                   const weir_caller_options *options)
{
    weir_outlier_options outlier = WEIR_OUTLIER_OPTIONS_INIT;
    outlier.consecutive_failures = outlier.consecutive_local = 0; /* Nothing is detected. */
    outlier.success_rate_factor = outlier.failure_percent = 0;
    if (options->outlier != NULL)
        outlier = *options->outlier;
    outlier.on_event = weir__caller_on_outlier;
    outlier.user = caller;
    outlier.env = &caller->env;
    return outlier;
}

static int caller_load(weir_caller_options *loaded, const weir_caller_options *options)
{
    *loaded = (weir_caller_options)WEIR_CALLER_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return WEIR_EINVAL;
    weir_retry retry;
    if (loaded->retry != NULL && weir_retry_begin(&retry, loaded->retry, 0, 0))
        return WEIR_EINVAL;
    return loaded->timeout_ns >= 1 && loaded->attempt_timeout_ns >= 1 ? WEIR_OK : WEIR_EINVAL;
}

/* Parts made of these options, for a trial: whether they would take them. */
static int caller_try_parts(weir_caller *caller, const weir_caller_options *options)
{
    weir_limiter_options const limiter_options = caller_limiter_options(caller, options);
    weir_breaker_options const breaker_options = caller_breaker_options(caller, options);
    weir_balancer_options const balancer_options = caller_balancer_options(caller, options);
    weir_limiter *limiter = NULL;
    weir_breaker *breaker = NULL;
    weir_balancer *balancer = NULL;
    weir_outlier_options const outlier_options = caller_outlier_options(caller, options);
    weir_outlier *outlier = NULL;
    int result = weir_limiter_create(&limiter, &limiter_options);
    if (result == WEIR_OK)
        result = weir_breaker_create(&breaker, &breaker_options);
    if (result == WEIR_OK)
        result = weir_balancer_create(&balancer, &balancer_options);
    if (result == WEIR_OK)
        result = weir_outlier_create(&outlier, &outlier_options);
    weir_outlier_destroy(outlier);
    weir_balancer_destroy(balancer);
    weir_limiter_destroy(limiter);
    weir_breaker_destroy(breaker);
    return result;
}

static weir__caller_policy *caller_policy_new(const weir_caller *caller,
                                              const weir_caller_options *options)
{
    weir__caller_policy *const policy = weir__alloc(&caller->env, sizeof *policy);
    if (policy == NULL)
        return NULL;
    policy->calls.retry = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    policy->calls.retry.max_attempts = 1;
    if (options->retry != NULL)
        policy->calls.retry = *options->retry;
    policy->calls.timeout_ns = options->timeout_ns;
    policy->calls.attempt_timeout_ns = options->attempt_timeout_ns;
    policy->calls.guarded = options->breaker != NULL;
    policy->calls.watched = options->outlier != NULL;
    return policy;
}

static int caller_make_parts(weir_caller *caller, const weir_caller_options *options)
{
    weir_limiter_options const limiter = caller_limiter_options(caller, options);
    weir_balancer_options const balancer = caller_balancer_options(caller, options);
    weir_outlier_options const outlier = caller_outlier_options(caller, options);
    int result = caller_try_parts(caller, options);
    if (result == WEIR_OK)
        result = weir_limiter_create(&caller->limiter, &limiter);
    if (result == WEIR_OK)
        result = weir_balancer_create(&caller->balancer, &balancer);
    if (result == WEIR_OK)
        result = weir_outlier_create(&caller->outlier, &outlier);
    if (result != WEIR_OK)
        return result;
    weir__caller_policy *const policy = caller_policy_new(caller, options);
    if (policy == NULL)
        return WEIR_ENOMEM;
    weir__snapshot_set(&caller->policy, &policy->version);
    caller->breaker_options = caller_breaker_options(caller, options);
    return WEIR_OK;
}

int weir_caller_create(weir_caller **out, const weir_caller_options *options)
{
    *out = NULL;
    weir_caller_options loaded;
    weir_env env;
    if (caller_load(&loaded, options) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_caller *const caller = weir__alloc(&env, sizeof *caller);
    if (caller == NULL)
        return WEIR_ENOMEM;
    caller->env = env;
    caller->on_event = loaded.on_event;
    caller->user = loaded.user;
    atomic_store(&caller->next_rest_ns, WEIR_NEVER);
    atomic_store(&caller->seeds, weir__random(&env));
    weir__snapshot_init(&caller->policy, caller_policy_free, caller);
    weir__map_init(&caller->slots, &caller->env);
    weir__heap_init(&caller->rests, &caller->env);
    pthread_mutex_init(&caller->lock, NULL);
    int const result = caller_make_parts(caller, &loaded);
    if (result == WEIR_OK)
        *out = caller;
    else
        weir_caller_destroy(caller);
    return result;
}

void weir_caller_destroy(weir_caller *caller)
{
    if (caller == NULL)
        return;
    weir_env const env = caller->env;
    weir__slot *slot;
    for (size_t i = 0; (slot = weir__map_next(&caller->slots, &i)) != NULL;)
        weir__slot_free(&env, slot);
    while ((slot = caller->left) != NULL) {
        caller->left = slot->next;
        weir__slot_free(&env, slot);
    }
    weir__map_free(&caller->slots);
    weir__heap_free(&caller->rests);
    weir__snapshot_free(&caller->policy);
    weir_balancer_destroy(caller->balancer);
    weir_outlier_destroy(caller->outlier);
    weir_limiter_destroy(caller->limiter);
    pthread_mutex_destroy(&caller->lock);
    weir__free(&env, caller, sizeof *caller);
}

/* Lock held; the options have been tried. */
static int caller_put_in_force(weir_caller *caller, const weir_caller_options *options)
{
    weir_limiter_options const limiter = caller_limiter_options(caller, options);
    weir_breaker_options const breaker = caller_breaker_options(caller, options);
    weir_balancer_options const balancer = caller_balancer_options(caller, options);
    weir_outlier_options const outlier = caller_outlier_options(caller, options);
    weir__caller_policy *const policy = caller_policy_new(caller, options);
    int result = policy != NULL ? WEIR_OK : WEIR_ENOMEM;
    weir__slot *slot;
    for (size_t i = 0; result == WEIR_OK && (slot = weir__map_next(&caller->slots, &i)) != NULL;)
        result = weir_breaker_update(slot->breaker, &breaker);
    if (result == WEIR_OK)
        result = weir_limiter_update(caller->limiter, &limiter);
    if (result == WEIR_OK)
        result = weir_balancer_configure(caller->balancer, &balancer);
    if (result == WEIR_OK)
        result = weir_outlier_update(caller->outlier, &outlier);
    if (result != WEIR_OK) {
        weir__free(&caller->env, policy, sizeof *policy);
        return result;
    }
    caller->breaker_options = breaker;
    if (options->breaker == NULL)
        weir__caller_wake_all(caller); /* No breaker keeps a member out any more. */
    weir__snapshot_set(&caller->policy, &policy->version);
    return WEIR_OK;
}

int weir_caller_update(weir_caller *caller, const weir_caller_options *options)
{
    weir_caller_options loaded;
    if (caller_load(&loaded, options))
        return WEIR_EINVAL;
    int result = caller_try_parts(caller, &loaded);
    if (result != WEIR_OK)
        return result;
    pthread_mutex_lock(&caller->lock);
    result = caller_put_in_force(caller, &loaded);
    pthread_mutex_unlock(&caller->lock);
    if (result == WEIR_OK && loaded.outlier == NULL)
        weir_outlier_uneject_all(caller->outlier, weir__now_ns(&caller->env));
    return result;
}

typedef struct caller_visit {
    void (*visit)(const weir_caller_member *member, void *user);
    void *user;
    bool guarded, watched;
} caller_visit;

static void caller_visit_member(const weir_member *member, const weir_member_stats *stats,
                                void *user)
{
    const caller_visit *const visit = user;
    weir__slot *const slot = member->user;
    weir_caller_member seen = {.member = member, .user = atomic_load(&slot->user), .stats = *stats};
    if (visit->guarded)
        weir_breaker_get_stats(slot->breaker, &seen.breaker);
    if (visit->watched)
        weir_outlier_get_host(slot->host, &seen.outlier);
    visit->visit(&seen, visit->user);
}

void weir_caller_visit(weir_caller *caller,
                       void (*visit)(const weir_caller_member *member, void *user), void *user)
{
    weir__reader *const reader = weir__read_begin();
    const weir__caller_policy *const policy = weir__snapshot_get(&caller->policy);
    caller_visit each = {.visit = visit,
                         .user = user,
                         .guarded = policy->calls.guarded,
                         .watched = policy->calls.watched};
    weir_balancer_visit(caller->balancer, caller_visit_member, &each);
    weir__read_end(reader);
}

void weir_caller_get_stats(weir_caller *caller, weir_caller_stats *stats)
{
    *stats = (weir_caller_stats){.calls = atomic_load(&caller->counts.calls),
                                 .attempts = atomic_load(&caller->counts.attempts),
                                 .succeeded = atomic_load(&caller->counts.succeeded),
                                 .failed = atomic_load(&caller->counts.failed)};
    for (int i = 0; i < 4; i++)
        stats->rejected[i] = atomic_load(&caller->counts.rejected[i]);
}

void weir_caller_get_limit(weir_caller *caller, uint64_t now_ns, weir_limiter_stats *stats)
{
    weir_limiter_get_stats(caller->limiter, now_ns, stats);
}

void weir_caller_get_outlier(weir_caller *caller, weir_outlier_stats *stats)
{
    weir_outlier_get_stats(caller->outlier, stats);
}

weir_balancer *weir_caller_balancer(weir_caller *caller)
{
    return caller->balancer;
}

int weir_caller_force_breaker(weir_caller *caller, const char *id, weir_breaker_state state)
{
    weir__reader *const reader = weir__read_begin(); /* Keeps the slot while the lock is free. */
    pthread_mutex_lock(&caller->lock);
    weir__slot *const slot = weir__map_get(&caller->slots, id, strlen(id));
    pthread_mutex_unlock(&caller->lock);
    int const result = slot != NULL ? weir_breaker_force(slot->breaker, state) : WEIR_ENOTFOUND;
    weir__read_end(reader);
    return result;
}
