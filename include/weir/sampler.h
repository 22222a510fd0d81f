/**
 * @file weir/sampler.h
 * Samplers: which traces are worth their cost. Each is a weir_sampling hook for a tracer, or for
 * another sampler; your own callback is one as well. (To decide when a trace has ended: tail.h.)
 *
 *   parent-based --- root ---> rules --- GET /health ---> always off
 *        |                       |
 *        +-- the parent's own    +--- all others -------> ratio, rate-limited, adaptive ...
 *
 * Ratios are consistent (OpenTelemetry, "TraceState: Probability Sampling"): a trace has 56 bits of
 * randomness R, which is `rv` of its tracestate or else the right end of its id, and is kept where
 * R >= T = (1 - ratio) 2^56. So whoever keeps a tenth keeps traces that who keeps a half has too,
 * and `ot=th` tells readers how many each stands for.
 *
 * Threads:    the hook, any thread, same sampler; destroy comes last.
 * Blocking:   never: no lock. Rate-limited and adaptive ones read the clock.
 * Allocation: in weir_sampler_create() only.
 */
#ifndef WEIR_SAMPLER_H
#define WEIR_SAMPLER_H

#include <weir/base.h>
#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_sampler weir_sampler;

typedef enum weir_sampler_kind {
    WEIR_SAMPLER_ALWAYS_ON,
    WEIR_SAMPLER_ALWAYS_OFF,
    WEIR_SAMPLER_RATIO,        /**< `ratio` of all traces. */
    WEIR_SAMPLER_PARENT_BASED, /**< As the parent was; a trace that begins here: `root`. */
    WEIR_SAMPLER_RATE_LIMITED, /**< At most `per_second`, with `burst` at once. */
    WEIR_SAMPLER_ADAPTIVE,     /**< A ratio that moves, so that about `per_second` are kept. */
    WEIR_SAMPLER_RULES,        /**< The first rule that matches decides, or else `root`. */
} weir_sampler_kind;

/** Spans that a rule is for: all that it names must hold. */
typedef struct weir_sampler_rule {
    const char *name;      /**< Of the span: a pattern with * and ?; NULL = any. */
    int kind;              /**< A weir_span_kind; 0 = any. */
    const char *attribute; /**< Its key; NULL = none is asked for. */
    const char *value;     /**< Of a string attribute: a pattern; NULL = it has one. */
    weir_sampling then;    /**< Who decides; decide NULL: each is sampled. */
} weir_sampler_rule;

/** Start from WEIR_SAMPLER_OPTIONS_INIT. Hooks are borrowed: what they call outlives the sampler.
 */
typedef struct weir_sampler_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    weir_sampler_kind kind;
    double ratio;      /**< 0..1, of RATIO; where ADAPTIVE begins. */
    double per_second; /**< Of RATE_LIMITED and ADAPTIVE: 1e-6..1e9. */
    uint32_t burst;    /**< Of RATE_LIMITED: 1..1e6. */
    double min_ratio;  /**< ADAPTIVE never goes below: above 0, at most ratio. */
    uint64_t adapt_ns; /**< ADAPTIVE moves so often: 1 ms .. 1 h. */
    /** Of PARENT_BASED and RULES; decide NULL: each is sampled. */
    weir_sampling root;
    /** Of PARENT_BASED, for a parent that is remote or not, and sampled or not; decide NULL: as the
     * parent was. */
    weir_sampling remote_sampled, remote_unsampled, local_sampled, local_unsampled;
    const weir_sampler_rule *rules; /**< Copied, with their texts. */
    size_t rule_count;
    const weir_env *env; /**< NULL for defaults; copied. */
} weir_sampler_options;

#define WEIR_SAMPLER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_sampler_options), .kind = WEIR_SAMPLER_ALWAYS_ON, .ratio = 1,   \
        .per_second = 10, .burst = 10, .min_ratio = 0.00001, .adapt_ns = 1000000000,               \
        .root = {NULL, NULL}, .remote_sampled = {NULL, NULL}, .remote_unsampled = {NULL, NULL},    \
        .local_sampled = {NULL, NULL}, .local_unsampled = {NULL, NULL}, .rules = NULL,             \
        .rule_count = 0, .env = NULL                                                               \
    }

/**
 * Create a sampler.
 *
 * @param options  NULL for all defaults: always on.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sampler_create(weir_sampler **out,
                                                 const weir_sampler_options *options);

/**
 * Create one by its name in OTEL_TRACES_SAMPLER: "always_on", "always_off", "traceidratio",
 * "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio".
 *
 * @param argument  that of OTEL_TRACES_SAMPLER_ARG, the ratio; NULL or "" = 1.
 * @param env       NULL for defaults; copied.
 * @return WEIR_OK; WEIR_ENOTFOUND: no such name; WEIR_EINVAL: the argument is no ratio, written as
 *         in JSON; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sampler_create_named(weir_sampler **out, const char *name,
                                                       const char *argument, const weir_env *env);

/** Free it; NULL is allowed. Nobody may ask it any more. */
WEIR_API void weir_sampler_destroy(weir_sampler *sampler);

/** What a tracer asks. */
WEIR_API weir_sampling weir_sampler_hook(weir_sampler *sampler);

/** The ratio in force: of RATIO and ADAPTIVE; 1 of others. */
WEIR_API double weir_sampler_ratio(weir_sampler *sampler);

WEIR_END_DECLS

#endif
