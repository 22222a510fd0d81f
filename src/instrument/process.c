/* What any program shows of itself: Prometheus' process metrics, its build, and its tracer. */
#include <weir/instrument.h>

#include "base/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(__linux__)
#include <dirent.h>
#endif

#define PROCESS_STRING(x)  #x
#define PROCESS_VERSION(x) PROCESS_STRING(x)

/* ---- The process ---- */

static double process_seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void process_cpu(weir_metrics_observer *observer, void *user)
{
    struct rusage usage;
    (void)user;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        (void)weir_metrics_observe_double(observer, NULL,
                                          process_seconds(usage.ru_utime) +
                                              process_seconds(usage.ru_stime));
}

static void process_max_fds(weir_metrics_observer *observer, void *user)
{
    struct rlimit limit;
    (void)user;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        (void)weir_metrics_observe_double(observer, NULL, (double)limit.rlim_cur);
}

#if defined(__linux__)
/* Field `wanted` of /proc/self/stat, from 1; those before the name's end have no blanks. */
static bool process_stat(int wanted, double *value)
{
    char text[1024];
    FILE *const file = fopen("/proc/self/stat", "re");
    size_t const size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    text[size] = '\0';
    char *at = strrchr(text, ')'); /* Of field 2. */
    for (int field = 2; at != NULL && field < wanted; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return false;
    *value = (double)strtoull(at + 1, NULL, 10);
    return true;
}

static void process_resident(weir_metrics_observer *observer, void *user)
{
    double pages;
    (void)user;
    if (process_stat(24, &pages))
        (void)weir_metrics_observe_double(observer, NULL, pages * (double)sysconf(_SC_PAGESIZE));
}

static void process_virtual(weir_metrics_observer *observer, void *user)
{
    double bytes;
    (void)user;
    if (process_stat(23, &bytes))
        (void)weir_metrics_observe_double(observer, NULL, bytes);
}

static void process_threads(weir_metrics_observer *observer, void *user)
{
    double threads;
    (void)user;
    if (process_stat(20, &threads))
        (void)weir_metrics_observe_double(observer, NULL, threads);
}

/* Ticks since the machine began, and when that was. */
static void process_start(weir_metrics_observer *observer, void *user)
{
    double ticks, booted = 0;
    char line[256];
    FILE *const file = fopen("/proc/stat", "re");
    (void)user;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "btime ", 6) == 0)
            booted = (double)strtoull(line + 6, NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    if (booted > 0 && process_stat(22, &ticks))
        (void)weir_metrics_observe_double(observer, NULL,
                                          booted + ticks / (double)sysconf(_SC_CLK_TCK));
}

static void process_open_fds(weir_metrics_observer *observer, void *user)
{
    DIR *const folder = opendir("/proc/self/fd");
    double count = -1; /* The folder's own. */
    (void)user;
    if (folder == NULL)
        return;
    /* The stream is ours alone: NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    (void)weir_metrics_observe_double(observer, NULL, count);
}
#endif

static void process_build(weir_metrics_observer *observer, void *user)
{
    static const char version[] = PROCESS_VERSION(WEIR_VERSION_MAJOR) "." PROCESS_VERSION(
        WEIR_VERSION_MINOR) "." PROCESS_VERSION(WEIR_VERSION_PATCH);
#if defined(__clang__) && defined(__VERSION__)
    static const char compiler[] = __VERSION__; /* Its name is in it. */
#elif defined(__VERSION__)
    static const char compiler[] = "gcc " __VERSION__;
#else
    static const char compiler[] = "";
#endif
    const char *const labels[] = {version, compiler};
    (void)user;
    (void)weir_metrics_observe_double(observer, labels, 1);
}

/* ---- The tracer ---- */

static void tracer_exported(weir_metrics_observer *observer, void *user)
{
    weir_tracer_stats stats;
    weir_tracer_get_stats(user, &stats);
    (void)weir_metrics_observe(observer, NULL, (int64_t)stats.exported);
}

