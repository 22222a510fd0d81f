/* What the tests of the registry share: a store, a slow way to it, a registry, a clock that moves
 * from one due time to the next, and a watch that remembers. */
#ifndef WEIR_TEST_REGISTRY_FIXTURE_H
#define WEIR_TEST_REGISTRY_FIXTURE_H

#include "support/fake_env.h"
#include "support/slow_kv.h"
#include <weir/registry.h>
#include <weir/store.h>

#include <stdio.h>
#include <string.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define EVENTS 512

typedef struct seen_event {
    weir_registry_event_kind kind;
    uint64_t revision;
    char service[32], id[32];
    weir_instance_status status, before; /* Effective; UNKNOWN = no instance. */
} seen_event;

/* A watch, and what it was told. */
typedef struct listener {
    weir_registry_watch *watch;
    seen_event events[EVENTS];
    unsigned told;
    unsigned pause_at; /* Pauses with the n-th event; 0 = never. */
    unsigned stop_at;  /* Stops itself with it. */
} listener;

typedef struct fixture {
    fake_env store_fake, fake; /* Clocks go together; memory fails apart. */
    weir_env env;
    weir_store *store;
    slow_kv slow;
    weir_kv kv;
    weir_registry_options options;
    weir_registry *registry;
    weir_instance instance;
    unsigned wakes;
    weir_registry_result result; /* Of the last change. */
    unsigned done;
} fixture;

static fixture f;

static inline void wake(void *user)
{
    ((fixture *)user)->wakes++;
}

static inline void remember_result(const weir_registry_result *result, void *user)
{
    fixture *const fix = user;
    fix->result = *result;
    fix->done++;
}

/* Quick: everything comes at once. */
static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.store_fake = {.now_ns = 1000 * SECOND, .wall_ns = 5000 * SECOND}};
    f.fake = f.store_fake;
    f.fake.random_step = 1;
    weir_env const store_env = fake_env_hooks(&f.store_fake);
    f.env = fake_env_hooks(&f.fake);
    weir_store_options store_options = WEIR_STORE_OPTIONS_INIT;
    store_options.env = &store_env;
    if (weir_store_create(&f.store, &store_options, NULL) != WEIR_OK)
        return -1;
    f.slow = (slow_kv){.under = weir_store_kv(f.store), .quick = true};
    f.kv = slow_kv_of(&f.slow);
    f.options = (weir_registry_options)WEIR_REGISTRY_OPTIONS_INIT;
    f.options.kv = &f.kv;
    f.options.on_wake = wake;
    f.options.user = &f;
    f.options.env = &f.env;
    f.instance = (weir_instance)WEIR_INSTANCE_INIT;
    f.instance.service = "orders";
    f.instance.host = "10.0.0.1";
    f.instance.port = 8080;
    return weir_registry_create(&f.registry, &f.options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_registry_destroy(f.registry);
    slow_kv_drain(&f.slow);
    weir_store_destroy(f.store);
    return f.fake.live == 0 && f.fake.live_bytes == 0 && f.store_fake.live == 0 ? 0 : -1;
}

static inline void recreate(void)
{
    weir_registry_destroy(f.registry);
    assert_int_equal(weir_registry_create(&f.registry, &f.options), WEIR_OK);
}

static inline int register_code(const char *id)
{
    f.instance.id = id;
    f.done = 0;
    int const code = weir_registry_register(f.registry, &f.instance, remember_result, &f);
    if (code != WEIR_OK)
        return code;
    slow_kv_drain(&f.slow);
    assert_int_equal(f.done, 1);
    return f.result.code;
}

static inline void enter(const char *id)
{
    assert_int_equal(register_code(id), WEIR_OK);
}

/* What became of a change that was begun with remember_result. */
static inline int result_of(int code)
{
    if (code == WEIR_OK)
        slow_kv_drain(&f.slow);
    return code != WEIR_OK ? code : f.result.code;
}

static inline int leave(const char *id)
{
    return result_of(weir_registry_deregister(f.registry, "orders", id, remember_result, &f));
}

static inline int beat(const char *id)
{
    return weir_registry_heartbeat(f.registry, "orders", id);
}

static inline void advance_to(uint64_t now_ns)
{
    f.fake.now_ns = f.store_fake.now_ns = now_ns;
}

static inline uint64_t run_task(void)
{
    weir_task const task = weir_registry_task(f.registry);
    return task.run(task.self, f.fake.now_ns);
}

/* What is asked for is answered at once, slow as it may be. */
static inline uint64_t run_and_answer(void)
{
    uint64_t next_ns = run_task();
    while (f.slow.count > 0) {
        slow_kv_drain(&f.slow);
        next_ns = run_task();
    }
    return next_ns;
}

/* The task is run whenever it wants to, for so long. */
static inline void pass_ms(uint64_t ms)
{
    uint64_t const end_ns = f.fake.now_ns + ms * MS;
    for (uint64_t next_ns; (next_ns = run_and_answer()) <= end_ns;)
        if (next_ns > f.fake.now_ns)
            advance_to(next_ns);
    advance_to(end_ns);
}

/* As many as are there, and who: "a b c". */
static inline const char *ids_of(const char *service, bool available)
{
    static char ids[4096];
    weir_registry_view view;
    weir_registry_begin(f.registry, service, &view);
    size_t const count = available ? view.available_count : view.count;
    ids[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(ids, i > 0 ? " " : "");
        strcat(ids, (available ? view.available : view.instances)[i]->id);
    }
    weir_registry_end(&view);
    return ids;
}

#define assert_there(expected)     assert_string_equal(ids_of("orders", false), expected)
#define assert_available(expected) assert_string_equal(ids_of("orders", true), expected)

static inline weir_registry_stats stats_now(void)
{
    weir_registry_stats stats;
    weir_registry_get_stats(f.registry, &stats);
    return stats;
}

static inline bool listen_to(const weir_registry_event *event, void *user)
{
    listener *const self = user;
    seen_event *const seen = &self->events[self->told++ % EVENTS];
    *seen = (seen_event){.kind = event->kind, .revision = event->revision};
    (void)strncpy(seen->service, event->service, sizeof seen->service - 1);
    (void)strncpy(seen->id, event->id, sizeof seen->id - 1);
    if (event->instance != NULL)
        seen->status = weir_instance_effective(event->instance);
    if (event->previous != NULL)
        seen->before = weir_instance_effective(event->previous);
    if (self->told == self->stop_at) {
        weir_registry_watch_stop(self->watch);
        self->watch = NULL;
    }
    return self->told != self->pause_at;
}

static inline void watch_from(listener *self, const char *service, uint64_t revision)
{
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    options.service = service;
    options.revision = revision;
    options.fn = listen_to;
    options.user = self;
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &self->watch), WEIR_OK);
    slow_kv_drain(&f.slow);
}

/* All that was told, in words: "resync listed:a synced". */
static inline const char *story_of(const listener *self)
{
    static char story[8192];
    story[0] = '\0';
    for (unsigned i = 0; i < self->told; i++) {
        const seen_event *const seen = &self->events[i % EVENTS];
        strcat(story, i > 0 ? " " : "");
        strcat(story, weir_registry_event_name(seen->kind));
        strcat(story, seen->id[0] != '\0' ? ":" : "");
        strcat(story, seen->id);
    }
    return story;
}

/* The store's task, too: expiry of marks, watches that fell behind. */
static inline void run_store(void)
{
    weir_task const task = weir_store_task(f.store);
    (void)task.run(task.self, f.fake.now_ns);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
