/*
 * The texts: Prometheus 0.0.4 ("Exposition formats", prometheus.io) and OpenMetrics 1.0. They
 * differ in where _total goes, in escapes of HELP, and in what only the latter has.
 */
#include "metrics/metrics.h"

#include <stddef.h>
#include <string.h>

typedef struct text_page {
    weir__text out;
    bool open; /* OpenMetrics. */
} text_page;

static const weir_metrics_family *text_family(const weir_metrics_view *view)
{
    return (const void *)((const char *)view - offsetof(weir_metrics_family, view));
}

/* ---- Parts ---- */

static void text_value(weir__text *out, double value)
{
    if (value != value)
        weir__text_str(out, "NaN");
    else if (value - value != 0)
        weir__text_str(out, value > 0 ? "+Inf" : "-Inf");
    else
        weir__text_double(out, value);
}

/* As OpenMetrics wants numbers that are labels: with a point or an exponent. */
static void text_bound(text_page *page, double value)
{
    size_t const from = page->out.size;
    text_value(&page->out, value);
    if (page->open && weir__text_ok(&page->out) && value - value == 0 &&
        strpbrk(page->out.data + from, ".e") == NULL)
        weir__text_str(&page->out, ".0");
}

static void text_time(weir__text *out, uint64_t ns)
{
    weir__text_format(out, "%llu.%09llu", (unsigned long long)(ns / WEIR__NS_PER_S),
                      (unsigned long long)(ns % WEIR__NS_PER_S));
}

static void text_key(weir__text *out, const char *key)
{
    for (; *key != '\0'; key++)
        weir__text_bytes(out, strchr(".-/", *key) != NULL ? "_" : key, 1);
}

/* The labels of a point, and, where `name` is given, one of ours, which is a number. */
static void text_labels(text_page *page, const weir_metrics_point *point, const char *name,
                        double number)
{
    weir__text *const out = &page->out;
    const char *before = "{";
    for (size_t i = 0; i < point->label_count; i++) {
        weir__text_str(out, before);
        text_key(out, point->labels[i].key);
        weir__text_str(out, "=\"");
        weir__text_label(out, point->labels[i].value, strlen(point->labels[i].value));
        weir__text_str(out, "\"");
        before = ",";
    }
    if (name != NULL) {
        weir__text_format(out, "%s%s=\"", before, name);
        text_bound(page, number);
        weir__text_str(out, "\"");
        before = ",";
    }
    weir__text_str(out, before[0] == ',' ? "} " : " ");
}

static void text_hex(weir__text *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        weir__text_format(out, "%02x", bytes[i]);
}

/*
 * The one above `low`, up to `high`, if there is one. Its labels have 63 characters of the 128 that
 * are allowed.
 */
static void text_exemplar(text_page *page, const weir_metrics_point *point, double low, double high)
{
    for (size_t i = 0; page->open && i < point->exemplar_count; i++) {
        const weir_metrics_exemplar *const exemplar = &point->exemplars[i];
        if (!(exemplar->value > low && exemplar->value <= high))
            continue;
        weir__text_str(&page->out, " # {trace_id=\"");
        text_hex(&page->out, exemplar->trace_id, sizeof exemplar->trace_id);
        weir__text_str(&page->out, "\",span_id=\"");
        text_hex(&page->out, exemplar->span_id, sizeof exemplar->span_id);
        weir__text_str(&page->out, "\"} ");
        text_value(&page->out, exemplar->value);
        weir__text_str(&page->out, " ");
        text_time(&page->out, exemplar->time_ns);
        return;
    }
}

static void text_count(text_page *page, const weir_metrics_family *family, const char *suffix,
                       const weir_metrics_point *point, uint64_t count)
{
    weir__text_str(&page->out, family->base);
    weir__text_str(&page->out, suffix);
    text_labels(page, point, NULL, 0);
    weir__text_u64(&page->out, count);
    weir__text_str(&page->out, "\n");
}

static void text_created(text_page *page, const weir_metrics_family *family,
                         const weir_metrics_point *point)
{
    if (!page->open || !family->metrics->options.created)
        return;
    weir__text_str(&page->out, family->base);
    weir__text_str(&page->out, "_created");
    text_labels(page, point, NULL, 0);
    text_time(&page->out, point->start_ns);
    weir__text_str(&page->out, "\n");
}

/* ---- Samples ---- */

static void text_sum(text_page *page, const weir_metrics_family *family,
                     const weir_metrics_point *point)
{
    weir__text *const out = &page->out;
    weir__text_str(out, family->view.prometheus_name);
    text_labels(page, point, NULL, 0);
    if (family->view.kind != WEIR_METRICS_GAUGE && family->view.number == WEIR_METRICS_INT)
        weir__text_format(out, "%lld", (long long)point->integer);
    else
        text_value(out, point->value);
    if (family->view.kind == WEIR_METRICS_COUNTER)
        text_exemplar(page, point, -1, WEIR__INFINITY);
    weir__text_str(out, "\n");
    if (family->view.kind == WEIR_METRICS_COUNTER)
        text_created(page, family, point);
}

static void text_bucket(text_page *page, const weir_metrics_family *family,
                        const weir_metrics_point *point, double low, double high, uint64_t count)
{
    weir__text_str(&page->out, family->base);
    weir__text_str(&page->out, "_bucket");
    text_labels(page, point, "le", high);
    weir__text_u64(&page->out, count);
    text_exemplar(page, point, low, high);
    weir__text_str(&page->out, "\n");
}

