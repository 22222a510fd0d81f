/* Fleets that register, drain, fall silent, expire and come back, while operators change policies
 * and members, and calls go on and on: after each run of the task every caller has the very members
 * and limits that a plain reading of config and registry gives, and no call under way is lost. */
#include "support/seeds.h"

#include <weir/mesh.h>
#include <weir/store.h>

#include <stdio.h>
#include <string.h>

#define SECOND   UINT64_C(1000000000)
#define SERVICES 3
#define IDS      6
#define CALLS    8
#define STEPS    300

static const char *const services[SERVICES] = {"orders", "users", "mail"};

/* What should be, in plain words. */
typedef struct model {
    bool registered[IDS], draining[IDS], well[IDS];
    bool fixed[IDS];  /* In the directive. */
    bool silent[IDS]; /* It sends no heartbeats. */
    uint64_t beat_ns[IDS];
    unsigned own_limit, limit; /* 0 = none; the one in force. */
} model;

typedef struct world {
    fake_env fake;
    weir_env env;
    weir_store *store;
    weir_config *config;
    weir_registry *registry;
    weir_mesh *mesh;
    weir_caller *callers[SERVICES];
    model models[SERVICES];
    unsigned all_limit; /* Of "_". */
    weir_call calls[CALLS];
    unsigned caller_of[CALLS];
    uint64_t begun, ended, admitted, random;
} world;

static uint64_t below(world *w, uint64_t bound)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % bound;
}

static void start(world *w, uint64_t seed)
{
    *w = (world){.fake = {.now_ns = 1000 * SECOND, .wall_ns = 9000 * SECOND, .random_step = 77},
                 .random = seed};
    w->env = fake_env_hooks(&w->fake);
    weir_store_options store = WEIR_STORE_OPTIONS_INIT;
    weir_config_options config = WEIR_CONFIG_OPTIONS_INIT;
    weir_registry_options registry = WEIR_REGISTRY_OPTIONS_INIT;
    weir_mesh_options mesh = WEIR_MESH_OPTIONS_INIT;
    store.env = config.env = registry.env = mesh.env = &w->env;
    SEED_CHECK(weir_store_create(&w->store, &store, NULL) == WEIR_OK);
    weir_kv const kv = weir_store_kv(w->store);
    config.kv = registry.kv = &kv;
    registry.preserve_percent = 0;
    registry.protect_percent = WEIR_REGISTRY_UNPROTECTED;
    registry.evict_percent = 100;
    SEED_CHECK(weir_config_create(&w->config, &config) == WEIR_OK);
    SEED_CHECK(weir_registry_create(&w->registry, &registry) == WEIR_OK);
    mesh.config = w->config;
    mesh.registry = w->registry;
    SEED_CHECK(weir_mesh_create(&w->mesh, &mesh) == WEIR_OK);
    for (unsigned i = 0; i < SERVICES; i++) {
        w->callers[i] = weir_mesh_caller(w->mesh, services[i]);
        SEED_CHECK(w->callers[i] != NULL);
    }
}

static void stop(world *w)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (w->calls[i].caller != NULL)
            weir_caller_cancel(&w->calls[i], w->fake.now_ns);
    for (unsigned i = 0; i < SERVICES; i++) {
        weir_caller_stats stats;
        weir_caller_get_stats(w->callers[i], &stats);
        w->admitted += stats.calls;
    }
    SEED_CHECK(w->admitted == w->begun);
    weir_mesh_destroy(w->mesh);
    weir_registry_destroy(w->registry);
    weir_config_destroy(w->config);
    weir_store_destroy(w->store);
    SEED_CHECK(w->fake.live == 0 && w->fake.live_bytes == 0);
}

/* ---- What happens ---- */

static void id_of(unsigned member, char *out)
{
    (void)snprintf(out, 8, "m%u", member);
}

