/* What the tests of the mesh share: a store in memory, config and registry on it, the mesh on them,
 * and what it told. */
#ifndef WEIR_TEST_MESH_FIXTURE_H
#define WEIR_TEST_MESH_FIXTURE_H

#include "support/fake_env.h"
#include "support/slow_kv.h"
#include <weir/mesh.h>
#include <weir/store.h>

#include <stdio.h>
#include <string.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

typedef struct fixture {
    fake_env fake, store_fake; /* Clocks go together; memory fails apart. */
    weir_env env;
    weir_store *store;
    slow_kv slow; /* Before the registry. */
    weir_config *config;
    weir_registry *registry;
    weir_mesh_options options;
    weir_mesh *mesh;
    unsigned wakes, policies, members, problems, calls;
    char problem[512]; /* The last: its name, field and message. */
    const char *refused_address;
    weir_config_error error;
} fixture;

static fixture f;

/* What a test writes when it is told of something: name and value, once. */
static const char *answer_name, *answer_value;

static inline void answer(void);

static inline void on_event(const weir_mesh_event *event, void *user)
{
    (void)user;
    f.policies += event->kind == WEIR_MESH_POLICY;
    f.members += event->kind == WEIR_MESH_MEMBERS;
    f.problems += event->kind == WEIR_MESH_PROBLEM;
    if (event->kind == WEIR_MESH_PROBLEM)
        (void)snprintf(f.problem, sizeof f.problem, "%s|%s|%s", event->name, event->error->field,
                       event->error->message);
    answer();
}

static inline void on_wake(void *user)
{
    (void)user;
    f.wakes++;
}

static inline bool accept(const weir_instance *instance, const char *address, void *user)
{
    (void)instance;
    (void)user;
    return f.refused_address == NULL || strcmp(address, f.refused_address) != 0;
}

static inline int create_parts(void)
{
    weir_kv const kv = weir_store_kv(f.store);
    f.slow = (slow_kv){.under = kv, .quick = true};
    weir_kv const slow = slow_kv_of(&f.slow);
    weir_config_options config = WEIR_CONFIG_OPTIONS_INIT;
    config.kv = &kv;
    config.env = &f.env;
    config.client.environment = "prod";
    weir_registry_options registry = WEIR_REGISTRY_OPTIONS_INIT;
    registry.kv = &slow;
    registry.env = &f.env;
    int result = weir_config_create(&f.config, &config);
    return result == WEIR_OK ? weir_registry_create(&f.registry, &registry) : result;
}

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1000 * SECOND, .wall_ns = 5000 * SECOND, .random_step = 1}};
    f.store_fake = f.fake;
    f.env = fake_env_hooks(&f.fake);
    weir_env const store_env = fake_env_hooks(&f.store_fake);
    weir_store_options store = WEIR_STORE_OPTIONS_INIT;
    store.env = &store_env;
    if (weir_store_create(&f.store, &store, NULL) || create_parts())
        return -1;
    f.options = (weir_mesh_options)WEIR_MESH_OPTIONS_INIT;
    f.options.config = f.config;
    f.options.registry = f.registry;
    f.options.accept = accept;
    f.options.on_event = on_event;
    f.options.on_wake = on_wake;
    f.options.env = &f.env;
    return weir_mesh_create(&f.mesh, &f.options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_mesh_destroy(f.mesh);
    weir_registry_destroy(f.registry);
    weir_config_destroy(f.config);
    slow_kv_drain(&f.slow);
    weir_store_destroy(f.store);
    return f.fake.live == 0 && f.fake.live_bytes == 0 && f.store_fake.live == 0 ? 0 : -1;
}

static inline uint64_t run(void)
{
    weir_task const task = weir_mesh_task(f.mesh);
    return task.run(task.self, f.fake.now_ns);
}

static inline int try_set(const char *name, const char *value)
{
    return weir_config_set(f.config, name, value, NULL, NULL, &f.error);
}

static inline void answer(void)
{
    const char *const name = answer_name;
    answer_name = NULL;
    if (name != NULL)
        assert_int_equal(try_set(name, answer_value), WEIR_OK);
}

static inline void set(const char *name, const char *value)
{
    assert_int_equal(try_set(name, value), WEIR_OK);
}

/* As somebody else would, whom nobody checks. */
static inline void write_past_validators(const char *name, const char *value)
{
    char key[128], record[512];
    (void)snprintf(key, sizeof key, "config/%s", name);
    (void)snprintf(record, sizeof record, "v=1 ms=1\n%s", value);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of(key), weir_bytes_of(record), 0, NULL),
                     WEIR_OK);
}

static inline void enter(const char *service, const char *id, const char *host, uint32_t port)
{
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = service;
    instance.id = id;
    instance.host = host;
    instance.port = port;
    assert_int_equal(weir_registry_register(f.registry, &instance, NULL, NULL), WEIR_OK);
}

static inline void note_member(const weir_caller_member *member, void *user)
{
    char *const out = user;
    size_t const size = strlen(out);
    (void)snprintf(out + size, 512 - size, "%s%s=%s", size > 0 ? " " : "", member->member->id,
                   member->member->address);
}

/* "id=address" of each, in order. */
static inline const char *members_of(weir_caller *caller)
{
    static char out[512];
    out[0] = '\0';
    weir_caller_visit(caller, note_member, out);
    return out;
}

/* Begins a call and ends it so; the code of begin, and who was called. */
static inline int call(weir_caller *caller, weir_outcome outcome, char *who)
{
    weir_call c;
    weir_attempt attempt;
    weir_rejection rejection;
    int const result = weir_caller_begin(caller, &c, NULL, f.fake.now_ns, &attempt, &rejection);
    if (result != WEIR_OK)
        return result;
    if (who != NULL)
        (void)snprintf(who, 32, "%s", attempt.member->id);
    weir_attempt_result const ended = {.outcome = outcome};
    uint64_t at_ns;
    if (weir_caller_end(&c, &ended, f.fake.now_ns, &at_ns) == WEIR_CALL_RETRY)
        weir_caller_cancel(&c, f.fake.now_ns);
    return WEIR_OK;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