static void text_buckets(text_page *page, const weir_metrics_family *family,
                         const weir_metrics_point *point)
{
    uint64_t count = 0;
    double low = -1;
    for (size_t i = 0; i < point->bound_count; i++) {
        count += point->buckets[i];
        text_bucket(page, family, point, low, point->bounds[i], count);
        low = point->bounds[i];
    }
    text_bucket(page, family, point, low, WEIR__INFINITY, point->count);
}

/* Where the bucket of this index ends, as a power of 2, at a scale that is at most 0. */
static int64_t text_octave_end(int64_t index, int32_t scale)
{
    return (index + 1) * (INT64_C(1) << -scale);
}

/* At the scale, or at 0 if that is coarser: bounds that do not move while values come in. */
static void text_octaves(text_page *page, const weir_metrics_family *family,
                         const weir_metrics_point *point)
{
    int32_t const finer = point->scale > 0 ? point->scale : 0;
    int64_t const ground = INT64_C(1) << 40; /* Above 0, shifting is rounding down. */
    uint64_t count = point->zero_count;
    double low = 0;
    text_bucket(page, family, point, -1, 0, count);
    for (size_t i = 0; i < point->bucket_count; i++) {
        int64_t const index = point->offset + (int64_t)i;
        int64_t const wide = ((index + ground) >> finer) - (ground >> finer);
        int64_t const next = ((index + 1 + ground) >> finer) - (ground >> finer);
        count += point->buckets[i];
        if (next == wide && i + 1 < point->bucket_count)
            continue;
        double const high = weir__exp2((double)text_octave_end(wide, point->scale - finer));
        if (high - high == 0)
            text_bucket(page, family, point, low, high, count);
        low = high;
    }
    text_bucket(page, family, point, low, WEIR__INFINITY, point->count);
}

static void text_quantiles(text_page *page, const weir_metrics_family *family,
                           const weir_metrics_point *point)
{
    for (size_t i = 0; i < point->quantile_count; i++) {
        weir__text_str(&page->out, family->base);
        text_labels(page, point, "quantile", point->quantiles[i].quantile);
        text_value(&page->out, point->quantiles[i].value);
        weir__text_str(&page->out, "\n");
    }
}

static void text_spread(text_page *page, const weir_metrics_family *family,
                        const weir_metrics_point *point)
{
    if (family->view.kind == WEIR_METRICS_HISTOGRAM)
        text_buckets(page, family, point);
    else if (family->view.kind == WEIR_METRICS_EXPONENTIAL)
        text_octaves(page, family, point);
    else
        text_quantiles(page, family, point);
    text_count(page, family, "_count", point, point->count);
    weir__text_str(&page->out, family->base);
    weir__text_str(&page->out, "_sum");
    text_labels(page, point, NULL, 0);
    text_value(&page->out, point->sum);
    weir__text_str(&page->out, "\n");
    text_created(page, family, point);
}

/* ---- Families ---- */

static void text_help(text_page *page, const char *help)
{
    for (; *help != '\0'; help++)
        if (*help == '\n')
            weir__text_str(&page->out, "\\n");
        else if (*help == '\\' || (*help == '"' && page->open))
            weir__text_bytes(&page->out, (const char[]){'\\', *help}, 2);
        else
            weir__text_bytes(&page->out, help, 1);
}

static void text_on_family(const weir_metrics_view *view, void *user)
{
    static const char *const types[] = {"counter",   "gauge",     "gauge",
                                        "histogram", "histogram", "summary"};
    text_page *const page = user;
    const weir_metrics_family *const family = text_family(view);
    const char *const name = page->open ? family->base : view->prometheus_name;
    if (view->help[0] != '\0') {
        weir__text_format(&page->out, "# HELP %s ", name);
        text_help(page, view->help);
        weir__text_str(&page->out, "\n");
    }
    weir__text_format(&page->out, "# TYPE %s %s\n", name, types[view->kind]);
    if (page->open && family->unit[0] != '\0')
        weir__text_format(&page->out, "# UNIT %s %s\n", name, family->unit);
}

static void text_on_point(const weir_metrics_view *view, const weir_metrics_point *point,
                          void *user)
{
    text_page *const page = user;
    if (view->kind < WEIR_METRICS_HISTOGRAM)
        text_sum(page, text_family(view), point);
    else
        text_spread(page, text_family(view), point);
}

static int text_write(weir_metrics *metrics, bool open, weir_metrics_write_fn write, void *user)
{
    static const weir_metrics_visitor visitor = {.family = text_on_family, .point = text_on_point};
    text_page page = {.open = open};
    weir__text_init(&page.out, &metrics->env);
    int result = weir_metrics_collect(metrics, &visitor, &page);
    if (open)
        weir__text_str(&page.out, "# EOF\n");
    if (result == WEIR_OK && !weir__text_ok(&page.out))
        result = WEIR_ENOMEM;
    if (result == WEIR_OK && page.out.size > 0)
        write(page.out.data, page.out.size, user);
    weir__text_free(&page.out);
    return result;
}

int weir_metrics_prometheus(weir_metrics *metrics, weir_metrics_write_fn write, void *user)
{
    return text_write(metrics, false, write, user);
}

int weir_metrics_openmetrics(weir_metrics *metrics, weir_metrics_write_fn write, void *user)
{
    return text_write(metrics, true, write, user);
}