static void fleet_changes(world *w)
{
    unsigned const s = (unsigned)below(w, SERVICES), m = (unsigned)below(w, IDS);
    model *const mine = &w->models[s];
    char id[8];
    id_of(m, id);
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = services[s];
    instance.id = id;
    instance.host = "10.0.0.1";
    instance.port = 1000 + m;
    instance.expire_ms = 3000;
    instance.renew_ms = 1000;
    w->fake.wall_ns += SECOND / 1000; /* No two registrations are of one millisecond. */
    mine->silent[m] = below(w, 3) == 0;
    switch (below(w, 5)) {
    case 0:
    case 1:
        SEED_CHECK(weir_registry_register(w->registry, &instance, NULL, NULL) == WEIR_OK);
        if (!mine->registered[m])
            mine->well[m] = true;
        mine->registered[m] = true;
        mine->draining[m] = false;
        mine->beat_ns[m] = w->fake.now_ns;
        break;
    case 2:
        SEED_CHECK(weir_registry_deregister(w->registry, services[s], id, NULL, NULL) == WEIR_OK);
        mine->registered[m] = false;
        break;
    case 3:
        SEED_CHECK(weir_registry_drain(w->registry, services[s], id, true, NULL, NULL) == WEIR_OK);
        mine->draining[m] = mine->draining[m] || mine->registered[m];
        break;
    default:
        mine->well[m] = below(w, 2) == 0;
        if (weir_registry_report_health(w->registry, services[s], id, mine->well[m]) != WEIR_OK)
            SEED_CHECK(!mine->registered[m]);
    }
}

static void set_limit(world *w, const char *service, unsigned limit)
{
    char name[64], value[64];
    (void)snprintf(name, sizeof name, "services/%s/limit", service);
    (void)snprintf(value, sizeof value, "%u/h burst=%u", limit, limit);
    if (limit == 0)
        SEED_CHECK(weir_config_delete(w->config, name, NULL, NULL) == WEIR_OK);
    else
        SEED_CHECK(weir_config_set(w->config, name, value, NULL, NULL, NULL) == WEIR_OK);
}

static void set_fixed(world *w, unsigned s)
{
    char name[64], value[256] = "";
    size_t size = 0;
    for (unsigned m = 0; m < IDS; m++) {
        w->models[s].fixed[m] = below(w, 4) == 0;
        if (w->models[s].fixed[m])
            size += (size_t)snprintf(value + size, sizeof value - size, "m%u 10.0.0.2:%u\n", m,
                                     2000 + m);
    }
    (void)snprintf(name, sizeof name, "services/%s/members", services[s]);
    SEED_CHECK(weir_config_set(w->config, name, value, NULL, NULL, NULL) == WEIR_OK);
}

static void operators_change(world *w)
{
    unsigned const s = (unsigned)below(w, SERVICES);
    weir_config_error error;
    switch (below(w, 4)) {
    case 0:
        w->models[s].own_limit = (unsigned)below(w, 3) * 7;
        set_limit(w, services[s], w->models[s].own_limit);
        break;
    case 1:
        w->all_limit = (unsigned)below(w, 3) * 11;
        set_limit(w, "_", w->all_limit);
        break;
    case 2: set_fixed(w, s); break;
    default: /* Refused, and nothing has changed. */
        SEED_CHECK(weir_config_set(w->config, "services/orders/limit", "no", NULL, NULL, &error) ==
                   WEIR_EINVAL);
    }
}

static void somebody_calls(world *w)
{
    unsigned const c = (unsigned)below(w, CALLS);
    weir_call *const call = &w->calls[c];
    if (call->caller != NULL) {
        weir_attempt_result const result = {.outcome = WEIR_SUCCESS};
        SEED_CHECK(weir_caller_end(call, &result, w->fake.now_ns, NULL) == WEIR_CALL_DONE);
        return;
    }
    weir_attempt attempt;
    w->caller_of[c] = (unsigned)below(w, SERVICES);
    if (weir_caller_begin(w->callers[w->caller_of[c]], call, NULL, w->fake.now_ns, &attempt,
                          NULL) == WEIR_OK)
        w->begun++;
}

/* ---- What must be ---- */

