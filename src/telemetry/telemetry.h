/* What the environment asks for, and what is made of it. */
#ifndef WEIR_SRC_TELEMETRY_TELEMETRY_H
#define WEIR_SRC_TELEMETRY_TELEMETRY_H

#include <weir/telemetry.h>

#include <weir/propagation.h>
#include <weir/sampler.h>
#include <weir/span_writer.h>

#include "base/env.h"

typedef enum weir__telemetry_exporter {
    WEIR__EXPORT_NONE,
    WEIR__EXPORT_OTLP,
    WEIR__EXPORT_CONSOLE,
} weir__telemetry_exporter;

/* As the variables say it. */
typedef struct weir__telemetry_plan {
    weir__telemetry_exporter traces, metrics;
    unsigned formats;
    weir_tracer_options tracer; /* Its numbers. */
} weir__telemetry_plan;

/* plan.c: WEIR_OK or WEIR_ENOMEM. *sampler is for its caller to destroy. */
int weir__telemetry_read(weir__telemetry_plan *plan, weir_sampler **sampler,
                         const weir_otlp_source *source, const weir_env *env);

#endif
