/* A tracer that exports each span at once, to a sink that the test looks into. */
#ifndef WEIR_TEST_TRACER_FIXTURE_H
#define WEIR_TEST_TRACER_FIXTURE_H

#include "support/fake_env.h"
#include "support/span_sink.h"

#include <weir/tracer.h>

#define WALL_NS UINT64_C(1700000000000000000)

static fake_env fake;
static weir_env env;
static span_sink sink;
static weir_tracer *tracer;
static weir_tracer_options options;
static int decision;       /* Of the test's own sampler. */
static uint64_t threshold; /* The same. */
static unsigned asked;     /* How often it was. */

static inline void decide(void *self, const weir_sampling_request *request,
                          weir_sampling_result *result)
{
    (void)self;
    assert_int_equal(result->decision, WEIR_SAMPLING_DROP);
    assert_non_null(request->name);
    result->decision = (weir_sampling_decision)decision;
    result->threshold = threshold;
    asked++;
}

static inline int setup(void **unused)
{
    (void)unused;
    fake = (fake_env){.now_ns = 1000, .wall_ns = WALL_NS + 1000, .random = 1, .random_step = 12345};
    env = fake_env_hooks(&fake);
    sink = (span_sink){.result = WEIR_OK};
    options = (weir_tracer_options)WEIR_TRACER_OPTIONS_INIT;
    options.env = &env;
    options.exporter = span_sink_exporter(&sink);
    options.immediate = true;
    decision = WEIR_SAMPLING_SAMPLE;
    threshold = WEIR_SAMPLING_INHERIT;
    asked = 0;
    return 0;
}

static inline int teardown(void **unused)
{
    (void)unused;
    weir_tracer_destroy(tracer);
    tracer = NULL;
    assert_int_equal(fake.live, 0);
    return 0;
}

static inline void create(void)
{
    assert_int_equal(weir_tracer_create(&tracer, &options), WEIR_OK);
}

static inline uint64_t dropped(weir_span_drop reason)
{
    weir_tracer_stats stats;
    weir_tracer_get_stats(tracer, &stats);
    return stats.dropped[reason];
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
