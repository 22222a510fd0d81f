/*
 * Two registries on one space, watches that pause and resume at random, history that is forgotten
 * at random, answers that come late. Beside them goes a model of who is there, written down
 * independently; at every quiet moment all four agree with it.
 */
#include "support/seeds.h"

#include "base/rng.h"
#include "support/slow_kv.h"

#include <weir/registry.h>
#include <weir/store.h>

#include <stdio.h>
#include <string.h>

#define MS       UINT64_C(1000000)
#define SECOND   (1000 * MS)
#define SERVICES 3
#define IDS      6
#define PLACES   (SERVICES * IDS)
#define NAME     16
#define STEPS    400
#define EXPIRE   (90 * SECOND)

typedef struct place {
    bool there, draining, permanent;
    weir_instance_status status, override;
    unsigned node;
    uint64_t stamp, gone_stamp; /* 0 = never left. */
    uint64_t beat_ns;
} place;

typedef struct world world;

/* What a watch has been told, put together again. */
typedef struct mirror {
    world *w;
    weir_registry_watch *watch;
    bool there[PLACES], draining[PLACES];
    weir_instance_status effective[PLACES];
    bool paused, listing;
    uint64_t revision, resyncs;
} mirror;

struct world {
    fake_env fake;
    weir__rng rng;
    weir_store *store;
    slow_kv slow;
    weir_registry *registries[2];
    mirror mirrors[2];
    place places[PLACES];
    int told; /* By the last change. */
};

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static void name_of(size_t at, char *service, char *id)
{
    (void)snprintf(service, NAME, "s%u", (unsigned)(at / IDS));
    (void)snprintf(id, NAME, "i%u", (unsigned)(at % IDS));
}

static size_t place_of(const char *service, const char *id)
{
    return (size_t)(service[1] - '0') * IDS + (size_t)(id[1] - '0');
}

static weir_instance_status effective_of(const place *p)
{
    bool const own = p->status == WEIR_INSTANCE_DOWN || p->status == WEIR_INSTANCE_STARTING ||
                     p->override == WEIR_INSTANCE_UNKNOWN;
    return own ? p->status : p->override;
}

static bool reflect(const weir_registry_event *event, void *user)
{
    mirror *const self = user;
    SEED_CHECK(!self->paused);
    SEED_CHECK(event->revision >= self->revision);
    self->revision = event->revision;
    if (event->kind == WEIR_REGISTRY_RESYNC) {
        memset(self->there, 0, sizeof self->there);
        self->listing = true;
        self->resyncs++;
    } else if (event->kind == WEIR_REGISTRY_SYNCED) {
        SEED_CHECK(self->listing);
        self->listing = false;
    } else {
        size_t const at = place_of(event->service, event->id);
        bool const appears =
            event->kind == WEIR_REGISTRY_REGISTERED || event->kind == WEIR_REGISTRY_LISTED;
        SEED_CHECK(self->there[at] != appears); /* Nothing was missed, nothing told twice. */
        SEED_CHECK(self->listing == (event->kind == WEIR_REGISTRY_LISTED));
        self->there[at] = event->instance != NULL;
        if (event->instance != NULL) {
            SEED_CHECK(event->kind != WEIR_REGISTRY_STATUS || event->previous == NULL ||
                       weir_instance_effective(event->instance) != self->effective[at] ||
                       event->instance->draining != self->draining[at]);
            self->effective[at] = weir_instance_effective(event->instance);
            self->draining[at] = event->instance->draining;
        }
    }
    self->paused = below(self->w, 8) == 0;
    return !self->paused;
}

static void hear(const weir_registry_result *result, void *user)
{
    ((world *)user)->told = result->code;
}

/* The task of the store and of both registries, and all answers. */
static void settle(world *w)
{
    weir_task const store = weir_store_task(w->store);
    for (int i = 0; i < 4; i++) {
        (void)store.run(store.self, w->fake.now_ns);
        slow_kv_drain(&w->slow);
        for (int r = 0; r < 2; r++) {
            weir_task const task = weir_registry_task(w->registries[r]);
            (void)task.run(task.self, w->fake.now_ns);
        }
    }
}

