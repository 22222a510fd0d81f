#include "telemetry/telemetry.h"

#include "net/loop.h"
#include "net/waker.h"

#include <stdatomic.h>
#include <stdio.h>

#define TELEMETRY_TELL_NS (10 * WEIR__NS_PER_S) /* Between two reports of losses. */

struct weir_telemetry {
    weir_telemetry_options options;
    weir_env env;
    weir_loop *loop;
    weir__telemetry_plan plan;
    weir_otlp_settings *settings;
    weir_otlp *otlp;          /* NULL: nothing goes there. */
    weir_span_writer *writer; /* NULL: the same. */
    weir_sampler *sampler;
    weir_tracer *tracer; /* NULL: nobody is to be told of spans. */
    weir_loop_task *task;
    weir__waker waker;
    bool has_waker;
    char scope_name[64];
    weir_otlp_origin origin;                /* Of the metrics. */
    bool pushes;                            /* There are metrics that are pushed. */
    _Atomic uint64_t lost[WEIR_SPAN_DROPS]; /* Spans that nobody was told of. */
    weir_loop_timer *teller;
    uint64_t tell_ns; /* Not before. */
    /* The shutdown: its parts that are not over, and how those that are went. */
    weir_loop_timer *deadline;
    unsigned parts;
    int result;
    weir_tracer_done_fn done;
    void *user;
};

/* ---- What goes wrong ---- */

static void telemetry_warn(const weir_telemetry *telemetry, const char *message)
{
    if (telemetry->options.on_warning != NULL)
        telemetry->options.on_warning(message, telemetry->options.user);
}

static void telemetry_on_otlp(const weir_otlp_warning *warning, void *user)
{
    char message[256];
    (void)snprintf(message, sizeof message, "%s: %s%s%s",
                   warning->signal == WEIR_OTLP_TRACES ? "traces" : "metrics", warning->message,
                   warning->error != WEIR_OK ? ": " : "",
                   warning->error != WEIR_OK ? weir_strerror(warning->error) : "");
    telemetry_warn(user, message);
}

/*
 * What the exporter has told of is not told twice; what else was lost, on any thread, is added up,
 * and told on the loop's now and then.
 */
static void telemetry_on_drop(const weir_span_drop_event *event, void *user)
{
    weir_telemetry *const telemetry = user;
    if (event->reason == WEIR_SPAN_DROP_REJECTED || event->reason == WEIR_SPAN_DROP_EXPORT_FAILED)
        return;
    if (atomic_fetch_add(&telemetry->lost[event->reason], event->count) == 0)
        weir__waker_wake(&telemetry->waker);
}

static bool telemetry_has_lost(weir_telemetry *telemetry)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < WEIR_SPAN_DROPS; i++)
        lost |= atomic_load(&telemetry->lost[i]);
    return lost != 0;
}

static void telemetry_tell_losses(weir_telemetry *telemetry)
{
    char message[128];
    for (int i = 0; i < WEIR_SPAN_DROPS; i++) {
        uint64_t const lost = atomic_exchange(&telemetry->lost[i], 0);
        if (lost == 0)
            continue;
        (void)snprintf(message, sizeof message, "%llu spans lost: %s", (unsigned long long)lost,
                       weir_span_drop_name((weir_span_drop)i));
        telemetry_warn(telemetry, message);
    }
}

static void telemetry_on_teller(uint64_t now_ns, void *user)
{
    weir_telemetry *const telemetry = user;
    telemetry->tell_ns = weir__add_ns(now_ns, TELEMETRY_TELL_NS);
    telemetry_tell_losses(telemetry);
}

/* ---- Setting up ---- */

static void telemetry_wake(void *user)
{
    const weir_telemetry *const telemetry = user;
    weir__waker_wake(&telemetry->waker);
}

static void telemetry_on_wake(void *user)
{
    weir_telemetry *const telemetry = user;
    if (telemetry->task != NULL)
        weir_loop_task_wake(telemetry->task);
    if (telemetry_has_lost(telemetry))
        weir_loop_timer_set(telemetry->teller, telemetry->tell_ns);
}

