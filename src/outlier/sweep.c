/* Once an interval, all hosts side by side. */
#include "base/real.h"
#include "outlier/outlier.h"

#include <stdlib.h>

static int sweep_compare(const void *left, const void *right)
{
    const weir__outlier_figure *const a = left, *const b = right;
    if (a->figure != b->figure)
        return a->figure < b->figure ? -1 : 1;
    return a->host->place < b->host->place ? -1 : 1;
}

/* What one detection looks at: a figure of a host, out of so many calls. */
typedef struct sweep_measure {
    double (*figure)(const weir__outlier_interval *last);
    uint32_t (*calls)(const weir__outlier_interval *last);
    uint32_t min_calls;
} sweep_measure;

/* Figures of the hosts with calls enough, lowest first. */
static uint32_t sweep_gather(weir_outlier *outlier, const sweep_measure *measure)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < outlier->count; i++) {
        weir_outlier_host *const host = outlier->hosts[i];
        uint32_t const calls = measure->calls(&host->last);
        if (!host->ejected && calls >= measure->min_calls && calls > 0)
            outlier->figures[count++] =
                (weir__outlier_figure){measure->figure(&host->last), host, calls};
    }
    if (count > 1) /* Without hosts there is no array. */
        qsort(outlier->figures, count, sizeof *outlier->figures, sweep_compare);
    return count;
}

static void sweep_found(const weir__outlier_figure *one, weir_outlier_detection detection,
                        double threshold)
{
    one->host->outlier->crowded |=
        !weir__outlier_found(one->host, &(weir__outlier_finding){.detection = detection,
                                                                 .figure = one->figure,
                                                                 .threshold = threshold,
                                                                 .calls = one->calls});
}

static uint32_t interval_calls(const weir__outlier_interval *last)
{
    return last->calls;
}

static uint32_t interval_local_calls(const weir__outlier_interval *last)
{
    return last->local_calls;
}

static uint32_t interval_successes(const weir__outlier_interval *last)
{
    return last->calls - last->failures;
}

static double interval_success(const weir__outlier_interval *last)
{
    return 100.0 * (last->calls - last->failures) / last->calls;
}

static double interval_local_success(const weir__outlier_interval *last)
{
    return 100.0 * (last->local_calls - last->local_failures) / last->local_calls;
}

static double interval_latency(const weir__outlier_interval *last)
{
    return (double)last->busy_ns / interval_successes(last);
}

/* mean - factor / 1000 * population standard deviation */
static double sweep_success_threshold(const weir_outlier *outlier, uint32_t count)
{
    double const lowest = outlier->figures[0].figure; /* Summed above it: equals have no spread. */
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += outlier->figures[i].figure - lowest;
    double const mean = lowest + sum / count;
    for (uint32_t i = 0; i < count; i++) {
        double const off = outlier->figures[i].figure - mean;
        squares += off * off;
    }
    return mean - outlier->options.success_rate_factor / 1000.0 * weir__sqrt(squares / count);
}

static void sweep_success(weir_outlier *outlier, const sweep_measure *measure,
                          weir_outlier_detection detection)
{
    if (outlier->options.success_rate_factor == 0)
        return;
    uint32_t const count = sweep_gather(outlier, measure);
    if (count < outlier->options.success_rate_min_hosts)
        return;
    double const threshold = sweep_success_threshold(outlier, count);
    for (uint32_t i = 0; i < count && outlier->figures[i].figure < threshold; i++)
        sweep_found(&outlier->figures[i], detection, threshold);
}

/* Judged by success, told as failure. */
static void sweep_failures(weir_outlier *outlier, const sweep_measure *measure,
                           weir_outlier_detection detection)
{
    uint32_t const percent = outlier->options.failure_percent;
    if (percent == 0)
        return;
    uint32_t const count = sweep_gather(outlier, measure);
    if (count < outlier->options.failure_percent_min_hosts)
        return;
    for (uint32_t i = 0; i < count && 100 - outlier->figures[i].figure >= percent; i++) {
        weir__outlier_figure failed = outlier->figures[i];
        failed.figure = 100 - failed.figure;
        sweep_found(&failed, detection, percent);
    }
}

static void sweep_latency(weir_outlier *outlier)
{
    const weir_outlier_options *const options = &outlier->options;
    sweep_measure const measure = {interval_latency, interval_successes,
                                   options->latency_min_calls};
    if (options->latency_percent == 0)
        return;
    uint32_t const count = sweep_gather(outlier, &measure);
    if (count < options->latency_min_hosts)
        return;
    double const floor_ns = (double)(options->latency_floor_ms * WEIR__NS_PER_MS);
    double threshold = outlier->figures[(count - 1) / 2].figure * options->latency_percent / 100.0;
    threshold = threshold > floor_ns ? threshold : floor_ns;
    for (uint32_t i = count; i > 0 && outlier->figures[i - 1].figure > threshold; i--)
        sweep_found(&outlier->figures[i - 1], WEIR_OUTLIER_LATENCY, threshold);
}