/* Leases end to the second: time passes in steps of one. */
static void let_pass(world *w, unsigned seconds)
{
    for (unsigned s = 0; s < seconds; s++) {
        w->fake.now_ns += SECOND;
        w->fake.wall_ns += SECOND;
        settle(w);
    }
    for (size_t at = 0; at < PLACES; at++) {
        place *const p = &w->places[at];
        if (p->there && !p->permanent && w->fake.now_ns - p->beat_ns >= EXPIRE)
            p->there = false;
    }
}

static void model_register(world *w, place *p, unsigned node, const weir_instance *given)
{
    bool const stale =
        (p->there && p->stamp > given->stamp) || (!p->there && p->gone_stamp >= given->stamp);
    SEED_CHECK(w->told == (stale ? WEIR_ESTALE : WEIR_OK));
    if (stale)
        return;
    bool const same = p->there && p->stamp == given->stamp;
    p->draining = given->draining || (same && p->draining);
    p->override = p->there ? p->override : WEIR_INSTANCE_UNKNOWN;
    p->there = true;
    p->gone_stamp = 0;
    p->status = given->status;
    p->permanent = given->permanent;
    p->stamp = given->stamp;
    p->node = node;
    p->beat_ns = w->fake.now_ns;
}

static void act_register(world *w, unsigned node, size_t at)
{
    char service[NAME], id[NAME];
    name_of(at, service, id);
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = service;
    instance.id = id;
    instance.status = (weir_instance_status)(1 + below(w, 4));
    instance.draining = below(w, 6) == 0;
    instance.permanent = below(w, 6) == 0;
    instance.stamp = 1 + below(w, 12);
    SEED_CHECK(weir_registry_register(w->registries[node], &instance, hear, w) == WEIR_OK);
    settle(w);
    model_register(w, &w->places[at], node, &instance);
}

static void act_change(world *w, unsigned node, size_t at, unsigned what)
{
    char service[NAME], id[NAME];
    weir_registry *const registry = w->registries[node];
    weir_instance_status const status = (weir_instance_status)(1 + below(w, 4));
    place *const p = &w->places[at];
    int code = WEIR_OK;
    name_of(at, service, id);
    if (what == 0)
        code = weir_registry_deregister(registry, service, id, hear, w);
    else if (what == 1)
        code = weir_registry_set_status(registry, service, id, status, hear, w);
    else if (what == 2)
        code = weir_registry_set_override(registry, service, id, status, hear, w);
    else
        code = weir_registry_drain(registry, service, id, what == 3, hear, w);
    SEED_CHECK(code == WEIR_OK);
    settle(w);
    SEED_CHECK(w->told == (p->there ? WEIR_OK : WEIR_ENOTFOUND));
    if (!p->there)
        return;
    if (what == 0) {
        p->there = false;
        p->gone_stamp = p->stamp;
    } else if (what == 1)
        p->status = status;
    else if (what == 2)
        p->override = status;
    else
        p->draining = what == 3;
}

static void act_beat(world *w, unsigned node, size_t at)
{
    char service[NAME], id[NAME];
    place *const p = &w->places[at];
    name_of(at, service, id);
    int const code = weir_registry_heartbeat(w->registries[node], service, id);
    bool const ours = p->there && (p->permanent || p->node == node);
    SEED_CHECK(code == (ours ? WEIR_OK : WEIR_ENOTFOUND));
    if (ours)
        p->beat_ns = w->fake.now_ns;
}

static void check_registry(world *w, weir_registry *registry)
{
    for (size_t s = 0; s < SERVICES; s++) {
        char service[NAME], id[NAME];
        weir_registry_view view;
        size_t count = 0, available = 0;
        (void)snprintf(service, sizeof service, "s%u", (unsigned)s);
        weir_registry_begin(registry, service, &view);
        SEED_CHECK(view.synced);
        for (size_t i = 0; i < IDS; i++) {
            const place *const p = &w->places[s * IDS + i];
            if (!p->there)
                continue;
            name_of(s * IDS + i, service, id);
            SEED_CHECK(count < view.count && strcmp(view.instances[count]->id, id) == 0);
            SEED_CHECK(view.instances[count]->stamp == p->stamp);
            SEED_CHECK(weir_instance_effective(view.instances[count]) == effective_of(p));
            count++;
            available += effective_of(p) == WEIR_INSTANCE_UP && !p->draining;
        }
        SEED_CHECK(view.count == count);
        SEED_CHECK(view.available_count == available);
        weir_registry_end(&view);
    }
}

