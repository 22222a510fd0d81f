#include "otlp/otlp.h"

static uint64_t metrics_after(const weir_otlp *otlp, uint32_t ms)
{
    return weir__add_ns(weir_loop_now_ns(otlp->loop), ms * WEIR__NS_PER_MS);
}

int weir_otlp_push_metrics(weir_otlp *otlp, weir_exported_fn done, void *token)
{
    weir__otlp_lane *const lane = &otlp->lanes[WEIR_OTLP_METRICS];
    if (otlp->metrics == NULL)
        return WEIR_EINVAL;
    if (!weir__otlp_lane_claim(lane, 0))
        return WEIR_EBUSY;
    weir__otlp_job *const job = &lane->waiting;
    int const result =
        weir__otlp_job_metrics(job, otlp->metrics, &otlp->origin, otlp->options.max_request_bytes);
    bool const empty = result == WEIR_OK && job->items == 0;
    job->deadline_ns = metrics_after(otlp, otlp->options.metrics_timeout_ms);
    job->done = done;
    job->token = token;
    weir__otlp_lane_submit(lane, empty ? WEIR_EEMPTY : result);
    return empty ? WEIR_EEMPTY : result;
}

/* What is still under way tells less than the next one will: all is cumulative. */
static void metrics_on_time(uint64_t now_ns, void *user)
{
    weir_otlp *const otlp = user;
    (void)now_ns;
    weir_loop_timer_set(otlp->metrics_timer,
                        metrics_after(otlp, otlp->options.metrics_interval_ms));
    int const result = weir_otlp_push_metrics(otlp, NULL, NULL);
    if (result == WEIR_OK || result == WEIR_EEMPTY || result == WEIR_EBUSY)
        return;
    weir_otlp_warning const warning = {WEIR_OTLP_METRICS, result, 0, 0, weir_strerror(result)};
    weir__otlp_warn(otlp, &warning);
}

int weir_otlp_export_metrics(weir_otlp *otlp, weir_metrics *metrics, const weir_otlp_origin *origin)
{
    if (otlp->metrics_timer == NULL) {
        int const result =
            weir_loop_timer_create(&otlp->metrics_timer, otlp->loop, metrics_on_time, otlp);
        if (result != WEIR_OK)
            return result;
    }
    otlp->metrics = metrics;
    otlp->origin = (weir_span_batch){.spans = NULL};
    if (origin != NULL) {
        otlp->origin.resource = origin->resource;
        otlp->origin.resource_count = origin->resource_count;
        otlp->origin.scope_name = origin->scope_name;
        otlp->origin.scope_version = origin->scope_version;
    }
    weir_loop_timer_set(otlp->metrics_timer,
                        metrics == NULL ? WEIR_NEVER
                                        : metrics_after(otlp, otlp->options.metrics_interval_ms));
    return WEIR_OK;
}
