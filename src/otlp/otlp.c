#include <weir/otlp.h>

#include "otlp/otlp.h"

#include "net/loop.h"

#include <string.h>

#define OTLP_MAX_CAP_NS (UINT64_C(1) << 56)

/* ---- Telling ---- */

void weir__otlp_warn(weir_otlp *otlp, const weir_otlp_warning *warning)
{
    if (otlp->options.on_warning != NULL)
        otlp->options.on_warning(warning, otlp->options.user);
}

static void otlp_on_wake(void *user)
{
    weir_otlp *const otlp = user;
    for (size_t i = 0; i < WEIR_OTLP_SIGNALS; i++)
        weir__otlp_lane_turn(&otlp->lanes[i]);
}

/* ---- The tracer's hook ---- */

static void otlp_export(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                        weir_exported_fn done, void *token)
{
    weir_otlp *const otlp = self;
    weir__otlp_lane *const lane = &otlp->lanes[WEIR_OTLP_TRACES];
    if (batch->count == 0) {
        done(token, WEIR_OK, 0); /* No envelope without a letter. */
        return;
    }
    if (!weir__otlp_lane_claim(lane, batch->count)) {
        done(token, WEIR_EBUSY, 0);
        return;
    }
    weir__otlp_job *const job = &lane->waiting;
    int const result = weir__otlp_job_spans(job, batch, otlp->options.max_request_bytes);
    job->deadline_ns = deadline_ns;
    job->done = done;
    job->token = token;
    weir__otlp_lane_submit(lane, result);
    if (result != WEIR_OK)
        done(token, result, 0);
}

static void otlp_cancel(void *self)
{
    weir__otlp_lane_cancel(&((weir_otlp *)self)->lanes[WEIR_OTLP_TRACES]);
}

weir_span_exporter weir_otlp_exporter(weir_otlp *otlp)
{
    return (weir_span_exporter){otlp_export, otlp_cancel, otlp};
}

void weir_otlp_get_stats(weir_otlp *otlp, weir_otlp_signal signal, weir_otlp_stats *out)
{
    pthread_mutex_lock(&otlp->lock);
    *out = otlp->lanes[signal].stats;
    pthread_mutex_unlock(&otlp->lock);
}

/* ---- Life ---- */

static const char *otlp_error(const weir_otlp_options *o, weir_otlp_signal *signal)
{
    if (o->timeout_ms == 0 || o->metrics_interval_ms == 0 || o->metrics_timeout_ms == 0)
        return "a timeout or interval is 0";
    if (o->retry_base_ns == 0 || o->retry_base_ns > o->retry_cap_ns ||
        o->retry_cap_ns > OTLP_MAX_CAP_NS || o->retry_total_ns == 0)
        return "a time of retries is out of range";
    if (o->max_request_bytes < 1024 || o->max_request_bytes > UINT64_C(1) << 32 ||
        o->max_response_bytes < 1024 || o->max_response_bytes > UINT64_C(1) << 32)
        return "max_request_bytes or max_response_bytes is out of range";
    *signal = WEIR_OTLP_TRACES;
    const char *const error = weir__otlp_route_error(o, *signal);
    if (error != NULL)
        return error;
    *signal = WEIR_OTLP_METRICS;
    return weir__otlp_route_error(o, *signal);
}

static const char *otlp_load(weir_otlp_options *out, const weir_otlp_options *options,
                             weir_otlp_signal *signal)
{
    weir_otlp_options const defaults = WEIR_OTLP_OPTIONS_INIT;
    *out = defaults;
    *signal = WEIR_OTLP_TRACES;
    if (options != NULL && weir__options_load(out, sizeof *out, options, options->struct_size))
        return "struct_size is not as WEIR_OTLP_OPTIONS_INIT sets it";
    return otlp_error(out, signal);
}

const char *weir_otlp_options_error(const weir_otlp_options *options)
{
    weir_otlp_options loaded;
    weir_otlp_signal signal;
    return otlp_load(&loaded, options, &signal);
}

static int otlp_open(weir_otlp *otlp)
{
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    client.max_body_bytes = otlp->options.max_response_bytes;
    client.max_idle_per_address = 1;
    int result = weir_http_client_create(&otlp->client, otlp->loop, &client);
    if (result == WEIR_OK)
        result = weir__waker_open(&otlp->waker, otlp->loop, otlp_on_wake, otlp);
    for (int i = 0; result == WEIR_OK && i < WEIR_OTLP_SIGNALS; i++)
        result = weir__otlp_lane_open(&otlp->lanes[i], otlp, (weir_otlp_signal)i);
    return result;
}

int weir_otlp_create(weir_otlp **out, weir_loop *loop, const weir_otlp_options *options)
{
    weir_otlp_options loaded;
    weir_otlp_signal signal;
    *out = NULL;
    if (loop == NULL)
        return WEIR_EINVAL;
    const char *const error = otlp_load(&loaded, options, &signal);
    if (error != NULL) {
        weir_otlp_warning const warning = {signal, WEIR_EINVAL, 0, 0, error};
        if (loaded.on_warning != NULL)
            loaded.on_warning(&warning, loaded.user);
        return WEIR_EINVAL;
    }
    const weir_env *const env = weir__loop_env(loop);
    weir_otlp *const otlp = weir__alloc(env, sizeof *otlp);
    if (otlp == NULL)
        return WEIR_ENOMEM;
    otlp->env = *env;
    otlp->loop = loop;
    otlp->options = loaded;
    otlp->waker.ends[0] = otlp->waker.ends[1] = -1;
    weir_retry_options const retry = {
        .struct_size = sizeof retry,
        .max_attempts = UINT32_MAX,
        .retry_on = WEIR_RETRY_ON(WEIR_FAILURE),
        .jitter = WEIR_JITTER_FACTOR,
        .factor_percent = 50,
        .base_ns = loaded.retry_base_ns,
        .cap_ns = loaded.retry_cap_ns,
        .total_ns = loaded.retry_total_ns,
        .pushback_cap_ns = WEIR_NEVER,
    };
    otlp->retry = retry;
    pthread_mutex_init(&otlp->lock, NULL);
    pthread_cond_init(&otlp->told, NULL);
    int const result = otlp_open(otlp);
    if (result == WEIR_OK)
        *out = otlp;
    else
        weir_otlp_destroy(otlp);
    return result;
}

void weir_otlp_destroy(weir_otlp *otlp)
{
    if (otlp == NULL)
        return;
    weir_loop_timer_destroy(otlp->metrics_timer);
    for (size_t i = 0; i < WEIR_OTLP_SIGNALS; i++)
        weir__otlp_lane_close(&otlp->lanes[i]);
    weir__waker_close(&otlp->waker);
    weir_http_client_destroy(otlp->client);
    pthread_cond_destroy(&otlp->told);
    pthread_mutex_destroy(&otlp->lock);
    weir_env const env = otlp->env;
    weir__free(&env, otlp, sizeof *otlp);
}