void weir__outlier_judge(weir_outlier *outlier)
{
    const weir_outlier_options *const o = &outlier->options;
    sweep_measure const server = {interval_success, interval_calls, o->success_rate_min_calls};
    sweep_measure const local = {interval_local_success, interval_local_calls,
                                 o->success_rate_min_calls};
    sweep_measure failing = server, failing_local = local;
    failing.min_calls = failing_local.min_calls = o->failure_percent_min_calls;
    sweep_success(outlier, &server, WEIR_OUTLIER_SUCCESS_RATE);
    sweep_failures(outlier, &failing, WEIR_OUTLIER_FAILURE_PERCENT);
    if (o->split_local) {
        sweep_success(outlier, &local, WEIR_OUTLIER_LOCAL_SUCCESS_RATE);
        sweep_failures(outlier, &failing_local, WEIR_OUTLIER_LOCAL_FAILURE_PERCENT);
    }
    sweep_latency(outlier);
}

static void sweep_take(weir_outlier_host *host)
{
    uint64_t const server = atomic_exchange_explicit(&host->server, 0, memory_order_relaxed);
    uint64_t const local = atomic_exchange_explicit(&host->local, 0, memory_order_relaxed);
    host->last = (weir__outlier_interval){
        .calls = (uint32_t)(server >> 32),
        .failures = (uint32_t)server,
        .local_calls = (uint32_t)(local >> 32),
        .local_failures = (uint32_t)local,
        .busy_ns = atomic_exchange_explicit(&host->busy_ns, 0, memory_order_relaxed),
    };
}

/* A sweep that it was in for, and that did not find it out. */
static void sweep_ease(weir_outlier_host *host)
{
    bool const back_before = host->returned_ns < host->outlier->now_ns;
    if (!host->ejected && back_before && host->times > 0)
        host->times--;
}

/* Ends ejections that are over; returns when the next is. When hosts have left, and all that stay
 * are ejected, the next is due: somebody must serve. */
static uint64_t sweep_return(weir_outlier *outlier)
{
    weir_outlier_host *next = NULL;
    for (uint32_t i = 0; i < outlier->count && outlier->ejected > 0; i++) {
        weir_outlier_host *const host = outlier->hosts[i];
        bool const over = host->ejected && host->until_ns <= outlier->now_ns;
        if (over && weir__outlier_return(host))
            continue;
        if (host->ejected && (next == NULL || host->until_ns < next->until_ns))
            next = host;
    }
    if (next != NULL && outlier->ejected == outlier->count) {
        next->until_ns = outlier->now_ns; /* At once, or as soon as it can be told. */
        (void)weir__outlier_return(next);
    }
    return next != NULL && next->ejected ? next->until_ns : WEIR_NEVER;
}

/* An ejection between two runs lasts base_ms at least, so a run every base_ms is in time. */
static uint64_t sweep_next(const weir_outlier *outlier, uint64_t return_ns)
{
    uint64_t const base_ns =
        weir__add_ns(outlier->now_ns, outlier->options.base_ms * WEIR__NS_PER_MS);
    uint64_t next_ns = outlier->sweep_ns < base_ns ? outlier->sweep_ns : base_ns;
    next_ns = return_ns < next_ns ? return_ns : next_ns;
    return next_ns > outlier->now_ns ? next_ns : outlier->now_ns + 1; /* No room to tell: soon. */
}

/* Of a crowd, as many are ejected as can be told of at once; the others, by the same figures, when
 * the task runs again, which is soon. */
static void sweep_all_hosts(weir_outlier *outlier)
{
    bool const again = outlier->crowded;
    for (uint32_t i = 0; i < outlier->count && !again; i++)
        sweep_take(outlier->hosts[i]);
    outlier->crowded = false;
    weir__outlier_judge(outlier);
    if (outlier->crowded)
        return;
    for (uint32_t i = 0; i < outlier->count; i++)
        sweep_ease(outlier->hosts[i]);
    outlier->sweep_ns =
        weir__add_ns(outlier->now_ns, outlier->options.interval_ms * WEIR__NS_PER_MS);
}

static uint64_t sweep_run(void *self, uint64_t now_ns)
{
    weir_outlier *const outlier = self;
    pthread_mutex_lock(&outlier->lock);
    weir__outlier_see(outlier, now_ns);
    (void)sweep_return(outlier);
    if (outlier->now_ns >= outlier->sweep_ns)
        sweep_all_hosts(outlier);
    uint64_t const next_ns = sweep_next(outlier, sweep_return(outlier));
    weir__outlier_unlock(outlier);
    return next_ns;
}

void weir_outlier_uneject_all(weir_outlier *outlier, uint64_t now_ns)
{
    pthread_mutex_lock(&outlier->lock);
    weir__outlier_see(outlier, now_ns);
    for (uint32_t i = 0; i < outlier->count; i++)
        if (outlier->hosts[i]->ejected)
            outlier->hosts[i]->until_ns = outlier->now_ns;
    (void)sweep_return(outlier);
    weir__outlier_unlock(outlier);
}

weir_task weir_outlier_task(weir_outlier *outlier)
{
    return (weir_task){.run = sweep_run, .self = outlier};
}
