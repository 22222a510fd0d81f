#include "breaker/breaker.h"

#define BREAKER_DAY_MS UINT32_C(86400000)
#define BREAKER_EVENTS 32

static bool breaker_within(uint32_t value, uint32_t low, uint32_t high)
{
    return low <= value && value <= high;
}

static bool breaker_window_valid(const weir_breaker_options *o)
{
    if (o->window == WEIR_BREAKER_COUNT_WINDOW)
        return breaker_within(o->window_calls, 1, 1048576) &&
               breaker_within(o->min_calls, 1, o->window_calls);
    return o->window == WEIR_BREAKER_TIME_WINDOW && breaker_within(o->window_buckets, 1, 64) &&
           breaker_within(o->window_ms, o->window_buckets, BREAKER_DAY_MS) && o->min_calls >= 1;
}

static bool breaker_options_valid(const weir_breaker_options *o)
{
    return breaker_window_valid(o) && o->failure_percent <= 100 && o->slow_percent <= 100 &&
           o->slow_ms >= 1 && breaker_within(o->open_ms, 1, BREAKER_DAY_MS) &&
           breaker_within(o->open_factor_percent, 100, 1000) &&
           breaker_within(o->open_max_ms, o->open_ms, BREAKER_DAY_MS) &&
           o->open_jitter_percent <= 100 && o->healthy_ms >= 1 &&
           breaker_within(o->probe_calls, 1, 1024) &&
           (o->verdict == WEIR_BREAKER_BY_RATE || o->verdict == WEIR_BREAKER_ALL_PASS) &&
           breaker_within(o->probe_lease_ms, 1, BREAKER_DAY_MS) && o->ramp_ms <= BREAKER_DAY_MS &&
           breaker_within(o->ramp_start_percent, 1, 100);
}

static int breaker_load(weir_breaker_options *loaded, const weir_breaker_options *options)
{
    *loaded = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return WEIR_EINVAL;
    return breaker_options_valid(loaded) ? WEIR_OK : WEIR_EINVAL;
}

static void breaker_policy_free(weir__version *version, void *owner)
{
    weir_breaker *const breaker = owner;
    weir__breaker_policy *const policy = (weir__breaker_policy *)version;
    if (policy->owns_window)
        weir__window_free(&breaker->env, policy->window);
    weir__free(&breaker->env, policy, sizeof *policy);
}

/* With the window of the policy before it, if there is one and it fits. */
static weir__breaker_policy *breaker_policy_new(weir_breaker *breaker,
                                                const weir_breaker_options *options,
                                                const weir__breaker_policy *before)
{
    weir__breaker_policy *const policy = weir__alloc(&breaker->env, sizeof *policy);
    if (policy == NULL)
        return NULL;
    policy->options = *options;
    policy->options.env = NULL; /* The caller's; ours is the copy. */
    policy->owns_window = true;
    if (before != NULL && weir__window_fits(before->window, options))
        policy->window = before->window;
    else
        policy->window = weir__window_new(&breaker->env, options);
    if (policy->window == NULL) {
        weir__free(&breaker->env, policy, sizeof *policy);
        return NULL;
    }
    return policy;
}

static int breaker_init(weir_breaker *breaker, const weir_breaker_options *options)
{
    if (weir__outbox_init(&breaker->outbox, &breaker->env, sizeof(weir_breaker_event),
                          BREAKER_EVENTS))
        return WEIR_ENOMEM;
    breaker->probes = weir__alloc(&breaker->env, options->probe_calls * sizeof *breaker->probes);
    weir__breaker_policy *const policy =
        breaker->probes != NULL ? breaker_policy_new(breaker, options, NULL) : NULL;
    if (policy == NULL)
        return WEIR_ENOMEM;
    breaker->probe_places = options->probe_calls;
    breaker->now_ns = breaker->since_ns = weir__now_ns(&breaker->env);
    weir__rng_seed(&breaker->rng, weir__random(&breaker->env));
    weir__window_begin(policy->window, 1, breaker->now_ns);
    weir__snapshot_set(&breaker->policy, &policy->version);
    atomic_store(&breaker->control, UINT64_C(1) << 3 | (uint64_t)WEIR_BREAKER_CLOSED);
    return WEIR_OK;
}

