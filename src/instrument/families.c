/* The families, and the series of theirs that were used before. */
#include "instrument/instrument.h"

#include <string.h>

#define INSTRUMENT_KEY_ROOM 512 /* Of labels; a longer set is asked for each time. */

static const struct {
    const char *name, *unit, *help;
    weir_metrics_kind kind;
    const char *labels[WEIR__INSTRUMENT_LABELS + 1];
} instrument_families[WEIR__INSTRUMENT_KINDS] = {
    {"http.server.request.duration",
     "s",
     "Duration of HTTP requests that were served.",
     WEIR_METRICS_HISTOGRAM,
     {"http.request.method", "http.response.status_code", "http.route", "error.type",
      "url.scheme"}},
    {"http.server.active_requests",
     "{request}",
     "HTTP requests that are being served.",
     WEIR_METRICS_UPDOWN,
     {"http.request.method", "url.scheme"}},
    {"http.client.request.duration",
     "s",
     "Duration of HTTP requests that were made.",
     WEIR_METRICS_HISTOGRAM,
     {"http.request.method", "http.response.status_code", "server.address", "server.port",
      "error.type"}},
    {"weir.caller.call.duration",
     "s",
     "Duration of guarded calls, with all their attempts.",
     WEIR_METRICS_HISTOGRAM,
     {"weir.service", "weir.outcome"}},
    {"weir.caller.attempt.duration",
     "s",
     "Duration of attempts, by member.",
     WEIR_METRICS_HISTOGRAM,
     {"weir.service", "weir.member", "weir.outcome"}},
    {"weir.caller.rejections",
     "{attempt}",
     "Attempts that were rejected, by stage.",
     WEIR_METRICS_COUNTER,
     {"weir.service", "weir.stage"}},
    {"weir.caller.breaker.changes",
     "{change}",
     "Changes of a member's breaker, by the state that it came to.",
     WEIR_METRICS_COUNTER,
     {"weir.service", "weir.member", "weir.state"}},
    {"weir.caller.ejections",
     "{ejection}",
     "Times that a member was ejected as an outlier.",
     WEIR_METRICS_COUNTER,
     {"weir.service", "weir.member"}},
};

static int instrument_create_family(weir_instrument *instrument, size_t kind)
{
    weir__instrument_family *const family = &instrument->families[kind];
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    options.name = instrument_families[kind].name;
    options.unit = instrument_families[kind].unit;
    options.help = instrument_families[kind].help;
    options.kind = instrument_families[kind].kind;
    options.labels = instrument_families[kind].labels;
    while (options.labels[options.label_count] != NULL)
        options.label_count++;
    family->labels = options.label_count;
    family->known = weir__alloc(&instrument->env, WEIR__INSTRUMENT_SLOTS * sizeof family->known[0]);
    if (family->known == NULL)
        return WEIR_ENOMEM;
    return weir_metrics_family_create(&family->family, instrument->options.metrics, &options);
}

/* The labels one after another; 0: there is no room for them. */
static size_t instrument_key(const weir__instrument_family *family, const char *const *values,
                             char *key)
{
    size_t used = 0;
    for (uint32_t i = 0; i < family->labels; i++) {
        size_t const size = strlen(values[i]) + 1;
        if (size > INSTRUMENT_KEY_ROOM - used)
            return 0;
        memcpy(key + used, values[i], size);
        used += size;
    }
    return used;
}

static bool instrument_knows(const weir__known_series *known, const char *key, size_t size)
{
    return known != NULL && known->size == sizeof *known + size &&
           memcmp(known->key, key, size) == 0;
}

/* Keeps the handle; false: there is no memory, or another thread was first. */
static bool instrument_remember(weir_instrument *instrument, _Atomic(weir__known_series *) *slot,
                                weir_metrics_series *series, const char *key, size_t size)
{
    weir__known_series *const known =
        weir__alloc(&instrument->env, sizeof(weir__known_series) + size);
    weir__known_series *expected = NULL;
    if (known == NULL)
        return false;
    known->series = series;
    known->size = sizeof(weir__known_series) + size;
    memcpy(known->key, key, size);
    if (atomic_compare_exchange_strong(slot, &expected, known))
        return true;
    weir__free(&instrument->env, known, known->size);
    return false;
}

