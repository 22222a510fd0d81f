/* A database, a page that needs it, a nightly job: who is well? On our clock an hour is no time. */
#include <weir/health.h>

#include <stdio.h>

#define SECOND UINT64_C(1000000000)

static uint64_t clock_ns = SECOND;

static uint64_t now_ns(void *user)
{
    (void)user;
    return clock_ns;
}

static void tell(const weir_health_event *event, void *user)
{
    (void)user;
    unsigned const seconds = (unsigned)(event->at_ns / SECOND);
    if (event->kind == WEIR_HEALTH_CHECK_CHANGED)
        printf("%4us %s: %s %s\n", seconds, event->id, weir_health_state_name(event->to),
               event->note);
    else if (event->kind == WEIR_HEALTH_CHECK_SKIPPED)
        printf("%4us %s: not asked because of %s\n", seconds, event->id, event->because);
}

static void probe(const weir_health_run *run, weir_health_result *result, void *user)
{
    (void)run;
    bool const ill = *(const bool *)user && clock_ns > 100 * SECOND && clock_ns < 200 * SECOND;
    result->verdict = ill ? WEIR_HEALTH_FAIL : WEIR_HEALTH_PASS;
    result->note = ill ? "refused" : NULL;
}

int main(void)
{
    const char *const needs[] = {"database"};
    bool falls_ill = true, stays_well = false;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = now_ns;
    weir_health_options options = WEIR_HEALTH_OPTIONS_INIT;
    options.on_event = tell;
    options.env = &env;
    weir_health_check_options base = WEIR_HEALTH_CHECK_OPTIONS_INIT, page = base, job = base;
    base.start = page.start = probe;
    base.user = &falls_ill;
    page.user = &stays_well;
    page.depends_on = needs, page.depends_on_count = 1;
    job.ttl_ms = 600000; /* Nobody beats: the dead man's switch. */
    weir_health *health;
    if (weir_health_create(&health, &options) || weir_health_add(health, "database", &base, 0) ||
        weir_health_add(health, "page", &page, 0) || weir_health_add(health, "job", &job, 0))
        return 1;
    for (weir_task task = weir_health_task(health); clock_ns < 3600 * SECOND;)
        clock_ns = task.run(task.self, clock_ns); /* A loop would wait until then. */
    printf("all: %s\n", weir_health_system_name(weir_health_get_system(health, NULL)));
    weir_health_destroy(health);
    return 0;
}
