#include "outlier/outlier.h"

#include <string.h>

#define OUTLIER_DAY_MS UINT32_C(86400000)
#define OUTLIER_EVENTS 64

static bool outlier_times_valid(const weir_outlier_options *o)
{
    return o->interval_ms >= 1 && o->interval_ms <= OUTLIER_DAY_MS && o->base_ms >= 1 &&
           o->max_ms >= o->base_ms && o->max_ms <= OUTLIER_DAY_MS &&
           o->jitter_ms <= OUTLIER_DAY_MS && o->max_ejected_percent <= 100;
}

static bool outlier_detections_valid(const weir_outlier_options *o)
{
    return o->success_rate_min_hosts >= 2 && o->success_rate_min_calls >= 1 &&
           o->failure_percent <= 100 && o->failure_percent_min_hosts >= 1 &&
           o->failure_percent_min_calls >= 1 &&
           (o->latency_percent == 0 ||
            (o->latency_percent > 100 && o->latency_percent <= 100000)) &&
           o->latency_min_hosts >= 2 && o->latency_min_calls >= 1;
}

static int outlier_load(weir_outlier_options *loaded, const weir_outlier_options *options)
{
    *loaded = (weir_outlier_options)WEIR_OUTLIER_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return WEIR_EINVAL;
    return outlier_times_valid(loaded) && outlier_detections_valid(loaded) ? WEIR_OK : WEIR_EINVAL;
}

static void outlier_put_in_force(weir_outlier *outlier, const weir_outlier_options *options)
{
    outlier->options = *options;
    outlier->options.env = NULL; /* The caller's; ours is the copy. */
    atomic_store(&outlier->rows.any, options->consecutive_failures);
    atomic_store(&outlier->rows.gateway, options->consecutive_gateway);
    atomic_store(&outlier->rows.local, options->consecutive_local);
    atomic_store(&outlier->rows.split, options->split_local);
}

