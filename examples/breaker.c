/* A breaker in front of a service that falls ill: cc breaker.c $(pkg-config --cflags --libs weir)
 */
#include <weir/breaker.h>

#include <stdio.h>
#include <time.h>

/* Stands for a remote call: answers for 10 calls, then fails for 16, then answers again. */
static bool service(void)
{
    static int calls;
    calls++;
    return calls <= 10 || calls > 26;
}

static void tell(const weir_breaker_event *event, void *user)
{
    (void)user;
    printf("%s -> %s: %s (%u of %u calls failed)\n", weir_breaker_state_name(event->from),
           weir_breaker_state_name(event->to), weir_breaker_reason_name(event->reason),
           event->failures, event->calls);
}

int main(void)
{
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.window_calls = 20;
    options.min_calls = 10;
    options.open_ms = 20;
    options.on_event = tell;
    weir_breaker *breaker;
    int const result = weir_breaker_create(&breaker, &options);
    if (result != WEIR_OK) {
        (void)fprintf(stderr, "breaker: %s\n", weir_strerror(result));
        return 1;
    }

    int answered = 0, failed = 0, spared = 0;
    for (int i = 0; i < 400; i++) {
        weir_breaker_permit permit;
        uint64_t retry_after_ns;
        if (weir_breaker_enter(breaker, &permit, &retry_after_ns) == WEIR_OK) {
            bool const good = service();
            weir_breaker_leave(breaker, &permit, good ? WEIR_SUCCESS : WEIR_FAILURE);
            *(good ? &answered : &failed) += 1;
        } else {
            spared++; /* The caller knows at once, and the service can recover. */
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    printf("%d answered, %d failed, %d not even tried\n", answered, failed, spared);
    weir_breaker_destroy(breaker);
    return 0;
}
