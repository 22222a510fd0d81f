/* The OTEL_... variables, but those of weir/otlp.h. */
#include "telemetry/telemetry.h"

#include "base/setting.h"

#include <stdlib.h>
#include <string.h>

static const char *plan_getenv(const char *name, void *user)
{
    (void)user;
    return getenv(name); /* As all do that read it at the start: NOLINT(concurrency-mt-unsafe) */
}

/* NULL: it is not set, or empty. */
static const char *plan_get(const weir_otlp_source *source, const char *name)
{
    const char *const value = source->get(name, source->user);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void plan_ignore(const weir_otlp_source *source, const char *name, const char *value,
                        const char *reason)
{
    if (source->on_ignored != NULL)
        source->on_ignored(name, value, reason, source->user);
}

/* True: it is set, and within these bounds. */
static bool plan_number(const weir_otlp_source *source, const char *name, uint64_t min,
                        uint64_t max, uint64_t *out)
{
    const char *const value = plan_get(source, name);
    if (value == NULL)
        return false;
    if (weir__setting_u64(value, min, max, out))
        return true;
    plan_ignore(source, name, value, "not a number, or out of its range");
    return false;
}

static void plan_count(const weir_otlp_source *source, const char *name, uint64_t min, uint64_t max,
                       uint32_t *out)
{
    uint64_t number;
    if (plan_number(source, name, min, max, &number))
        *out = (uint32_t)number;
}

static void plan_ms(const weir_otlp_source *source, const char *name, uint64_t *out_ns)
{
    uint64_t ms;
    if (plan_number(source, name, 1, UINT32_MAX, &ms))
        *out_ns = ms * WEIR__NS_PER_MS;
}

static void plan_batches(const weir_otlp_source *source, weir_tracer_options *tracer)
{
    plan_ms(source, "OTEL_BSP_SCHEDULE_DELAY", &tracer->delay_ns);
    plan_ms(source, "OTEL_BSP_EXPORT_TIMEOUT", &tracer->export_timeout_ns);
    plan_count(source, "OTEL_BSP_MAX_QUEUE_SIZE", 1, 1U << 20, &tracer->queue_size);
    if (tracer->batch_size > tracer->queue_size)
        tracer->batch_size = tracer->queue_size;
    plan_count(source, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, tracer->queue_size,
               &tracer->batch_size);
    if (tracer->max_spans < 4 * tracer->queue_size)
        tracer->max_spans = 4 * tracer->queue_size;
}

static void plan_limits(const weir_otlp_source *source, weir_tracer_options *tracer)
{
    uint64_t length;
    plan_count(source, "OTEL_ATTRIBUTE_COUNT_LIMIT", 0, UINT32_MAX, &tracer->max_attributes);
    tracer->max_event_attributes = tracer->max_link_attributes = tracer->max_attributes;
    plan_count(source, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0, UINT32_MAX, &tracer->max_attributes);
    plan_count(source, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 0, UINT32_MAX,
               &tracer->max_event_attributes);
    plan_count(source, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 0, UINT32_MAX,
               &tracer->max_link_attributes);
    plan_count(source, "OTEL_SPAN_EVENT_COUNT_LIMIT", 0, UINT32_MAX, &tracer->max_events);
    plan_count(source, "OTEL_SPAN_LINK_COUNT_LIMIT", 0, UINT32_MAX, &tracer->max_links);
    if (plan_number(source, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, SIZE_MAX, &length))
        tracer->max_value_length = (size_t)length;
    if (plan_number(source, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, SIZE_MAX, &length))
        tracer->max_value_length = (size_t)length;
}

static weir__telemetry_exporter plan_exporter(const weir_otlp_source *source, const char *name,
                                              const char *endpoint, bool console)
{
    const char *const value = plan_get(source, name);
    bool const somewhere = plan_get(source, "OTEL_EXPORTER_OTLP_ENDPOINT") != NULL ||
                           plan_get(source, endpoint) != NULL;
    if (value != NULL && strcmp(value, "otlp") == 0)
        return WEIR__EXPORT_OTLP;
    if (value != NULL && strcmp(value, "none") == 0)
        return WEIR__EXPORT_NONE;
    if (value != NULL && console && strcmp(value, "console") == 0)
        return WEIR__EXPORT_CONSOLE;
    if (value != NULL)
        plan_ignore(source, name, value, "there is no such exporter");
    return somewhere ? WEIR__EXPORT_OTLP : WEIR__EXPORT_NONE;
}

static int plan_sampler(const weir_otlp_source *source, weir_sampler **sampler, const weir_env *env)
{
    static const char name[] = "OTEL_TRACES_SAMPLER", argument[] = "OTEL_TRACES_SAMPLER_ARG";
    char kept[64] = "parentbased_always_on"; /* What comes next may be where this was. */
    const char *const value = plan_get(source, name);
    if (value != NULL && strlen(value) < sizeof kept)
        memcpy(kept, value, strlen(value) + 1);
    int result = weir_sampler_create_named(sampler, kept, plan_get(source, argument), env);
    if (result == WEIR_EINVAL) {
        plan_ignore(source, argument, plan_get(source, argument), "not a ratio within 0 and 1");
        result = weir_sampler_create_named(sampler, kept, NULL, env);
    }
    if (result != WEIR_ENOTFOUND)
        return result;
    plan_ignore(source, name, kept, "there is no such sampler");
    return weir_sampler_create_named(sampler, "parentbased_always_on", NULL, env);
}

int weir__telemetry_read(weir__telemetry_plan *plan, weir_sampler **sampler,
                         const weir_otlp_source *source, const weir_env *env)
{
    weir_otlp_source from = *source;
    if (from.get == NULL)
        from.get = plan_getenv;
    *plan = (weir__telemetry_plan){.formats = WEIR_PROPAGATE_DEFAULT,
                                   .tracer = WEIR_TRACER_OPTIONS_INIT};
    plan->traces =
        plan_exporter(&from, "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", true);
    plan->metrics =
        plan_exporter(&from, "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", false);
    const char *const propagators = plan_get(&from, "OTEL_PROPAGATORS");
    if (propagators != NULL && weir_propagation_parse(propagators, &plan->formats) != WEIR_OK)
        plan_ignore(&from, "OTEL_PROPAGATORS", propagators, "one of these is not known");
    plan_batches(&from, &plan->tracer);
    plan_limits(&from, &plan->tracer);
    return plan_sampler(&from, sampler, env);
}
