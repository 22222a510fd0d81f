/* Five a second, three at once: what a service does with a crowd that comes all at once. */
#include <weir/limiter.h>

#include <inttypes.h>
#include <stdio.h>

#define MS UINT64_C(1000000)

/* A clock of our own, so that the example takes no time; the default is the monotonic one. */
static uint64_t now(void *user)
{
    return *(uint64_t *)user;
}

int main(void)
{
    uint64_t now_ns = 1000 * MS;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = now;
    env.user = &now_ns;
    weir_limiter_options options = WEIR_LIMITER_OPTIONS_INIT;
    options.limit = 5;
    options.burst = 3;
    options.env = &env;
    weir_limiter *limiter;
    int const created = weir_limiter_create(&limiter, &options);
    if (created != WEIR_OK) {
        (void)fprintf(stderr, "limiter: %s\n", weir_strerror(created));
        return 1;
    }

    /* Turn away whoever is over the rate, and say when to come back. */
    for (int request = 1; request <= 5; request++) {
        uint64_t retry_after_ns;
        int const result = weir_limiter_try(limiter, 1, &retry_after_ns);
        printf("request %d: %s", request, weir_strerror(result));
        if (result == WEIR_ELIMITED)
            printf(", retry after %" PRIu64 " ms", retry_after_ns / MS);
        printf("\n");
    }

    /* Or book a time, and give it back when it is not needed. */
    weir_reservation turn;
    if (weir_limiter_reserve(limiter, 2, now_ns, 1000 * MS, &turn) == WEIR_OK) {
        printf("a batch of 2 may start in %" PRIu64 " ms\n", (turn.ready_ns - now_ns) / MS);
        (void)weir_limiter_cancel(limiter, &turn, now_ns);
    }

    /* The rate can change at any time; what was taken stays taken. */
    options.limit = 50;
    if (weir_limiter_update(limiter, &options) != WEIR_OK)
        return 1;
    now_ns += 25 * MS;
    weir_limiter_stats stats;
    weir_limiter_get_stats(limiter, now_ns, &stats);
    printf("25 ms later, at 50 a second: %" PRIu64 " left\n", stats.remaining);
    weir_limiter_destroy(limiter);
    return 0;
}