int weir_breaker_create(weir_breaker **out, const weir_breaker_options *options)
{
    *out = NULL;
    weir_breaker_options loaded;
    weir_env env;
    if (breaker_load(&loaded, options) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_breaker *const breaker = weir__alloc(&env, sizeof *breaker);
    if (breaker == NULL)
        return WEIR_ENOMEM;
    breaker->env = env;
    breaker->on_event = loaded.on_event;
    breaker->user = loaded.user;
    weir__snapshot_init(&breaker->policy, breaker_policy_free, breaker);
    pthread_mutex_init(&breaker->lock, NULL);
    if (breaker_init(breaker, &loaded)) {
        breaker->probe_places = loaded.probe_calls;
        weir_breaker_destroy(breaker);
        return WEIR_ENOMEM;
    }
    *out = breaker;
    return WEIR_OK;
}

void weir_breaker_destroy(weir_breaker *breaker)
{
    if (breaker == NULL)
        return;
    weir_env const env = breaker->env;
    weir__snapshot_free(&breaker->policy);
    weir__free(&env, breaker->probes, breaker->probe_places * sizeof *breaker->probes);
    weir__outbox_free(&breaker->outbox, &env);
    pthread_mutex_destroy(&breaker->lock);
    weir__free(&env, breaker, sizeof *breaker);
}

/* Probes under way keep their places; those for which there is no place any more are given up. */
static void breaker_move_probes(weir_breaker *breaker, weir__breaker_probe *places, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < breaker->probe_places; i++)
        if (breaker->probes[i].id != 0 && kept < count)
            places[kept++] = breaker->probes[i];
    weir__free(&breaker->env, breaker->probes, breaker->probe_places * sizeof *places);
    breaker->probes = places;
    breaker->probe_places = count;
    breaker->probing = kept;
}

/* Lock held. Outcomes that arrive between the copy and the switch stay in the old window. */
static void breaker_switch(weir_breaker *breaker, weir__breaker_policy *next)
{
    weir__breaker_policy *const old = weir__breaker_policy_of(breaker);
    uint64_t const generation = weir__breaker_generation(atomic_load(&breaker->control));
    if (next->window == old->window)
        old->owns_window = false;
    else
        weir__window_copy(next->window, old->window, generation, breaker->now_ns);
    weir__snapshot_set(&breaker->policy, &next->version);
}

int weir_breaker_update(weir_breaker *breaker, const weir_breaker_options *options)
{
    weir_breaker_options loaded;
    if (breaker_load(&loaded, options))
        return WEIR_EINVAL;
    weir__breaker_probe *const places =
        weir__alloc(&breaker->env, loaded.probe_calls * sizeof *places);
    if (places == NULL)
        return WEIR_ENOMEM;
    pthread_mutex_lock(&breaker->lock);
    (void)weir__breaker_tick(breaker, weir__now_ns(&breaker->env));
    weir__breaker_policy *const next =
        breaker_policy_new(breaker, &loaded, weir__breaker_policy_of(breaker));
    if (next != NULL) {
        breaker_move_probes(breaker, places, loaded.probe_calls);
        breaker_switch(breaker, next);
        /* Fewer probes may be enough now: no other would come to say so. */
        if (weir__breaker_state(atomic_load(&breaker->control)) == WEIR_BREAKER_HALF_OPEN)
            weir__breaker_pass_verdict(breaker);
    }
    weir__breaker_unlock(breaker);
    if (next == NULL)
        weir__free(&breaker->env, places, loaded.probe_calls * sizeof *places);
    return next != NULL ? WEIR_OK : WEIR_ENOMEM;
}
