/* What each algorithm makes of the accidents of a service's life, in figures: scenarios.txt holds
 * them all, so that whatever changes an algorithm shows as a change of that file. `make report`
 * writes it anew. Beside it stand the bounds that must hold whatever the figures. */
#include "support/scenario.h"
#include "support/scenario_report.h"

#define REPORT     "tests/sim/scenarios.txt"
#define SEED       1
#define ALGORITHMS (WEIR_FIRST + 1)
#define FROM_MS    2000  /* When the accidents of one member begin, */
#define UNTIL_MS   12000 /* and when they are over. */

typedef enum scenario_name {
    BLACK_HOLE,
    FAST_FAILURES,
    SLOWDOWN,
    ROLLING_DEPLOY,
    FLAP,
    ZONE_LOSS,
    LIVE_RELOAD,
    SCENARIOS,
} scenario_name;

/* ---- Scripts ---- */

/* The first member behaves so for ten seconds. */
static void afflict_first(world *w, unsigned at_ms, const weir_sim_behaviour *behaviour)
{
    if (at_ms == FROM_MS)
        behave(w, 0, behaviour);
    if (at_ms == UNTIL_MS)
        behave(w, 0, &w->well);
    w->healed_ms = UNTIL_MS;
    w->hosts[0].sick = at_ms >= FROM_MS && at_ms < UNTIL_MS;
}

static void script_black_hole(world *w, unsigned at_ms)
{
    weir_sim_behaviour silent = w->well;
    silent.link = WEIR_SIM_SILENT;
    afflict_first(w, at_ms, &silent);
}

static void script_fast_failures(world *w, unsigned at_ms)
{
    weir_sim_behaviour failing = w->well;
    failing.latency = WEIR_SIM_FIXED;
    failing.min_ns = MS;
    failing.failure_rate = 1;
    afflict_first(w, at_ms, &failing);
}

static void script_slowdown(world *w, unsigned at_ms)
{
    weir_sim_behaviour slow = w->well;
    slow.min_ns *= 10;
    slow.mean_ns *= 10;
    afflict_first(w, at_ms, &slow);
}

/* Four seconds a member: drained, gone after one, back after another under a new name. */
static void script_rolling_deploy(world *w, unsigned at_ms)
{
    size_t const i = at_ms / 4000;
    if (i >= MEMBERS)
        return;
    host *const h = &w->hosts[i];
    switch (at_ms % 4000) {
    case 1000: flag(w, i, WEIR_MEMBER_DRAIN, true); break;
    case 2000:
        h->present = false;
        announce(w);
        link_of(w, i, WEIR_SIM_REFUSED);
        break;
    case 3000:
        link_of(w, i, WEIR_SIM_UP);
        (void)snprintf(h->id, sizeof h->id, "m%zu-new", i);
        h->present = true;
        h->flagged = false;
        announce(w);
        break;
    default: break;
    }
}

/* Each second the first member goes away, and is flagged 100 ms after; then it comes back. */
static void script_flap(world *w, unsigned at_ms)
{
    if (at_ms >= SPAN_MS - 1000)
        return;
    switch (at_ms % 1000) {
    case 300:
        link_of(w, 0, WEIR_SIM_REFUSED);
        w->hosts[0].sick = true;
        break;
    case 400: flag(w, 0, WEIR_MEMBER_UNHEALTHY, true); break;
    case 800:
        link_of(w, 0, WEIR_SIM_UP);
        flag(w, 0, WEIR_MEMBER_UNHEALTHY, false);
        w->hosts[0].sick = false;
        break;
    default: break;
    }
}

static void prepare_zones(world *w)
{
    w->balancer.zone = "near";
    for (size_t i = 0; i < MEMBERS; i++) {
        weir_sim_behaviour far = w->well;
        w->hosts[i].remote = i >= MEMBERS / 2;
        w->hosts[i].zone = w->hosts[i].remote ? "far" : "near";
        far.min_ns += 5 * MS;
        if (w->hosts[i].remote)
            behave(w, i, &far);
    }
}

/* The near zone falls silent; 200 ms later its checks fail, until it is back. */
static void script_zone_loss(world *w, unsigned at_ms)
{
    w->healed_ms = UNTIL_MS;
    for (size_t i = 0; i < MEMBERS / 2; i++) {
        if (at_ms == FROM_MS)
            link_of(w, i, WEIR_SIM_SILENT);
        if (at_ms == FROM_MS + 200)
            flag(w, i, WEIR_MEMBER_UNHEALTHY, true);
        if (at_ms == UNTIL_MS)
            link_of(w, i, WEIR_SIM_UP);
        if (at_ms == UNTIL_MS + 200)
            flag(w, i, WEIR_MEMBER_UNHEALTHY, false);
        w->hosts[i].sick = at_ms >= FROM_MS && at_ms < UNTIL_MS;
    }
}

/* Each second other weights, another member left out, other options; all while calls go on. */
static void script_live_reload(world *w, unsigned at_ms)
{
    unsigned const second = at_ms / 1000;
    if (at_ms % 1000 != 0 || second == 0 || at_ms >= SPAN_MS)
        return;
    for (size_t i = 0; i < MEMBERS; i++) {
        w->hosts[i].weight = 1 + (uint32_t)((i + second) % 3);
        w->hosts[i].present = i != second % MEMBERS;
    }
    announce(w);
    w->balancer.choices = 2 + second % 2;
    w->balancer.decay_ns = (5 + second) * 1000 * MS;
    w->balancer.load_factor_percent = second % 2 == 0 ? 0 : 150;
    assert_int_equal(weir_balancer_configure(weir_caller_balancer(w->caller), &w->balancer),
                     WEIR_OK);
}