static int telemetry_open_otlp(weir_telemetry *telemetry)
{
    weir_otlp_options options = WEIR_OTLP_OPTIONS_INIT;
    weir__telemetry_plan *const plan = &telemetry->plan;
    if (plan->traces != WEIR__EXPORT_OTLP && plan->metrics != WEIR__EXPORT_OTLP)
        return WEIR_OK;
    weir_otlp_settings_apply(telemetry->settings, &options);
    options.on_warning = telemetry_on_otlp;
    options.user = telemetry;
    const char *const error = weir_otlp_options_error(&options);
    if (error == NULL)
        return weir_otlp_create(&telemetry->otlp, telemetry->loop, &options);
    telemetry_warn(telemetry, error);
    plan->metrics = WEIR__EXPORT_NONE;
    if (plan->traces == WEIR__EXPORT_OTLP)
        plan->traces = WEIR__EXPORT_NONE;
    return WEIR_OK;
}

static int telemetry_open_exporter(weir_telemetry *telemetry, weir_span_exporter *exporter)
{
    weir_span_writer_options options = WEIR_SPAN_WRITER_OPTIONS_INIT;
    options.env = &telemetry->env;
    if (telemetry->plan.traces == WEIR__EXPORT_OTLP) {
        *exporter = weir_otlp_exporter(telemetry->otlp);
        return WEIR_OK;
    }
    int const result = weir_span_writer_create(&telemetry->writer, &options);
    if (result == WEIR_OK)
        *exporter = weir_span_writer_exporter(telemetry->writer);
    return result;
}

static int telemetry_open_tracer(weir_telemetry *telemetry)
{
    weir_tracer_options options = telemetry->plan.tracer;
    if (telemetry->plan.traces == WEIR__EXPORT_NONE)
        return WEIR_OK;
    int result = telemetry_open_exporter(telemetry, &options.exporter);
    if (result == WEIR_OK)
        result = weir__waker_open(&telemetry->waker, telemetry->loop, telemetry_on_wake, telemetry);
    if (result != WEIR_OK)
        return result;
    telemetry->has_waker = true;
    result =
        weir_loop_timer_create(&telemetry->teller, telemetry->loop, telemetry_on_teller, telemetry);
    if (result != WEIR_OK)
        return result;
    options.resource = weir_otlp_settings_resource(telemetry->settings, &options.resource_count);
    options.scope_name = telemetry->scope_name;
    options.sampling = weir_sampler_hook(telemetry->sampler);
    options.on_drop = telemetry_on_drop;
    options.on_wake = telemetry_wake;
    options.user = telemetry;
    options.env = &telemetry->env;
    result = weir_tracer_create(&telemetry->tracer, &options);
    if (result != WEIR_OK)
        return result;
    return weir_loop_task_create(&telemetry->task, telemetry->loop,
                                 weir_tracer_task(telemetry->tracer));
}

static int telemetry_open(weir_telemetry *telemetry)
{
    const weir_otlp_source *const source = &telemetry->options.source;
    int result = weir_otlp_settings_read(&telemetry->settings, source, &telemetry->env);
    if (result == WEIR_OK)
        result =
            weir__telemetry_read(&telemetry->plan, &telemetry->sampler, source, &telemetry->env);
    if (result != WEIR_OK)
        return result;
    if (weir_otlp_settings_disabled(telemetry->settings))
        telemetry->plan.traces = telemetry->plan.metrics = WEIR__EXPORT_NONE;
    result = telemetry_open_otlp(telemetry);
    return result == WEIR_OK ? telemetry_open_tracer(telemetry) : result;
}

/* ---- Public ---- */

int weir_telemetry_create(weir_telemetry **out, weir_loop *loop,
                          const weir_telemetry_options *options)
{
    weir_telemetry_options loaded = WEIR_TELEMETRY_OPTIONS_INIT;
    *out = NULL;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    const weir_env *const env = weir__loop_env(loop);
    weir_telemetry *const telemetry = weir__alloc(env, sizeof *telemetry);
    if (telemetry == NULL)
        return WEIR_ENOMEM;
    telemetry->env = *env;
    telemetry->loop = loop;
    telemetry->options = loaded;
    (void)snprintf(telemetry->scope_name, sizeof telemetry->scope_name, "%s",
                   loaded.scope_name != NULL ? loaded.scope_name : "");
    int const result = telemetry_open(telemetry);
    if (result == WEIR_OK)
        *out = telemetry;
    else
        weir_telemetry_destroy(telemetry);
    return result;
}

