/* Try again, later and later, a little at random, and never past the deadline. */
#include <weir/retry.h>

#include <inttypes.h>
#include <stdio.h>

#define MS UINT64_C(1000000)

/* A service that breaks twice, asks to be left alone once, and then works. */
static weir_outcome call(uint32_t attempt, uint64_t *retry_after_ns)
{
    *retry_after_ns = attempt == 3 ? 1000 * MS : 0;
    return attempt < 3 ? WEIR_FAILURE : attempt == 3 ? WEIR_OVERLOAD : WEIR_SUCCESS;
}

static void call_with_retries(const weir_retry_options *options, uint64_t seed)
{
    weir_retry retry;
    uint64_t now_ns = 0; /* A program would read its clock, and sleep or set a timer. */
    if (weir_retry_begin(&retry, options, now_ns, seed) != WEIR_OK)
        return;
    for (;;) {
        uint64_t retry_after_ns;
        uint64_t at_ns;
        uint32_t const attempt = retry.attempts;
        weir_outcome const outcome = call(attempt, &retry_after_ns);
        weir_retry_verdict const verdict =
            weir_retry_next(&retry, outcome, now_ns, retry_after_ns, &at_ns);
        printf("%5" PRIu64 " ms  attempt %" PRIu32 ": %s, %s", now_ns / MS, attempt,
               weir_outcome_name(outcome), weir_retry_verdict_name(verdict));
        if (verdict != WEIR_RETRY_AT)
            break;
        printf(" in %" PRIu64 " ms\n", (at_ns - now_ns) / MS);
        now_ns = at_ns;
    }
    printf("\n");
}

int main(void)
{
    weir_retry_options options = WEIR_RETRY_OPTIONS_INIT;
    options.max_attempts = 5;
    options.base_ns = 100 * MS;
    options.cap_ns = 2000 * MS;
    options.jitter = WEIR_JITTER_EQUAL;
    printf("patient:\n");
    call_with_retries(&options, 7);
    options.total_ns = 500 * MS;
    printf("in a hurry:\n");
    call_with_retries(&options, 7);
    return 0;
}
