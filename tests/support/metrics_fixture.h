/* Metrics on a fake_env, a page of what they show, and one point as it was told. */
#ifndef WEIR_TEST_METRICS_FIXTURE_H
#define WEIR_TEST_METRICS_FIXTURE_H

#include "support/fake_env.h"

#include <weir/metrics.h>

#include <stdio.h>
#include <string.h>

#define METRICS_SECOND  UINT64_C(1000000000)
#define METRICS_START_S UINT64_C(1700000000)

#define METRICS_INFINITY ((double)1e300 * 1e300)

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The doubles next to one that is above 0, or, upwards, 0. */
static inline double above(double value)
{
    return of_bits(bits_of(value) + 1);
}

static inline double below(double value)
{
    return of_bits(bits_of(value) - 1);
}

/* 2^e of a normal number. */
static inline double power(int e)
{
    return of_bits((uint64_t)(e + 1023) << 52);
}

/* The same double, to the last bit. */
static inline void assert_same(double value, double expected)
{
    if (bits_of(value) != bits_of(expected))
        fail_msg("%.17g is not %.17g", value, expected);
}

static inline void assert_near(double value, double expected, double relative)
{
    double const off = value > expected ? value - expected : expected - value;
    if (!(off <= relative * expected))
        fail_msg("%.17g is not within %g of %.17g", value, relative, expected);
}

typedef struct metrics_fixture {
    fake_env fake;
    weir_metrics *metrics;
    char page[32768];
    size_t page_size;
    /* The point last told, copied. */
    weir_metrics_point point;
    char name[64];
    uint64_t buckets[2048];
    weir_metrics_quantile quantiles[32];
    weir_metrics_exemplar exemplars[64];
    unsigned points, families, ends;
} metrics_fixture;

static metrics_fixture f;

static inline int metrics_setup(void **unused)
{
    (void)unused;
    memset(&f, 0, sizeof f);
    f.fake.wall_ns = METRICS_START_S * METRICS_SECOND;
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    weir_env const env = fake_env_hooks(&f.fake);
    options.env = &env;
    options.threads = 4;
    assert_int_equal(weir_metrics_create(&f.metrics, &options), WEIR_OK);
    return 0;
}

static inline int metrics_teardown(void **unused)
{
    (void)unused;
    weir_metrics_destroy(f.metrics);
    f.metrics = NULL;
    assert_int_equal(f.fake.live, 0);
    assert_int_equal(f.fake.live_bytes, 0);
    return 0;
}

static inline weir_metrics_family_options metrics_options(weir_metrics_kind kind, const char *name)
{
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    options.kind = kind;
    options.name = name;
    return options;
}

static inline weir_metrics_family *metrics_family(const weir_metrics_family_options *options)
{
    weir_metrics_family *family = NULL;
    assert_int_equal(weir_metrics_family_create(&family, f.metrics, options), WEIR_OK);
    assert_non_null(family);
    return family;
}

static inline weir_metrics_series *metrics_series(weir_metrics_family *family, const char *value)
{
    const char *const values[] = {value};
    weir_metrics_series *series = NULL;
    assert_int_equal(weir_metrics_series_get(&series, family, values), WEIR_OK);
    assert_non_null(series);
    return series;
}

/* A family without labels, and its series. */
static inline weir_metrics_series *metrics_single(weir_metrics_kind kind, const char *name)
{
    weir_metrics_family_options const options = metrics_options(kind, name);
    return metrics_series(metrics_family(&options), NULL);
}

static inline void metrics_write(const void *data, size_t size, void *user)
{
    (void)user;
    assert_true(f.page_size + size < sizeof f.page);
    memcpy(f.page + f.page_size, data, size);
    f.page_size += size;
    f.page[f.page_size] = '\0';
}

static inline const char *metrics_page(void)
{
    f.page_size = 0;
    f.page[0] = '\0';
    assert_int_equal(weir_metrics_prometheus(f.metrics, metrics_write, NULL), WEIR_OK);
    return f.page;
}

static inline const char *metrics_open_page(void)
{
    f.page_size = 0;
    assert_int_equal(weir_metrics_openmetrics(f.metrics, metrics_write, NULL), WEIR_OK);
    return f.page;
}

static inline void metrics_assert_shows(const char *page, const char *line)
{
    if (strstr(page, line) == NULL)
        fail_msg("no \"%s\" in:\n%s", line, page);
}

static inline void metrics_assert_hides(const char *page, const char *line)
{
    if (strstr(page, line) != NULL)
        fail_msg("there is \"%s\" in:\n%s", line, page);
}

static inline void metrics_on_family(const weir_metrics_view *view, void *user)
{
    (void)view;
    (void)user;
    f.families++;
}

static inline void metrics_on_point(const weir_metrics_view *view, const weir_metrics_point *point,
                                    void *user)
{
    (void)user;
    f.points++;
    f.point = *point;
    (void)snprintf(f.name, sizeof f.name, "%s", view->name);
    assert_true(point->bucket_count <= 2048 && point->exemplar_count <= 64);
    if (point->bucket_count > 0)
        memcpy(f.buckets, point->buckets, point->bucket_count * sizeof f.buckets[0]);
    if (point->quantile_count > 0)
        memcpy(f.quantiles, point->quantiles, point->quantile_count * sizeof f.quantiles[0]);
    if (point->exemplar_count > 0)
        memcpy(f.exemplars, point->exemplars, point->exemplar_count * sizeof f.exemplars[0]);
}

static inline void metrics_on_end(const weir_metrics_view *view, void *user)
{
    (void)view;
    (void)user;
    f.ends++;
}

static inline const weir_metrics_point *metrics_collect(void)
{
    weir_metrics_visitor const visitor = {.family = metrics_on_family,
                                          .point = metrics_on_point,
                                          .end = metrics_on_end};
    f.points = f.families = f.ends = 0;
    memset(&f.point, 0, sizeof f.point);
    assert_int_equal(weir_metrics_collect(f.metrics, &visitor, NULL), WEIR_OK);
    assert_int_equal(f.families, f.ends);
    return &f.point;
}

static inline uint64_t metrics_refused(void)
{
    weir_metrics_stats stats;
    weir_metrics_get_stats(f.metrics, &stats);
    return stats.refused;
}

static inline weir_trace_context metrics_context(uint8_t flags)
{
    weir_trace_context context;
    memset(&context, 0, sizeof context);
    memset(context.trace_id, 0xab, sizeof context.trace_id);
    memset(context.span_id, 0xcd, sizeof context.span_id);
    context.flags = flags;
    return context;
}

#endif
