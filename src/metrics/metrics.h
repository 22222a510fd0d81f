/*
 * Metrics, in files: record.c what an event costs, cell.c the places where threads count, spread.c
 * buckets of a range that is not known before (exponential.c and sketch.c say which), series.c
 * and observe.c the series of a family, family.c and name.c what a family is and how it is called
 * in the texts, collect.c a scrape, point.c what it tells of a series, text.c how that is written.
 */
#ifndef WEIR_SRC_METRICS_METRICS_H
#define WEIR_SRC_METRICS_METRICS_H

#include <weir/metrics.h>

#include "base/fork.h"
#include "base/map.h"
#include "base/real.h"
#include "base/shard.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Where one thread counts in one series: words that it alone writes, by a load and a store. Others
 * may read them at any time. Of histograms, SEQ is odd while the words change (a sequence lock:
 * Boehm, "Can seqlocks get along with programming language memory models?", 2012; stores that
 * release and loads that acquire in place of its fences).
 */
typedef _Atomic uint64_t weir__word;

enum { /* Words of a sum. */
       WEIR__CELL_WHOLE,
       WEIR__CELL_REAL, /* A double, as all from here to MAX. */
       WEIR__CELL_SUM_WORDS,
};
enum { /* Words of the other kinds. */
       WEIR__CELL_SEQ,
       WEIR__CELL_SUM,
       WEIR__CELL_MIN,
       WEIR__CELL_MAX,
       WEIR__CELL_BUCKETS,  /* HISTOGRAM: those of the bounds, and one above. */
       WEIR__CELL_ZERO = 4, /* EXPONENTIAL, SUMMARY: values that are 0... */
       WEIR__CELL_SCALE,    /* ...EXPONENTIAL... */
       WEIR__CELL_LOW,      /* ...the least index that was counted, and... */
       WEIR__CELL_HIGH,     /* ...the greatest, less than `places` above; both biased... */
       WEIR__CELL_PLACES,   /* ...and a ring of counts. */
};

/* In SEQ: counts are being moved, by who has the lock of the series. */
#define WEIR__CELL_MOVING (UINT64_C(1) << 63)

typedef struct weir__cell {
    void *base; /* What was allocated: cells begin at a cache line. */
    weir__word words[];
} weir__cell;

/*
 * Bounds, and a table to find them: cells of equal width in the exponents of doubles say how many
 * bounds are before them, and the few that are within are compared. Nothing branches on the value.
 */
typedef struct weir__buckets {
    const double *bounds;  /* `count` that rise, none below 0; then infinity. */
    const uint16_t *first; /* By cell. */
    uint32_t count, cells;
    uint64_t least; /* Key of the first cell, which has all that is less, too. */
    uint32_t shift; /* A double's bits without so many are its key. */
    uint32_t steps; /* The most bounds that a cell has. */
} weir__buckets;

typedef struct weir__exemplar {
    weir_metrics_exemplar shown;
    bool used;
} weir__exemplar;

struct weir_metrics_series {
    /* Fixed: */
    weir_metrics_family *family;
    weir_metrics_kind kind; /* Of the family, as all to `places`; here, they are at hand. */
    uint32_t threads;
    uint32_t places; /* Bounds, buckets or bins. */
    weir__buckets buckets;
    weir__cell *shared; /* Written with the lock. */
    weir_label *labels;
    size_t label_count;
    const char *key; /* In the map of the family; NULL of overflow. */
    size_t key_size;
    size_t size; /* Of this struct with what is behind it. */
    uint64_t start_ns;
    /* Guarded by the lock of the metrics: */
    weir_metrics_series *next, *before; /* In the family, by age. */
    bool shown;
    uint64_t round; /* Of the scrape that observed it last. */
    /* Atomic: */
    _Atomic uint32_t refs; /* Handles; and one while it is shown; and one of a scrape. */
    _Atomic bool told;     /* GAUGE: it has a value... */
    weir__word gauge;      /* ...a double. */
    /* Guarded by this lock: */
    pthread_mutex_t lock;
    weir__exemplar *exemplars;     /* NULL at first. */
    _Atomic(weir__cell *) cells[]; /* By thread; NULL until it counts. */
};

#define WEIR__CLAIMS 5 /* Names of samples that a family may have. */

