#include "metrics/metrics.h"

#include <string.h>
#include <strings.h>

#define FAMILY_MAX_LABELS    64
#define FAMILY_MAX_BOUNDS    1024
#define FAMILY_MAX_QUANTILES 32
#define FAMILY_SUFFIX_SIZE   9  /* "_created", and its NUL. */
#define FAMILY_OCTAVES       20 /* Exemplars of EXPONENTIAL. */

/* OpenTelemetry's: of the SDK, and, for seconds, of the semantic conventions for HTTP. */
static const double family_bounds[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                       500, 750, 1000, 2500, 5000, 7500, 10000};
static const double family_bounds_s[] = {.005, .01, .025, .05, .075, .1,  .25,
                                         .5,   .75, 1,    2.5, 5,    7.5, 10};
static const double family_quantiles[] = {.5, .9, .99};

/* ---- Options ---- */

static bool family_rises(const double *values, uint32_t count, double most)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(values[i] >= (i > 0 ? values[i - 1] : 0)) || values[i] > most ||
            (i > 0 && values[i] == values[i - 1]))
            return false;
    return true;
}

static bool family_numbers_valid(const weir_metrics_family_options *o)
{
    return o->max_series >= 1 && o->bound_count <= FAMILY_MAX_BOUNDS &&
           (o->bound_count == 0 || o->bounds != NULL) &&
           family_rises(o->bounds, o->bound_count, 0x1.fffffffffffffp1023) && 2 <= o->max_buckets &&
           o->max_buckets <= 160 && -10 <= o->max_scale && o->max_scale <= 20 &&
           o->accuracy >= .0001 && o->accuracy <= .5 && 16 <= o->max_bins && o->max_bins <= 65536 &&
           o->quantile_count <= FAMILY_MAX_QUANTILES &&
           (o->quantile_count == 0 || o->quantiles != NULL) &&
           family_rises(o->quantiles, o->quantile_count, 1);
}

static bool family_same_in_texts(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++)
        if (*a != *b && !(strchr(".-/_", *a) != NULL && strchr(".-/_", *b) != NULL))
            return false;
    return *a == *b;
}

static bool family_labels_valid(const weir_metrics_family_options *o)
{
    if (o->label_count > FAMILY_MAX_LABELS || (o->label_count > 0 && o->labels == NULL))
        return false;
    bool const spread = o->kind >= WEIR_METRICS_HISTOGRAM;
    for (uint32_t i = 0; i < o->label_count; i++) {
        if (o->labels[i] == NULL || !weir__metrics_name_key_valid(o->labels[i]) ||
            (spread && (strcmp(o->labels[i], "le") == 0 || strcmp(o->labels[i], "quantile") == 0)))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (family_same_in_texts(o->labels[i], o->labels[j]))
                return false;
    }
    return true;
}

static bool family_options_valid(const weir_metrics_family_options *o)
{
    return o->name != NULL && weir__metrics_name_valid(o->name) &&
           strlen(o->unit) <= WEIR__UNIT_MAX && weir__text_is_utf8(o->unit, strlen(o->unit)) &&
           weir__text_is_utf8(o->help, strlen(o->help)) && (unsigned)o->kind <= 5 &&
           (unsigned)o->number <= 1 && family_labels_valid(o) && family_numbers_valid(o) &&
           (o->observe == NULL || o->kind < WEIR_METRICS_HISTOGRAM);
}

static void family_defaults(weir_metrics_family_options *o)
{
    bool const seconds = strcmp(o->unit, "s") == 0;
    if (o->bounds == NULL) {
        o->bounds = seconds ? family_bounds_s : family_bounds;
        o->bound_count = seconds ? sizeof family_bounds_s / sizeof family_bounds_s[0]
                                 : sizeof family_bounds / sizeof family_bounds[0];
    }
    if (o->quantiles == NULL) {
        o->quantiles = family_quantiles;
        o->quantile_count = sizeof family_quantiles / sizeof family_quantiles[0];
    }
}