int weir_outlier_create(weir_outlier **out, const weir_outlier_options *options)
{
    *out = NULL;
    weir_outlier_options loaded;
    weir_env env;
    if (outlier_load(&loaded, options) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_outlier *const outlier = weir__alloc(&env, sizeof *outlier);
    if (outlier == NULL)
        return WEIR_ENOMEM;
    outlier->env = env;
    outlier->on_event = loaded.on_event;
    outlier->user = loaded.user;
    if (weir__outbox_init(&outlier->outbox, &outlier->env, sizeof(weir__outlier_note),
                          OUTLIER_EVENTS)) {
        weir__free(&env, outlier, sizeof *outlier);
        return WEIR_ENOMEM;
    }
    outlier_put_in_force(outlier, &loaded);
    weir__rng_seed(&outlier->rng, weir__random(&env));
    outlier->now_ns = weir__now_ns(&env);
    outlier->sweep_ns = weir__add_ns(outlier->now_ns, loaded.interval_ms * WEIR__NS_PER_MS);
    pthread_mutex_init(&outlier->lock, NULL);
    *out = outlier;
    return WEIR_OK;
}

void weir_outlier_destroy(weir_outlier *outlier)
{
    if (outlier == NULL)
        return;
    weir_env const env = outlier->env;
    for (uint32_t i = 0; i < outlier->count; i++)
        weir__free(&env, outlier->hosts[i], outlier->hosts[i]->bytes);
    weir__free(&env, outlier->hosts, outlier->room * sizeof(void *));
    weir__free(&env, outlier->figures, outlier->room * sizeof *outlier->figures);
    weir__outbox_free(&outlier->outbox, &env);
    pthread_mutex_destroy(&outlier->lock);
    weir__free(&env, outlier, sizeof *outlier);
}

int weir_outlier_update(weir_outlier *outlier, const weir_outlier_options *options)
{
    weir_outlier_options loaded;
    if (outlier_load(&loaded, options))
        return WEIR_EINVAL;
    pthread_mutex_lock(&outlier->lock);
    outlier_put_in_force(outlier, &loaded);
    uint64_t const latest_ns = weir__add_ns(outlier->now_ns, loaded.interval_ms * WEIR__NS_PER_MS);
    if (outlier->sweep_ns > latest_ns)
        outlier->sweep_ns = latest_ns;
    pthread_mutex_unlock(&outlier->lock);
    return WEIR_OK;
}

/* Lock held. */
static int outlier_reserve(weir_outlier *outlier)
{
    if (outlier->count < outlier->room)
        return WEIR_OK;
    uint32_t const room = outlier->room * 2 + 8;
    weir_outlier_host **const hosts = weir__alloc(&outlier->env, room * sizeof(void *));
    weir__outlier_figure *const figures = weir__alloc(&outlier->env, room * sizeof *figures);
    if (hosts == NULL || figures == NULL) {
        weir__free(&outlier->env, hosts, room * sizeof(void *));
        weir__free(&outlier->env, figures, room * sizeof *figures);
        return WEIR_ENOMEM;
    }
    if (outlier->count > 0)
        memcpy(hosts, outlier->hosts, outlier->count * sizeof(void *));
    weir__free(&outlier->env, outlier->hosts, outlier->room * sizeof(void *));
    weir__free(&outlier->env, outlier->figures, outlier->room * sizeof *figures);
    outlier->hosts = hosts;
    outlier->figures = figures;
    outlier->room = room;
    return WEIR_OK;
}

int weir_outlier_add(weir_outlier *outlier, const char *id, void *user, weir_outlier_host **host)
{
    *host = NULL;
    if (id == NULL)
        return WEIR_EINVAL;
    size_t const size = strlen(id) + 1, bytes = sizeof(weir_outlier_host) + size;
    weir_outlier_host *const made = weir__alloc(&outlier->env, bytes);
    if (made == NULL)
        return WEIR_ENOMEM;
    made->outlier = outlier;
    made->user = user;
    made->bytes = bytes;
    memcpy(made->id, id, size);
    pthread_mutex_lock(&outlier->lock);
    int const result = outlier_reserve(outlier);
    if (result == WEIR_OK) {
        made->place = outlier->count;
        outlier->hosts[outlier->count++] = made;
    }
    pthread_mutex_unlock(&outlier->lock);
    if (result == WEIR_OK)
        *host = made;
    else
        weir__free(&outlier->env, made, bytes);
    return result;
}

/* Lock held. The last host takes its place. */
static void host_leave(weir_outlier_host *host)
{
    weir_outlier *const outlier = host->outlier;
    if (host->left)
        return;
    weir_outlier_host *const last = outlier->hosts[--outlier->count];
    outlier->hosts[host->place] = last;
    last->place = host->place;
    outlier->ejected -= host->ejected;
    host->ejected = false;
    host->left = true;
    atomic_store(&host->out, true);
}

void weir_outlier_leave(weir_outlier_host *host)
{
    pthread_mutex_lock(&host->outlier->lock);
    host_leave(host);
    pthread_mutex_unlock(&host->outlier->lock);
}

void weir_outlier_remove(weir_outlier_host *host)
{
    if (host == NULL)
        return;
    weir_outlier *const outlier = host->outlier;
    pthread_mutex_lock(&outlier->lock);
    host_leave(host);
    host->orphan = host->pending > 0;
    bool const over = !host->orphan;
    pthread_mutex_unlock(&outlier->lock);
    if (over)
        weir__free(&outlier->env, host, host->bytes);
}

void weir_outlier_get_host(weir_outlier_host *host, weir_outlier_host_stats *stats)
{
    pthread_mutex_lock(&host->outlier->lock);
    const weir__outlier_interval *const last = &host->last;
    uint32_t const successes = last->calls - last->failures;
    *stats = (weir_outlier_host_stats){
        .ejected = host->ejected,
        .detection = host->detection,
        .until_ns = host->until_ns,
        .times = host->times,
        .ejections = host->ejections,
        .calls = last->calls,
        .success_percent = last->calls > 0 ? 100.0 * successes / last->calls : 0,
        .latency_ns = successes > 0 ? last->busy_ns / successes : 0,
    };
    pthread_mutex_unlock(&host->outlier->lock);
}

void weir_outlier_get_stats(weir_outlier *outlier, weir_outlier_stats *stats)
{
    pthread_mutex_lock(&outlier->lock);
    *stats = (weir_outlier_stats){.hosts = outlier->count,
                                  .ejected = outlier->ejected,
                                  .ejections = outlier->ejections,
                                  .spared = outlier->spared,
                                  .dropped = outlier->outbox.dropped};
    pthread_mutex_unlock(&outlier->lock);
}

const char *weir_outlier_detection_name(weir_outlier_detection detection)
{
    switch (detection) {
    case WEIR_OUTLIER_CONSECUTIVE: return "consecutive";
    case WEIR_OUTLIER_CONSECUTIVE_GATEWAY: return "consecutive_gateway";
    case WEIR_OUTLIER_CONSECUTIVE_LOCAL: return "consecutive_local";
    case WEIR_OUTLIER_SUCCESS_RATE: return "success_rate";
    case WEIR_OUTLIER_LOCAL_SUCCESS_RATE: return "local_success_rate";
    case WEIR_OUTLIER_FAILURE_PERCENT: return "failure_percent";
    case WEIR_OUTLIER_LOCAL_FAILURE_PERCENT: return "local_failure_percent";
    case WEIR_OUTLIER_LATENCY: return "latency";
    case WEIR_OUTLIER_BY_HAND: return "by_hand";
    }
    return "unknown";
}

const char *weir_outlier_event_name(weir_outlier_event_kind kind)
{
    switch (kind) {
    case WEIR_OUTLIER_EJECTED: return "ejected";
    case WEIR_OUTLIER_RETURNED: return "returned";
    case WEIR_OUTLIER_DETECTED: return "detected";
    case WEIR_OUTLIER_SPARED: return "spared";
    }
    return "unknown";
}