static void tracer_dropped(weir_metrics_observer *observer, void *user)
{
    weir_tracer_stats stats;
    weir_tracer_get_stats(user, &stats);
    for (int i = 0; i < WEIR_SPAN_DROPS; i++) {
        const char *const reason = weir_span_drop_name((weir_span_drop)i);
        (void)weir_metrics_observe(observer, &reason, (int64_t)stats.dropped[i]);
    }
}

static void tracer_queued(weir_metrics_observer *observer, void *user)
{
    weir_tracer_stats stats;
    weir_tracer_get_stats(user, &stats);
    (void)weir_metrics_observe_double(observer, NULL, stats.queued);
}

static void tracer_queue_size(weir_metrics_observer *observer, void *user)
{
    weir_tracer_stats stats;
    weir_tracer_get_stats(user, &stats);
    (void)weir_metrics_observe_double(observer, NULL, stats.queue_size);
}

/* ---- Families ---- */

typedef struct process_family {
    const char *name, *unit, *help;
    weir_metrics_kind kind;
    weir_metrics_number number;
    weir_metrics_observe_fn observe;
    const char *labels[2];
} process_family;

static const process_family process_families[] = {
    {"process_cpu_seconds_total",
     NULL,
     "User and system time that the process has used.",
     WEIR_METRICS_COUNTER,
     WEIR_METRICS_DOUBLE,
     process_cpu,
     {NULL, NULL}},
    {"process_max_fds",
     NULL,
     "File descriptors that it may have open.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_max_fds,
     {NULL, NULL}},
#if defined(__linux__)
    {"process_open_fds",
     NULL,
     "File descriptors that it has open.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_open_fds,
     {NULL, NULL}},
    {"process_resident_memory_bytes",
     NULL,
     "Memory that it occupies.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_resident,
     {NULL, NULL}},
    {"process_virtual_memory_bytes",
     NULL,
     "Its address space.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_virtual,
     {NULL, NULL}},
    {"process_threads",
     NULL,
     "Its threads.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_threads,
     {NULL, NULL}},
    {"process_start_time_seconds",
     NULL,
     "When it began, since 1970.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_start,
     {NULL, NULL}},
#endif
    {"weir.build_info",
     NULL,
     "1, and what it was built of.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     process_build,
     {"version", "compiler"}},
};

static const process_family tracer_families[] = {
    {"weir.tracer.exported",
     "{span}",
     "Spans that the exporter took.",
     WEIR_METRICS_COUNTER,
     WEIR_METRICS_INT,
     tracer_exported,
     {NULL, NULL}},
    {"weir.tracer.dropped",
     "{span}",
     "Spans that were lost, by reason.",
     WEIR_METRICS_COUNTER,
     WEIR_METRICS_INT,
     tracer_dropped,
     {"reason", NULL}},
    {"weir.tracer.queued",
     "{span}",
     "Spans that wait to be exported.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     tracer_queued,
     {NULL, NULL}},
    {"weir.tracer.queue_size",
     "{span}",
     "Spans that may wait.",
     WEIR_METRICS_GAUGE,
     WEIR_METRICS_DOUBLE,
     tracer_queue_size,
     {NULL, NULL}},
};

static int process_add(weir_metrics *metrics, const process_family *families, size_t count,
                       void *user)
{
    int result = WEIR_OK;
    for (size_t i = 0; i < count && result == WEIR_OK; i++) {
        weir_metrics_family *family;
        weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
        options.name = families[i].name;
        options.unit = families[i].unit;
        options.help = families[i].help;
        options.kind = families[i].kind;
        options.number = families[i].number;
        options.observe = families[i].observe;
        options.user = user;
        options.labels = families[i].labels;
        while (options.label_count < 2 && families[i].labels[options.label_count] != NULL)
            options.label_count++;
        result = weir_metrics_family_create(&family, metrics, &options);
    }
    return result;
}

int weir_instrument_process(weir_metrics *metrics, weir_tracer *tracer)
{
    int const result = process_add(metrics, process_families,
                                   sizeof process_families / sizeof process_families[0], NULL);
    if (result != WEIR_OK || tracer == NULL)
        return result;
    return process_add(metrics, tracer_families, sizeof tracer_families / sizeof tracer_families[0],
                       tracer);
}