void weir_telemetry_destroy(weir_telemetry *telemetry)
{
    if (telemetry == NULL)
        return;
    weir_env const env = telemetry->env;
    weir_loop_timer_destroy(telemetry->deadline);
    weir_loop_task_destroy(telemetry->task);
    weir_tracer_destroy(telemetry->tracer);
    weir_loop_timer_destroy(telemetry->teller);
    telemetry_tell_losses(telemetry);
    if (telemetry->has_waker)
        weir__waker_close(&telemetry->waker);
    weir_sampler_destroy(telemetry->sampler);
    weir_span_writer_destroy(telemetry->writer);
    weir_otlp_destroy(telemetry->otlp);
    weir_otlp_settings_destroy(telemetry->settings);
    weir__free(&env, telemetry, sizeof *telemetry);
}

weir_tracer *weir_telemetry_tracer(const weir_telemetry *telemetry)
{
    return telemetry->tracer;
}

unsigned weir_telemetry_formats(const weir_telemetry *telemetry)
{
    return telemetry->plan.formats;
}

int weir_telemetry_push(weir_telemetry *telemetry, weir_metrics *metrics)
{
    weir_otlp_origin *const origin = &telemetry->origin;
    if (telemetry->plan.metrics != WEIR__EXPORT_OTLP)
        return WEIR_OK;
    origin->resource = weir_otlp_settings_resource(telemetry->settings, &origin->resource_count);
    origin->scope_name = telemetry->scope_name;
    origin->scope_version = "";
    int const result = weir_otlp_export_metrics(telemetry->otlp, metrics, origin);
    telemetry->pushes = result == WEIR_OK;
    return result;
}

/* ---- The end ---- */

static void telemetry_part_over(weir_telemetry *telemetry, int result)
{
    if (telemetry->parts == 0)
        return; /* All was over at the deadline. */
    if (result == WEIR_EDEADLINE || telemetry->result == WEIR_OK)
        telemetry->result = result;
    if (--telemetry->parts > 0)
        return;
    weir_loop_timer_destroy(telemetry->deadline);
    telemetry->deadline = NULL;
    telemetry_tell_losses(telemetry);
    telemetry->done(telemetry->result, telemetry->user);
}

static void telemetry_spans_over(int result, void *user)
{
    telemetry_part_over(user, result);
}

static void telemetry_metrics_over(void *token, int result, size_t rejected)
{
    telemetry_part_over(token, result == WEIR_OK && rejected == 0 ? WEIR_OK : WEIR_EFAILED);
}

static void telemetry_on_deadline(uint64_t now_ns, void *user)
{
    weir_telemetry *const telemetry = user;
    (void)now_ns;
    telemetry->parts = 1;
    telemetry_part_over(telemetry, WEIR_EDEADLINE);
}

int weir_telemetry_shutdown(weir_telemetry *telemetry, uint64_t deadline_ns,
                            weir_tracer_done_fn done, void *user)
{
    if (telemetry->done != NULL)
        return WEIR_ECLOSED;
    int const result = weir_loop_timer_create(&telemetry->deadline, telemetry->loop,
                                              telemetry_on_deadline, telemetry);
    if (result != WEIR_OK)
        return result;
    weir_loop_timer_set(telemetry->deadline, deadline_ns);
    telemetry->done = done;
    telemetry->user = user;
    telemetry->parts = 1; /* This one: it is not over before the others have begun. */
    telemetry->parts += telemetry->tracer != NULL &&
                        weir_tracer_shutdown(telemetry->tracer, deadline_ns, telemetry_spans_over,
                                             telemetry) == WEIR_OK;
    telemetry->parts +=
        telemetry->pushes &&
        weir_otlp_push_metrics(telemetry->otlp, telemetry_metrics_over, telemetry) == WEIR_OK;
    telemetry_part_over(telemetry, WEIR_OK);
    return WEIR_OK;
}