struct weir_metrics_family {
    weir_metrics *metrics;
    weir_metrics_family_options options; /* What it points to is ours. */
    size_t size;                         /* Of this struct with what is behind it. */
    weir_metrics_view view;
    const char *base; /* prometheus_name without _total. */
    const char *unit; /* In the texts; "" = none. */
    const char *claims[WEIR__CLAIMS];
    size_t claim_count;
    weir__buckets buckets;
    double multiplier;         /* SUMMARY: 1 / log2(gamma)... */
    double gamma;              /* ...and gamma. */
    uint32_t places;           /* Bounds, buckets or bins. */
    size_t words;              /* Of a cell... */
    size_t exemplar_count;     /* ...and slots for exemplars. */
    weir_metrics_family *next; /* Guarded by the lock, as all below. */
    weir__map map;             /* Shown series by key, but for overflow's. */
    weir_metrics_series *first, *last, *overflow;
};

struct weir_metrics {
    weir_metrics_options options;
    weir_env env;
    weir__fork_watch fork;
    _Atomic uint64_t refused, overflowed;
    pthread_mutex_t lock; /* Guards all below. */
    pthread_cond_t turn;  /* Scrapes wait for `collecting` to end. */
    bool collecting;
    pthread_t collector;
    uint64_t round;
    weir_metrics_family *first, *last;
    weir__map names; /* Of samples. */
    size_t family_count, series_count;
};