static void time_passes(world *w)
{
    weir_task const tasks[] = {weir_store_task(w->store), weir_config_task(w->config),
                               weir_registry_task(w->registry), weir_mesh_task(w->mesh)};
    char id[8];
    w->fake.now_ns += below(w, 3) * SECOND / 4;
    for (unsigned s = 0; s < SERVICES; s++)
        for (unsigned m = 0; m < IDS; m++) {
            id_of(m, id);
            if (below(w, 8) > 0 &&
                weir_registry_heartbeat_at(w->registry, services[s], id, w->fake.now_ns) == WEIR_OK)
                w->models[s].beat_ns[m] = w->fake.now_ns;
        }
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        (void)tasks[i].run(tasks[i].self, w->fake.now_ns);
}

static bool is_registered(const weir_registry_view *view, unsigned member)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->instances[i]->id[1] == (char)('0' + member))
            return true;
    return false;
}

/* Who was silent for its time is gone soon, and nobody else is. */
static void the_silent_expire(world *w)
{
    for (unsigned s = 0; s < SERVICES; s++) {
        model *const mine = &w->models[s];
        weir_registry_view view;
        weir_registry_begin(w->registry, services[s], &view);
        for (unsigned m = 0; m < IDS; m++) {
            uint64_t const silence_ns = w->fake.now_ns - mine->beat_ns[m];
            bool const there = is_registered(&view, m);
            SEED_CHECK(there == mine->registered[m] ||
                       (mine->registered[m] && silence_ns >= 3 * SECOND));
            SEED_CHECK(!there || silence_ns <= 5 * SECOND);
            mine->registered[m] = there;
        }
        weir_registry_end(&view);
    }
}

typedef struct expected {
    world *w;
    unsigned s;
    bool seen[IDS];
} expected;

static void expect_member(const weir_caller_member *member, void *user)
{
    expected *const e = user;
    const model *const mine = &e->w->models[e->s];
    unsigned const m = (unsigned)(member->member->id[1] - '0');
    char address[32];
    SEED_CHECK(m < IDS && !e->seen[m]);
    e->seen[m] = true;
    (void)snprintf(address, sizeof address, mine->fixed[m] ? "10.0.0.2:%u" : "10.0.0.1:%u",
                   (mine->fixed[m] ? 2000 : 1000) + m);
    SEED_CHECK(strcmp(member->member->address, address) == 0);
}

static void expect_all_in_force(world *w)
{
    for (unsigned s = 0; s < SERVICES; s++) {
        model *const mine = &w->models[s];
        expected e = {.w = w, .s = s};
        weir_caller_visit(w->callers[s], expect_member, &e);
        for (unsigned m = 0; m < IDS; m++)
            SEED_CHECK(e.seen[m] == (mine->fixed[m] ||
                                     (mine->registered[m] && !mine->draining[m] && mine->well[m])));
        unsigned const limit = mine->own_limit > 0 ? mine->own_limit : w->all_limit;
        weir_limiter_stats stats;
        weir_caller_get_limit(w->callers[s], w->fake.now_ns, &stats);
        SEED_CHECK(limit == 0 ? stats.remaining == UINT64_MAX : stats.remaining <= limit);
        mine->limit = limit;
    }
}

static void policies_and_members_are_what_is_written_and_who_is_there(uint64_t seed)
{
    world w;
    start(&w, seed);
    for (unsigned step = 0; step < STEPS; step++) {
        switch (below(&w, 4)) {
        case 0: fleet_changes(&w); break;
        case 1: operators_change(&w); break;
        default: somebody_calls(&w);
        }
        if (below(&w, 3) == 0) {
            time_passes(&w);
            the_silent_expire(&w);
            expect_all_in_force(&w);
        }
    }
    stop(&w);
}

static void in_all_worlds(void **state)
{
    (void)state;
    seeds_run(300, policies_and_members_are_what_is_written_and_who_is_there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_all_worlds)};
    return cmocka_run_group_tests_name("mesh_sim", tests, NULL, NULL);
}