static const struct scenario {
    const char *name;
    const char *what;
    void (*prepare)(world *w);
    script_fn script;
} scenarios[SCENARIOS] = {
    {"black_hole", "m0 never answers from 2 s to 12 s", NULL, script_black_hole},
    {"fast_failures", "m0 fails each call in 1 ms from 2 s to 12 s", NULL, script_fast_failures},
    {"slowdown", "m0 takes ten times as long from 2 s to 12 s", NULL, script_slowdown},
    {"rolling_deploy", "each in turn is drained, removed, and back under a new name, a second each",
     NULL, script_rolling_deploy},
    {"flap", "each second m0 refuses for 500 ms, unnoticed for the first 100 ms", NULL,
     script_flap},
    {"zone_loss", "the near zone is silent from 2 s to 12 s, noticed 200 ms later", prepare_zones,
     script_zone_loss},
    {"live_reload", "each second other weights, members and options", NULL, script_live_reload},
};

/* ---- Runs ---- */

static const struct {
    const char *name;
    unsigned guards;
} guarded[] = {
    {"breaker", GUARD_BREAKER},
    {"retry", GUARD_RETRY},
    {"both", GUARD_BREAKER | GUARD_RETRY},
};

#define GUARDED (sizeof guarded / sizeof guarded[0])

static figures found[SCENARIOS][ALGORITHMS];
static figures found_guarded[SCENARIOS][GUARDED];

static figures run(scenario_name name, weir_balancer_algorithm algorithm, unsigned guards)
{
    return scenario_run(SEED, algorithm, guards, scenarios[name].prepare, scenarios[name].script);
}

static int run_all(void **state)
{
    (void)state;
    for (scenario_name s = BLACK_HOLE; s < SCENARIOS; s++) {
        for (unsigned a = 0; a < ALGORITHMS; a++)
            found[s][a] = run(s, (weir_balancer_algorithm)a, 0);
        for (size_t g = 0; g < GUARDED; g++)
            found_guarded[s][g] = run(s, WEIR_ROUND_ROBIN, guarded[g].guards);
    }
    return 0;
}

/* ---- The report ---- */

static void report_figures(report *r, const char *scenario, const char *name, const figures *f)
{
    char sick[16] = "-", heals[16] = "-";
    if (f->any_sick)
        (void)snprintf(sick, sizeof sick, "%u.%u", f->sick / 10, f->sick % 10);
    if (f->healed && f->heals_s == 0)
        (void)snprintf(heals, sizeof heals, "never");
    else if (f->healed)
        (void)snprintf(heals, sizeof heals, "%u s", f->heals_s);
    report_line(r, "%-14s  %-17s %3u.%u %% %5u %5u %3u.%u %3u.%u %5s %6s", scenario, name,
                f->success / 10, f->success % 10, f->p50_ms, f->p99_ms, f->most / 10, f->most % 10,
                f->peak / 10, f->peak % 10, sick, heals);
}

static void report_head(report *r)
{
    report_line(r,
                "Eight members, %u calls in %u s. A call takes 20 ms on average, and %u ms at"
                " most.",
                CALLS, SPAN_MS / 1000, (unsigned)(TIMEOUT / MS));
    report_line(r, "Written by `make report`, compared by each run of the tests.");
    report_line(r, "%s", "");
    report_line(r, "success   calls that succeeded, rounded down");
    report_line(r, "p50, p99  of all calls, in ms");
    report_line(r, "most      the largest load of a member over the run; 1.0 is its fair share");
    report_line(r, "peak      the largest load of a member in any second");
    report_line(r, "sick      the load of those who are sick, while they are");
    report_line(r, "heals     when it is over, until the first member has half of its share again");
}

static void report_section(report *r, const char *what, const char *column)
{
    report_line(r, "%s", "");
    report_line(r, "%s", what);
    report_line(r, "%-14s  %-17s success   p50   p99  most  peak  sick  heals", "scenario", column);
}

static void the_report_is_as_committed(void **state)
{
    static report r;
    (void)state;
    r.size = 0;
    report_head(&r);
    for (scenario_name s = BLACK_HOLE; s < SCENARIOS; s++) {
        report_section(&r, scenarios[s].what, "algorithm");
        for (unsigned a = 0; a < ALGORITHMS; a++)
            report_figures(&r, scenarios[s].name,
                           weir_balancer_algorithm_name((weir_balancer_algorithm)a), &found[s][a]);
    }
    report_section(&r, "What guards add to round robin", "guard");
    for (scenario_name s = BLACK_HOLE; s < SCENARIOS; s++) {
        report_figures(&r, scenarios[s].name, "none", &found[s][WEIR_ROUND_ROBIN]);
        for (size_t g = 0; g < GUARDED; g++)
            report_figures(&r, scenarios[s].name, guarded[g].name, &found_guarded[s][g]);
    }
    report_settle(&r, REPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_is_as_committed),
    };
    return cmocka_run_group_tests(tests, run_all, NULL);
}