static bool family_load(weir_metrics_family_options *loaded,
                        const weir_metrics_family_options *options)
{
    *loaded = (weir_metrics_family_options)WEIR_METRICS_FAMILY_OPTIONS_INIT;
    if (options == NULL ||
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return false;
    if (loaded->unit == NULL)
        loaded->unit = "";
    if (loaded->help == NULL)
        loaded->help = "";
    if (!family_options_valid(loaded))
        return false;
    family_defaults(loaded);
    return true;
}

/* ---- What it is made of ---- */

/* Behind the struct: arrays, then strings, in a block of the right size. */
static void *family_put(char **at, const void *data, size_t size)
{
    char *const place = *at;
    if (size > 0)
        memcpy(place, data, size);
    *at += size;
    return place;
}

static const char *family_put_str(char **at, const char *str, const char *suffix)
{
    const char *const place = family_put(at, str, strlen(str));
    (void)family_put(at, suffix, strlen(suffix) + 1);
    return place;
}

static size_t family_size(const weir_metrics_family_options *o, const weir__text *unit,
                          const weir__text *base)
{
    weir__buckets buckets;
    weir__buckets_plan(&buckets, o->bounds, o->bound_count);
    size_t size = sizeof(weir_metrics_family) +
                  (o->bound_count + 1 + o->quantile_count) * sizeof(double) +
                  o->label_count * sizeof(char *) + buckets.cells * sizeof(uint16_t);
    size += strlen(o->name) + strlen(o->unit) + strlen(o->help) + unit->size + 4;
    size += (WEIR__CLAIMS + 1) * (base->size + FAMILY_SUFFIX_SIZE);
    for (uint32_t i = 0; i < o->label_count; i++)
        size += strlen(o->labels[i]) + 1;
    return size;
}

static void family_put_claims(weir_metrics_family *family, char **at)
{
    static const char *const suffixes[][WEIR__CLAIMS] = {
        [WEIR_METRICS_COUNTER] = {"", "_total", "_created"},
        [WEIR_METRICS_UPDOWN] = {""},
        [WEIR_METRICS_GAUGE] = {""},
        [WEIR_METRICS_HISTOGRAM] = {"", "_bucket", "_count", "_sum", "_created"},
        [WEIR_METRICS_EXPONENTIAL] = {"", "_bucket", "_count", "_sum", "_created"},
        [WEIR_METRICS_SUMMARY] = {"", "_count", "_sum", "_created"},
    };
    const char *const *const own = suffixes[family->options.kind];
    for (; family->claim_count < WEIR__CLAIMS && own[family->claim_count] != NULL;
         family->claim_count++)
        family->claims[family->claim_count] =
            family_put_str(at, family->base, own[family->claim_count]);
}

static void family_fill(weir_metrics_family *family, const weir__text *unit, const weir__text *base)
{
    weir_metrics_family_options *const o = &family->options;
    char *at = (char *)(family + 1);
    double const infinity = WEIR__INFINITY;
    weir__buckets_plan(&family->buckets, o->bounds, o->bound_count);
    double *const bounds = family_put(&at, o->bounds, o->bound_count * sizeof(double));
    for (uint32_t i = 0; i < o->bound_count; i++)
        bounds[i] += 0.0; /* -0 becomes 0, the bits of which are the least. */
    o->bounds = bounds;
    (void)family_put(&at, &infinity, sizeof infinity);
    o->quantiles = family_put(&at, o->quantiles, o->quantile_count * sizeof(double));
    const char **const labels = (void *)at;
    at += o->label_count * sizeof *labels;
    weir__buckets_fill(&family->buckets, o->bounds, (void *)at);
    at += family->buckets.cells * sizeof(uint16_t);
    for (uint32_t i = 0; i < o->label_count; i++)
        labels[i] = family_put_str(&at, o->labels[i], "");
    o->labels = labels;
    o->name = family_put_str(&at, o->name, "");
    o->unit = family_put_str(&at, o->unit, "");
    o->help = family_put_str(&at, o->help, "");
    family->unit = family_put_str(&at, unit->size > 0 ? unit->data : "", "");
    family->base = family_put_str(&at, base->data, "");
    family_put_claims(family, &at);
    family->view =
        (weir_metrics_view){.name = o->name,
                            .unit = o->unit,
                            .help = o->help,
                            .kind = o->kind,
                            .number = o->number,
                            .prometheus_name =
                                o->kind == WEIR_METRICS_COUNTER ? family->claims[1] : family->base};
}

static void family_measure(weir_metrics_family *family)
{
    const weir_metrics_family_options *const o = &family->options;
    family->gamma = (1.0 + o->accuracy) / (1.0 - o->accuracy);
    family->multiplier = 1.0 / weir__log2(family->gamma);
    switch (o->kind) {
    case WEIR_METRICS_COUNTER:
    case WEIR_METRICS_UPDOWN: family->words = WEIR__CELL_SUM_WORDS; break;
    case WEIR_METRICS_GAUGE: family->words = 0; break;
    case WEIR_METRICS_HISTOGRAM:
        family->places = o->bound_count;
        family->words = WEIR__CELL_BUCKETS + o->bound_count + 1;
        family->exemplar_count = o->bound_count + 1;
        break;
    case WEIR_METRICS_EXPONENTIAL:
        family->places = o->max_buckets;
        family->words = WEIR__CELL_PLACES + o->max_buckets;
        family->exemplar_count = FAMILY_OCTAVES;
        break;
    case WEIR_METRICS_SUMMARY:
        family->places = o->max_bins;
        family->words = WEIR__CELL_PLACES + o->max_bins;
        break;
    }
    if (o->kind == WEIR_METRICS_COUNTER)
        family->exemplar_count = 1;
}

static weir_metrics_family *family_new(weir_metrics *metrics,
                                       const weir_metrics_family_options *options)
{
    weir__text unit, base;
    weir_metrics_family *family = NULL;
    weir__text_init(&unit, &metrics->env);
    weir__text_init(&base, &metrics->env);
    weir__metrics_name_unit(&unit, options->unit, options->kind);
    weir__metrics_name_base(&base, options, unit.size > 0 ? unit.data : "");
    size_t const size = family_size(options, &unit, &base);
    if (weir__text_ok(&unit) && weir__text_ok(&base))
        family = weir__alloc(&metrics->env, size);
    if (family != NULL) {
        family->metrics = metrics;
        family->options = *options;
        family->size = size;
        family_fill(family, &unit, &base);
        family_measure(family);
        weir__map_init(&family->map, &metrics->env);
    }
    weir__text_free(&unit);
    weir__text_free(&base);
    return family;
}

void weir__metrics_family_free(weir_metrics_family *family)
{
    while (family->first != NULL) {
        weir_metrics_series *const series = family->first;
        family->first = series->next;
        weir__series_free(series);
    }
    weir__map_free(&family->map);
    weir__free(&family->metrics->env, family, family->size);
}

/* ---- Creation ---- */

/* Lock held. OpenTelemetry does not tell names apart by case. */
static bool family_clashes(const weir_metrics *metrics, const weir_metrics_family *family)
{
    for (const weir_metrics_family *other = metrics->first; other != NULL; other = other->next)
        if (strcasecmp(other->options.name, family->options.name) == 0)
            return true;
    for (size_t i = 0; i < family->claim_count; i++)
        if (weir__map_get(&metrics->names, family->claims[i], strlen(family->claims[i])) != NULL)
            return true;
    return false;
}

/* Lock held. */
static int family_link(weir_metrics *metrics, weir_metrics_family *family)
{
    if (family_clashes(metrics, family))
        return WEIR_EEXISTS;
    if (weir__map_reserve(&metrics->names, metrics->names.count + family->claim_count))
        return WEIR_ENOMEM;
    for (size_t i = 0; i < family->claim_count; i++)
        (void)weir__map_put(&metrics->names, family->claims[i], strlen(family->claims[i]), family);
    if (metrics->last != NULL)
        metrics->last->next = family;
    else
        metrics->first = family;
    metrics->last = family;
    metrics->family_count++;
    return WEIR_OK;
}

int weir_metrics_family_create(weir_metrics_family **out, weir_metrics *metrics,
                               const weir_metrics_family_options *options)
{
    weir_metrics_family_options loaded;
    *out = NULL;
    if (!family_load(&loaded, options))
        return WEIR_EINVAL;
    weir_metrics_family *const family = family_new(metrics, &loaded);
    if (family == NULL)
        return WEIR_ENOMEM;
    pthread_mutex_lock(&metrics->lock);
    int const result = family_link(metrics, family);
    pthread_mutex_unlock(&metrics->lock);
    if (result != WEIR_OK)
        weir__metrics_family_free(family);
    else
        *out = family;
    return result;
}

const char *weir_metrics_family_prometheus_name(const weir_metrics_family *family)
{
    return family->view.prometheus_name;
}