static inline uint64_t weir__word_get(const weir__word *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void weir__word_set(weir__word *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static inline void weir__word_add(weir__word *word, uint64_t n)
{
    weir__word_set(word, weir__word_get(word) + n);
}

static inline double weir__word_real(const weir__word *word)
{
    return weir__real_of_bits(weir__word_get(word));
}

static inline void weir__word_add_real(weir__word *word, double n)
{
    weir__word_set(word, weir__real_bits(weir__word_real(word) + n));
}

/* ---- cell.c ---- */

void weir__cell_init(const weir_metrics_family *family, weir__word *words);
weir__cell *weir__cell_new(const weir_metrics_family *family); /* NULL if out of memory. */
void weir__cell_free(const weir_metrics_family *family, weir__cell *cell);
/* A cell of this thread, or, with the lock taken, the shared one. */
weir__cell *weir__cell_enter(weir_metrics_series *series, bool *locked);
void weir__cell_leave(weir_metrics_series *series, bool locked);
/* Its words, if it can be, as they were at one instant. */
void weir__cell_read(const weir__cell *cell, uint64_t *words, size_t count);
/* In the child of a fork(), of a cell whose thread may be no more. */
void weir__cell_mend(const weir_metrics_family *family, weir__cell *cell);

/* This thread's own; NULL: there is none yet, or none for it. */
static inline weir__cell *weir__cell_own(weir_metrics_series *series)
{
    uint32_t const shard = weir__shard_self - 1;
    if (WEIR__UNLIKELY(shard >= series->threads))
        return NULL;
    return atomic_load_explicit(&series->cells[shard], memory_order_relaxed);
}

/* ---- buckets.c ---- */

/* All but what `bounds` and `first` of a family point to. */
void weir__buckets_plan(weir__buckets *buckets, const double *bounds, uint32_t count);
/* Into room for `cells` of `first`. */
void weir__buckets_fill(weir__buckets *buckets, const double *bounds, uint16_t *first);

/* How many bounds are below the value of these bits, which has no sign: the bucket it goes to. */
static inline size_t weir__buckets_find(const weir__buckets *buckets, uint64_t bits)
{
    uint64_t const key = bits >> buckets->shift;
    uint64_t cell = key > buckets->least ? key - buckets->least : 0;
    cell = cell < buckets->cells ? cell : buckets->cells - 1;
    size_t at = buckets->first[cell];
    for (uint32_t i = 0; i < buckets->steps; i++)
        at += weir__real_bits(buckets->bounds[at]) < bits;
    return at;
}

/* ---- exponential.c, sketch.c ---- */

/*
 * A ring of counts by index. LOW and HIGH are its ends, biased so that 0 means empty; that they are
 * less than `places` apart makes each index the only one in its place. Where counts must be moved
 * to keep it so, that is done with `lock`; NULL: the caller has it, or needs none.
 */
static inline uint64_t weir__ring_end(int64_t index)
{
    return (uint64_t)(index + INT64_C(0x80000001));
}

static inline int64_t weir__ring_index(uint64_t end)
{
    return (int64_t)end - INT64_C(0x80000001);
}

static inline size_t weir__ring_place(int64_t index, uint32_t places)
{
    return WEIR__CELL_PLACES + (uint32_t)(index + INT64_C(0x80000000)) % places;
}

/* Counts n values of an index, for which there is room. */
void weir__ring_add(weir__word *words, uint32_t places, int64_t index, uint64_t n);
void weir__ring_move_begin(weir__word *words, pthread_mutex_t *lock);
void weir__ring_move_end(weir__word *words, pthread_mutex_t *lock);

/* The index i for which base^i < value <= base^(i + 1), base = 2^(2^-scale); value > 0, finite. */
int32_t weir__exponential_index(double value, int32_t scale);
/* Counts n values of an index at a scale; makes the scale of the cell coarser where it must. */
void weir__exponential_put(weir__word *words, uint32_t places, int64_t index, int32_t scale,
                           uint64_t n, pthread_mutex_t *lock);
void weir__exponential_record(weir__word *words, uint32_t places, double value,
                              pthread_mutex_t *lock);

/* The least i for which value <= gamma^i, but for 1e-13 of it; value > 0, finite. */
int32_t weir__sketch_index(const weir_metrics_family *family, double value);
/* What the values of an index are taken for: within the accuracy of each. */
double weir__sketch_value(const weir_metrics_family *family, int64_t index);
/* Counts n values of an index; joins the lowest where there is no room. */
void weir__sketch_put(weir__word *words, uint32_t places, int64_t index, uint64_t n,
                      pthread_mutex_t *lock);

/* ---- name.c ---- */

#define WEIR__UNIT_MAX 63

/* "s" -> seconds, "By/s" -> bytes_per_second; nothing if it has none in the texts. */
void weir__metrics_name_unit(weir__text *out, const char *unit, weir_metrics_kind kind);
/* http.server.request.duration, seconds -> http_server_request_duration_seconds; no _total. */
void weir__metrics_name_base(weir__text *out, const weir_metrics_family_options *options,
                             const char *unit);
/* A name in which what Prometheus does not allow is '_'. */
void weir__metrics_name_plain(weir__text *out, const char *name);
bool weir__metrics_name_valid(const char *name);
bool weir__metrics_name_key_valid(const char *key);

/* ---- family.c ---- */

void weir__metrics_family_free(weir_metrics_family *family); /* And its series. */

/* ---- series.c ---- */

/* Lock held. The shown series of these labels, made if there is none. A WEIR_... */
int weir__series_find(weir_metrics_series **out, weir_metrics_family *family,
                      const char *const *values);
/* Lock held: it is shown no more; returns it, if it is now to be freed, or NULL. */
weir_metrics_series *weir__series_hide(weir_metrics_series *series);
void weir__series_free(weir_metrics_series *series);  /* NULL is allowed. */
void weir__series_leave(weir_metrics_series *series); /* Lock not held: one reference less. */

/* ---- lifecycle.c ---- */

void weir__metrics_refuse(weir_metrics *metrics); /* Counts a value that is not counted. */

/* ---- collect.c, point.c ---- */

/* What a scrape works with. */
typedef struct weir__scrape {
    weir_metrics *metrics;
    uint64_t time_ns, round;
    const weir_metrics_visitor *visitor;
    void *user;
    weir_metrics_series **series; /* Of the family at hand, each with a reference. */
    size_t series_count, series_room;
    weir__word *total; /* point.c: what all cells of a series come to... */
    uint64_t *words;   /* ...one of them... */
    uint64_t *buckets; /* ...and what a point points to. */
    weir_metrics_quantile *quantiles;
    weir_metrics_exemplar *exemplars;
    void *scratch; /* All of these. */
    size_t scratch_size;
    bool failed; /* WEIR_ENOMEM. */
} weir__scrape;

/* Room for the points of this family; false: out of memory. */
bool weir__point_reserve(weir__scrape *scrape, const weir_metrics_family *family);
/* False: it has none yet. */
bool weir__point_read(weir__scrape *scrape, weir_metrics_series *series, weir_metrics_point *point);

/* ---- observe.c ---- */

struct weir_metrics_observer {
    weir_metrics_family *family;
    weir__scrape *scrape;
};

void weir__metrics_observe(weir__scrape *scrape); /* Asks all; hides what was not told. */

#endif