/* A series for one use; NULL: there is none. It may be for its user to release. */
static weir_metrics_series *instrument_series(weir_instrument *instrument,
                                              weir__instrument_kind kind, const char *const *given,
                                              bool *release)
{
    weir__instrument_family *const family = &instrument->families[kind];
    const char *values[WEIR__INSTRUMENT_LABELS] = {"", "", "", "", ""};
    char key[INSTRUMENT_KEY_ROOM];
    weir_metrics_series *series;
    *release = false;
    if (family->family == NULL)
        return NULL;
    for (uint32_t i = 0; i < family->labels; i++)
        if (given[i] != NULL)
            values[i] = given[i];
    size_t const size = instrument_key(family, values, key);
    size_t const slot =
        size > 0 ? weir__hash(instrument->seed, key, size) % WEIR__INSTRUMENT_SLOTS : 0;
    const weir__known_series *const known = size > 0 ? atomic_load(&family->known[slot]) : NULL;
    if (instrument_knows(known, key, size))
        return known->series;
    if (weir_metrics_series_get(&series, family->family, values) != WEIR_OK)
        return NULL;
    *release = size == 0 || known != NULL ||
               !instrument_remember(instrument, &family->known[slot], series, key, size);
    return series;
}

void weir__instrument_record(weir_instrument *instrument, weir__instrument_kind kind,
                             const char *const *values, double seconds,
                             const weir_trace_context *context)
{
    bool release;
    weir_metrics_series *const series = instrument_series(instrument, kind, values, &release);
    if (series != NULL)
        weir_metrics_record_traced(series, seconds, context);
    if (release)
        weir_metrics_series_release(series);
}

void weir__instrument_add(weir_instrument *instrument, weir__instrument_kind kind,
                          const char *const *values, int64_t n)
{
    bool release;
    weir_metrics_series *const series = instrument_series(instrument, kind, values, &release);
    if (series != NULL)
        weir_metrics_add(series, n);
    if (release)
        weir_metrics_series_release(series);
}

int weir_instrument_create(weir_instrument **out, const weir_instrument_options *options)
{
    weir_instrument_options loaded = WEIR_INSTRUMENT_OPTIONS_INIT;
    weir_env env;
    int result = WEIR_OK;
    *out = NULL;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_instrument *const instrument = weir__alloc(&env, sizeof *instrument);
    if (instrument == NULL)
        return WEIR_ENOMEM;
    instrument->env = env;
    instrument->options = loaded;
    instrument->seed = (weir__hash_key){weir__random(&env), weir__random(&env)};
    for (size_t i = 0; i < WEIR__INSTRUMENT_KINDS && loaded.metrics != NULL && result == WEIR_OK;
         i++)
        result = instrument_create_family(instrument, i);
    if (result != WEIR_OK) {
        weir_instrument_destroy(instrument);
        return result;
    }
    *out = instrument;
    return WEIR_OK;
}

static void instrument_free_family(weir_instrument *instrument, weir__instrument_family *family)
{
    if (family->known == NULL)
        return;
    for (size_t i = 0; i < WEIR__INSTRUMENT_SLOTS; i++) {
        weir__known_series *const known = atomic_load(&family->known[i]);
        if (known == NULL)
            continue;
        weir_metrics_series_release(known->series);
        weir__free(&instrument->env, known, known->size);
    }
    weir__free(&instrument->env, family->known, WEIR__INSTRUMENT_SLOTS * sizeof family->known[0]);
}

void weir_instrument_destroy(weir_instrument *instrument)
{
    if (instrument == NULL)
        return;
    weir_env const env = instrument->env;
    for (size_t i = 0; i < WEIR__INSTRUMENT_KINDS; i++)
        instrument_free_family(instrument, &instrument->families[i]);
    weir__free(&env, instrument, sizeof *instrument);
}