static void check_mirror(world *w, mirror *self)
{
    while (self->paused) {
        self->paused = false;
        weir_registry_watch_resume(self->watch);
        settle(w);
    }
    SEED_CHECK(!self->listing);
    for (size_t at = 0; at < PLACES; at++) {
        const place *const p = &w->places[at];
        SEED_CHECK(self->there[at] == p->there);
        SEED_CHECK(!p->there || self->effective[at] == effective_of(p));
        SEED_CHECK(!p->there || self->draining[at] == p->draining);
    }
}

static void step(world *w)
{
    unsigned const node = (unsigned)below(w, 2);
    size_t const at = (size_t)below(w, PLACES);
    uint64_t const what = below(w, 20);
    if (what < 6)
        act_register(w, node, at);
    else if (what < 11)
        act_change(w, node, at, (unsigned)what - 6);
    else if (what < 16)
        act_beat(w, node, at);
    else if (what < 18)
        let_pass(w, 1 + (unsigned)below(w, 20));
    else if (what == 18)
        (void)!weir_store_compact(w->store, weir_store_revision(w->store));
    else
        w->slow.quick = below(w, 2) == 0;
}

static void begin(world *w, uint64_t seed)
{
    static const char *const nodes[] = {"left", "right"};
    weir_env const env = fake_env_hooks(&w->fake);
    weir__rng_seed(&w->rng, seed);
    weir_store_options store = WEIR_STORE_OPTIONS_INIT;
    store.env = &env;
    store.history = 20 + below(w, 200);
    SEED_CHECK(weir_store_create(&w->store, &store, NULL) == WEIR_OK);
    w->slow = (slow_kv){.under = weir_store_kv(w->store), .quick = true};
    weir_kv const kv = slow_kv_of(&w->slow);
    for (int i = 0; i < 2; i++) {
        weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
        options.kv = &kv;
        options.env = &env;
        options.node = nodes[i];
        options.mark_ms = 86400000;
        options.preserve_percent = 0;
        options.evict_percent = 100;
        SEED_CHECK(weir_registry_create(&w->registries[i], &options) == WEIR_OK);
        weir_registry_watch_options watch = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
        watch.fn = reflect;
        watch.user = &w->mirrors[i];
        w->mirrors[i].w = w;
        SEED_CHECK(weir_registry_watch_start(w->registries[i], &watch, &w->mirrors[i].watch) ==
                   WEIR_OK);
    }
}

static void everybody_agrees_with_the_model(uint64_t seed)
{
    static world w;
    w = (world){.fake = {.now_ns = 1000 * SECOND, .wall_ns = 5000 * SECOND, .random_step = 1}};
    begin(&w, seed);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&w);
        settle(&w);
        for (int r = 0; r < 2; r++)
            check_registry(&w, w.registries[r]);
        if (below(&w, 10) == 0)
            check_mirror(&w, &w.mirrors[below(&w, 2)]);
    }
    for (int r = 0; r < 2; r++)
        check_mirror(&w, &w.mirrors[r]);
    for (int r = 0; r < 2; r++)
        weir_registry_destroy(w.registries[r]);
    slow_kv_drain(&w.slow);
    weir_store_destroy(w.store);
    SEED_CHECK(w.fake.live == 0);
}

static void registries_watches_and_the_space_agree_in_every_world(void **state)
{
    (void)state;
    seeds_run(60, everybody_agrees_with_the_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registries_watches_and_the_space_agree_in_every_world),
    };
    return cmocka_run_group_tests_name("registry_sim", tests, NULL, NULL);
}
