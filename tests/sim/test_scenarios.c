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
    w->balancer.decay_ns = (5 + (uint64_t)second) * 1000 * MS;
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

/* What a service has around its balancer; and those that each is tried with. */
static const struct {
    const char *name;
    unsigned guards;
} guarded[] = {
    {"breaker", GUARD_BREAKER},
    {"outlier", GUARD_OUTLIER},
    {"retry", GUARD_RETRY},
    {"all", GUARD_BREAKER | GUARD_OUTLIER | GUARD_RETRY},
};
static const weir_balancer_algorithm bare[] = {WEIR_ROUND_ROBIN, WEIR_LEAST_CONNECTIONS};
static const scenario_name troubles[] = {BLACK_HOLE, FAST_FAILURES, SLOWDOWN, FLAP, ZONE_LOSS};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static figures found[SCENARIOS][ALGORITHMS];
static figures found_guarded[LENGTH(bare)][SCENARIOS][LENGTH(guarded)];

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
    }
    for (size_t b = 0; b < LENGTH(bare); b++) {
        for (size_t t = 0; t < LENGTH(troubles); t++) {
            for (size_t g = 0; g < LENGTH(guarded); g++)
                found_guarded[b][troubles[t]][g] = run(troubles[t], bare[b], guarded[g].guards);
        }
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

static void report_guarded(report *r, size_t b)
{
    char what[80];
    (void)snprintf(what, sizeof what, "What guards add to %s",
                   weir_balancer_algorithm_name(bare[b]));
    report_section(r, what, "guard");
    for (size_t t = 0; t < LENGTH(troubles); t++) {
        scenario_name const s = troubles[t];
        report_figures(r, scenarios[s].name, "none", &found[s][bare[b]]);
        for (size_t g = 0; g < LENGTH(guarded); g++)
            report_figures(r, scenarios[s].name, guarded[g].name, &found_guarded[b][s][g]);
    }
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
    for (size_t b = 0; b < LENGTH(bare); b++)
        report_guarded(&r, b);
    report_settle(&r, REPORT);
}

/* ---- Bounds ---- */

static const weir_balancer_algorithm turns[] = {WEIR_ROUND_ROBIN, WEIR_SMOOTH_WEIGHTED,
                                                WEIR_EARLIEST_DEADLINE, WEIR_STATIC_STRIDE};
static const weir_balancer_algorithm watchful[] = {WEIR_LEAST_REQUEST, WEIR_LEAST_CONNECTIONS,
                                                   WEIR_PEAK_EWMA, WEIR_LOCALITY_AWARE};
static const weir_balancer_algorithm learning[] = {WEIR_PEAK_EWMA, WEIR_LOCALITY_AWARE};

static void expect(bool holds, const char *what, scenario_name s, unsigned a)
{
    if (!holds)
        fail_msg("%s with %s: %s", scenarios[s].name,
                 weir_balancer_algorithm_name((weir_balancer_algorithm)a), what);
}

#define EXPECT(condition, s, a) expect(condition, #condition, s, a)

static void every_call_ends_and_none_stays_in_flight(void **state)
{
    (void)state;
    for (scenario_name s = BLACK_HOLE; s < SCENARIOS; s++) {
        for (unsigned a = 0; a < ALGORITHMS; a++)
            EXPECT(found[s][a].ended == CALLS && found[s][a].in_flight == 0, s, a);
    }
    for (size_t b = 0; b < LENGTH(bare); b++) {
        for (size_t t = 0; t < LENGTH(troubles); t++) {
            for (size_t g = 0; g < LENGTH(guarded); g++) {
                const figures *const f = &found_guarded[b][troubles[t]][g];
                EXPECT(f->ended == CALLS && f->in_flight == 0, troubles[t], bare[b]);
            }
        }
    }
}

static void a_live_reload_loses_no_call(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ALGORITHMS; a++)
        EXPECT(found[LIVE_RELOAD][a].succeeded == CALLS, LIVE_RELOAD, a);
}

/* WEIR_FIRST fills one after the other: that is what it is for. */
static void no_member_is_above_twice_its_fair_share_in_a_rolling_deploy(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ALGORITHMS; a++) {
        EXPECT(found[ROLLING_DEPLOY][a].succeeded == CALLS, ROLLING_DEPLOY, a);
        EXPECT(found[ROLLING_DEPLOY][a].peak <= 20 || a == WEIR_FIRST, ROLLING_DEPLOY, a);
    }
}

/* An eighth of the calls of 10 s of 40 is 3.125 %; of 100 ms of each second, 1.25 %. */
static void who_takes_turns_loses_what_the_sick_member_gets(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(turns); i++) {
        EXPECT(found[BLACK_HOLE][turns[i]].success / 5 == 965 / 5, BLACK_HOLE, turns[i]);
        EXPECT(found[FAST_FAILURES][turns[i]].success / 5 == 965 / 5, FAST_FAILURES, turns[i]);
        EXPECT(found[FLAP][turns[i]].success / 5 == 985 / 5, FLAP, turns[i]);
    }
}

