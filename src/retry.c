#include <weir/retry.h>

#include "base/env.h"
#include "base/rng.h"

#define RETRY_MAX_CAP_NS (UINT64_C(1) << 56) /* A hundred times as much still fits. */

/* Uniform in 0 .. bound - 1, but for one part in 2^64 / bound; 0 for none. One word of state
 * keeps a weir_retry small. */
static uint64_t retry_below(weir_retry *retry, uint64_t bound)
{
    uint64_t const drawn = weir__mix64(retry->random += WEIR__GOLDEN);
    return bound > 0 ? drawn % bound : 0;
}

static uint64_t retry_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* min(cap, base * 2^k) */
static uint64_t retry_exponential(const weir_retry_options *o, uint32_t k)
{
    if (o->base_ns == 0)
        return 0;
    return k >= 64 || o->base_ns > o->cap_ns >> k ? o->cap_ns : o->base_ns << k;
}

static uint64_t retry_delay(weir_retry *retry)
{
    const weir_retry_options *const o = &retry->options;
    uint32_t const k = retry->attempts - 1;
    uint64_t const d = retry_exponential(o, k);
    switch (o->jitter) {
    case WEIR_JITTER_NONE: break;
    case WEIR_JITTER_FULL: return retry_below(retry, d);
    case WEIR_JITTER_EQUAL: return d / 2 + retry_below(retry, d - d / 2);
    case WEIR_JITTER_DECORRELATED: {
        if (k == 0)
            return retry_below(retry, d);
        uint64_t const high = retry_min(o->cap_ns, weir__mul_ns(3, retry->last_ns));
        return o->base_ns + (high > o->base_ns ? retry_below(retry, high - o->base_ns) : 0);
    }
    case WEIR_JITTER_FACTOR: {
        uint64_t const spread = d * o->factor_percent / 100;
        return retry_min(o->cap_ns, d - spread + retry_below(retry, 2 * spread));
    }
    }
    return d;
}

static bool retry_options_valid(const weir_retry_options *o)
{
    uint32_t const retryable = WEIR_RETRY_ON(WEIR_FAILURE) | WEIR_RETRY_ON(WEIR_TIMEOUT) |
                               WEIR_RETRY_ON(WEIR_OVERLOAD) | WEIR_RETRY_ON(WEIR_IGNORED);
    return o->max_attempts >= 1 && (o->retry_on & ~retryable) == 0 &&
           (unsigned)o->jitter <= WEIR_JITTER_FACTOR && o->factor_percent <= 100 &&
           o->base_ns <= o->cap_ns && o->cap_ns <= RETRY_MAX_CAP_NS && o->total_ns >= 1;
}

int weir_retry_begin(weir_retry *retry, const weir_retry_options *options, uint64_t now_ns,
                     uint64_t seed)
{
    weir_retry_options loaded = WEIR_RETRY_OPTIONS_INIT;
    *retry = (weir_retry){.attempts = 1, .verdict = WEIR_RETRY_AT, .random = seed};
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (!retry_options_valid(&loaded))
        return WEIR_EINVAL;
    retry->options = loaded;
    retry->deadline_ns = weir__add_ns(now_ns, loaded.total_ns);
    return WEIR_OK;
}

/* Everything but time. */
static weir_retry_verdict retry_judge(const weir_retry *retry, weir_outcome outcome)
{
    if (retry->verdict != WEIR_RETRY_AT)
        return retry->verdict;
    if (outcome == WEIR_SUCCESS)
        return WEIR_RETRY_SUCCEEDED;
    if ((unsigned)outcome > WEIR_CANCELLED || !(retry->options.retry_on & WEIR_RETRY_ON(outcome)))
        return WEIR_RETRY_NOT_RETRYABLE;
    return retry->attempts < retry->options.max_attempts ? WEIR_RETRY_AT : WEIR_RETRY_EXHAUSTED;
}

weir_retry_verdict weir_retry_next(weir_retry *retry, weir_outcome outcome, uint64_t now_ns,
                                   uint64_t retry_after_ns, uint64_t *at_ns)
{
    *at_ns = WEIR_NEVER;
    retry->verdict = retry_judge(retry, outcome);
    if (retry->verdict != WEIR_RETRY_AT)
        return retry->verdict;
    uint64_t const asked_ns = retry_min(retry_after_ns, retry->options.pushback_cap_ns);
    uint64_t const delay_ns = retry_delay(retry);
    uint64_t const start_ns = weir__add_ns(now_ns, delay_ns > asked_ns ? delay_ns : asked_ns);
    if (start_ns >= retry->deadline_ns) {
        retry->verdict = WEIR_RETRY_DEADLINE;
        return WEIR_RETRY_DEADLINE;
    }
    retry->last_ns = delay_ns;
    retry->attempts++;
    *at_ns = start_ns;
    return WEIR_RETRY_AT;
}

const char *weir_retry_verdict_name(weir_retry_verdict verdict)
{
    switch (verdict) {
    case WEIR_RETRY_AT: return "retry";
    case WEIR_RETRY_SUCCEEDED: return "succeeded";
    case WEIR_RETRY_NOT_RETRYABLE: return "not retryable";
    case WEIR_RETRY_EXHAUSTED: return "attempts exhausted";
    case WEIR_RETRY_DEADLINE: return "deadline";
    }
    return "unknown";
}
