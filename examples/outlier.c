/* Five hosts, one of which begins to fail: it is ejected, returns, and is ejected for longer. */
#include <weir/outlier.h>

#include <stdio.h>

static void tell(const weir_outlier_event *event, void *user)
{
    (void)user;
    printf("%3u s  %s: %s", (unsigned)(event->at_ns / 1000000000), event->id,
           weir_outlier_event_name(event->kind));
    if (event->kind == WEIR_OUTLIER_EJECTED)
        printf(" for %u s: %s, %.0f, limit %.0f",
               (unsigned)((event->until_ns - event->at_ns) / 1000000000),
               weir_outlier_detection_name(event->detection), event->figure, event->threshold);
    printf("\n");
}

static uint64_t start_of_time(void *user)
{
    (void)user;
    return 0;
}

int main(void)
{
    static const char *const names[] = {"anna", "bert", "cleo", "dora", "emil"};
    weir_outlier *outlier;
    weir_outlier_host *hosts[5];
    weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = start_of_time;
    options.env = &env;
    options.on_event = tell;
    options.jitter_ms = 0;
    if (weir_outlier_create(&outlier, &options))
        return 1;
    for (int i = 0; i < 5; i++)
        if (weir_outlier_add(outlier, names[i], NULL, &hosts[i]))
            return 1;
    weir_task const task = weir_outlier_task(outlier);
    for (uint64_t second = 0; second < 120; second++) {
        uint64_t const now_ns = second * 1000000000;
        (void)task.run(task.self, now_ns);
        for (int i = 0; i < 5; i++) { /* A balancer would leave ejected hosts alone. */
            weir_outcome const outcome = i == 2 && second > 10 ? WEIR_FAILURE : WEIR_SUCCESS;
            if (!weir_outlier_is_ejected(hosts[i]))
                weir_outlier_record(hosts[i], outcome, WEIR_ORIGIN_SERVER, 20000000, now_ns);
        }
    }
    weir_outlier_destroy(outlier);
    return 0;
}