static void turns_are_even_whatever_happens(void **state)
{
    (void)state;
    for (scenario_name s = BLACK_HOLE; s < SCENARIOS; s++) {
        for (size_t i = 0; i < LENGTH(turns); i++)
            EXPECT(found[s][turns[i]].most == 10 && found[s][turns[i]].peak <= 11, s, turns[i]);
    }
}

/* ingress-nginx#9882, mosn#2274: a latency of 1 ms looks attractive to who does not see it fail. */
static void a_member_that_fails_fast_attracts_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(learning); i++) {
        EXPECT(found[FAST_FAILURES][learning[i]].sick <= 2, FAST_FAILURES, learning[i]);
        EXPECT(found[FAST_FAILURES][learning[i]].success >= 995, FAST_FAILURES, learning[i]);
    }
}

/* Who counts calls in flight alone sends it more; a breaker or an ejection mends that. */
static void a_guard_keeps_fast_failures_from_attracting_calls(void **state)
{
    (void)state;
    for (size_t b = 0; b < LENGTH(bare); b++) {
        for (size_t g = 0; g < LENGTH(guarded); g++) {
            const figures *const f = &found_guarded[b][FAST_FAILURES][g];
            EXPECT(guarded[g].guards == GUARD_RETRY || f->sick <= 3, FAST_FAILURES, bare[b]);
        }
    }
}

/* It holds a call for 250 ms, others for 20 ms. */
static void a_black_hole_gets_little(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(watchful); i++) {
        EXPECT(found[BLACK_HOLE][watchful[i]].sick <= 3, BLACK_HOLE, watchful[i]);
        EXPECT(found[BLACK_HOLE][watchful[i]].success >= 990, BLACK_HOLE, watchful[i]);
    }
}

static void a_slow_member_gets_little(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(watchful); i++)
        EXPECT(found[SLOWDOWN][watchful[i]].sick <= 5, SLOWDOWN, watchful[i]);
}

/* Peak EWMA waits until a cost of 1 s has decayed to what the others cost, at 10 s a factor e; the
 * others see at once that a member has nothing in flight. */
static void who_was_sick_comes_back(void **state)
{
    (void)state;
    for (scenario_name s = BLACK_HOLE; s <= SLOWDOWN; s++) {
        for (unsigned a = 0; a < ALGORITHMS; a++)
            EXPECT(found[s][a].heals_s >= 1 && (found[s][a].heals_s <= 10 || a == WEIR_PEAK_EWMA),
                   s, a);
    }
}

/* Lost are those of the 200 ms until it is noticed, and who was in flight: 0.55 % of 40 s. */
static void a_zone_that_is_lost_is_made_up_for(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ALGORITHMS; a++) {
        EXPECT(found[ZONE_LOSS][a].success >= 990, ZONE_LOSS, a);
        EXPECT(found[ZONE_LOSS][a].sick <= 1, ZONE_LOSS, a);
        EXPECT(found[ZONE_LOSS][a].heals_s >= 1 && found[ZONE_LOSS][a].heals_s <= 5, ZONE_LOSS, a);
    }
}

static void retries_make_up_for_any_one_member(void **state)
{
    (void)state;
    for (size_t b = 0; b < LENGTH(bare); b++) {
        for (size_t t = 0; t < LENGTH(troubles); t++) {
            for (size_t g = 0; g < LENGTH(guarded); g++) {
                bool const retried = (guarded[g].guards & GUARD_RETRY) != 0;
                unsigned const success = found_guarded[b][troubles[t]][g].success;
                EXPECT(!retried || success >= 998, troubles[t], bare[b]);
            }
        }
    }
}

static void the_same_seed_gives_the_same_figures(void **state)
{
    (void)state;
    static report once, twice;
    figures const again = run(BLACK_HOLE, WEIR_PEAK_EWMA, 0);
    report_figures(&once, "", "", &found[BLACK_HOLE][WEIR_PEAK_EWMA]);
    report_figures(&twice, "", "", &again);
    assert_string_equal(once.text, twice.text);
    assert_int_equal(again.succeeded, found[BLACK_HOLE][WEIR_PEAK_EWMA].succeeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_is_as_committed),
        cmocka_unit_test(every_call_ends_and_none_stays_in_flight),
        cmocka_unit_test(a_live_reload_loses_no_call),
        cmocka_unit_test(no_member_is_above_twice_its_fair_share_in_a_rolling_deploy),
        cmocka_unit_test(who_takes_turns_loses_what_the_sick_member_gets),
        cmocka_unit_test(turns_are_even_whatever_happens),
        cmocka_unit_test(a_member_that_fails_fast_attracts_nothing),
        cmocka_unit_test(a_guard_keeps_fast_failures_from_attracting_calls),
        cmocka_unit_test(a_black_hole_gets_little),
        cmocka_unit_test(a_slow_member_gets_little),
        cmocka_unit_test(who_was_sick_comes_back),
        cmocka_unit_test(a_zone_that_is_lost_is_made_up_for),
        cmocka_unit_test(retries_make_up_for_any_one_member),
        cmocka_unit_test(the_same_seed_gives_the_same_figures),
    };
    return cmocka_run_group_tests(tests, run_all, NULL);
}
