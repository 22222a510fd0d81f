/* What the tests of the configuration center share: a store in memory under it, another that
 * answers only when told, and what was told. */
#ifndef WEIR_TEST_CONFIG_FIXTURE_H
#define WEIR_TEST_CONFIG_FIXTURE_H

#include "support/fake_env.h"
#include <weir/config.h>
#include <weir/store.h>

#include <stdio.h>
#include <string.h>

#define MS     UINT64_C(1000000)
#define EVENTS 256

typedef struct seen_change {
    weir_config_event_kind kind;
    int code;
    uint64_t revision, version, old_version;
    char name[64], environment[64], label[64], rule[64], value[64], old[64];
    bool deleted;
} seen_change;

/* A write's end. */
typedef struct outcome {
    unsigned told;
    int code;
    bool succeeded;
    uint64_t revision, version, current;
    char current_value[64], name[64], message[160];
} outcome;

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_store_options store_options;
    weir_store *store;
    weir_kv kv; /* What the config stands on. */
    weir_config_options options;
    weir_config *config;
    seen_change changes[EVENTS];
    unsigned changed, synced, problems;
    int sync_code;
    bool pause; /* The watcher takes no more. */
    outcome last;
    weir_config_error error;
} fixture;

static fixture f;

static inline void copy_text(char *out, size_t room, weir_bytes bytes)
{
    size_t const size = bytes.size < room ? bytes.size : room - 1;
    if (size > 0)
        memcpy(out, bytes.data, size);
    out[size] = '\0';
}

static inline void on_sync(int code, void *user)
{
    fixture *const fix = user;
    fix->synced++;
    fix->sync_code = code;
}

static inline void on_problem(const weir_config_error *error, void *user)
{
    fixture *const fix = user;
    fix->problems++;
    fix->error = *error;
}

static inline void note_end(const weir_config_result *result, void *user)
{
    outcome *const out = user;
    out->told++;
    out->code = result->code;
    out->succeeded = result->succeeded;
    out->revision = result->revision;
    out->version = result->version;
    out->current = result->current.version;
    copy_text(out->current_value, sizeof out->current_value, result->current.value);
    copy_text(out->name, sizeof out->name, weir_bytes_of(result->error.name));
    copy_text(out->message, sizeof out->message, weir_bytes_of(result->error.message));
}

static inline bool note_change(const weir_config_event *event, void *user)
{
    fixture *const fix = user;
    seen_change *const seen = &fix->changes[fix->changed++ % EVENTS];
    *seen = (seen_change){.kind = event->kind,
                          .code = event->code,
                          .revision = event->revision,
                          .version = event->value.version,
                          .old_version = event->previous.version,
                          .deleted = event->value.deleted};
    if (event->kind == WEIR_CONFIG_OVER)
        return true;
    copy_text(seen->name, sizeof seen->name, weir_bytes_of(event->value.name));
    copy_text(seen->environment, sizeof seen->environment, weir_bytes_of(event->value.environment));
    copy_text(seen->label, sizeof seen->label, weir_bytes_of(event->value.label));
    copy_text(seen->rule, sizeof seen->rule, weir_bytes_of(event->rule));
    copy_text(seen->value, sizeof seen->value, event->value.value);
    copy_text(seen->old, sizeof seen->old, event->previous.value);
    return !fix->pause;
}

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 5000 * MS, .wall_ns = 9000 * MS, .random_step = 7}};
    f.env = fake_env_hooks(&f.fake);
    f.store_options = (weir_store_options)WEIR_STORE_OPTIONS_INIT;
    f.store_options.env = &f.env;
    f.options = (weir_config_options)WEIR_CONFIG_OPTIONS_INIT;
    f.options.kv = &f.kv;
    f.options.on_sync = on_sync;
    f.options.on_problem = on_problem;
    f.options.user = &f;
    f.options.env = &f.env;
    if (weir_store_create(&f.store, &f.store_options, NULL) != WEIR_OK)
        return -1;
    f.kv = weir_store_kv(f.store);
    return weir_config_create(&f.config, &f.options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_config_destroy(f.config);
    weir_store_destroy(f.store);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

/* The same keys, another view. */
static inline void recreate(void)
{
    weir_config_destroy(f.config);
    assert_int_equal(weir_config_create(&f.config, &f.options), WEIR_OK);
}

static inline void run_store(void)
{
    weir_task const task = weir_store_task(f.store);
    (void)task.run(task.self, f.fake.now_ns);
}

static inline void run_config(void)
{
    weir_task const task = weir_config_task(f.config);
    (void)task.run(task.self, f.fake.now_ns);
}

static inline void apply(const weir_config_change *changes, size_t count)
{
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_apply(f.config, changes, count, note_end, &f.last, &f.error),
                     WEIR_OK);
}

/* Returns the version that it became. */
static inline uint64_t set_in(const char *name, const char *environment, const char *label,
                              const char *value)
{
    weir_config_change const change = {.name = name,
                                       .environment = environment,
                                       .label = label,
                                       .value = weir_bytes_of(value)};
    apply(&change, 1);
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.code, WEIR_OK);
    return f.last.version;
}

static inline uint64_t set(const char *name, const char *value)
{
    return set_in(name, NULL, NULL, value);
}

static inline void delete (const char *name)
{
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_delete(f.config, name, note_end, &f.last), WEIR_OK);
    assert_int_equal(f.last.code, WEIR_OK);
}

static inline void assert_value_for(const weir_config_client *client, const char *name,
                                    const char *expected)
{
    char value[128];
    weir_config_info info;
    if (expected == NULL) {
        assert_int_equal(weir_config_get(f.config, name, client, value, sizeof value, &info),
                         WEIR_ENOTFOUND);
        return;
    }
    assert_int_equal(weir_config_get(f.config, name, client, value, sizeof value, &info), WEIR_OK);
    assert_string_equal(value, expected);
    assert_int_equal(info.size, strlen(expected));
}

static inline void assert_value(const char *name, const char *expected)
{
    assert_value_for(NULL, name, expected);
}

static inline weir_config_watcher *watch(const char *pattern, uint64_t revision)
{
    weir_config_watcher *watcher;
    weir_config_watch const asked = {.pattern = pattern,
                                     .revision = revision,
                                     .fn = note_change,
                                     .user = &f};
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_OK);
    return watcher;
}

static inline weir_config_status status(void)
{
    weir_config_status out;
    weir_config_get_status(f.config, &out);
    return out;
}

/* What etcdctl would do. */
static inline void put_raw(const char *key, const char *value)
{
    assert_int_equal(weir_store_put(f.store, weir_bytes_of(key), weir_bytes_of(value), 0, NULL),
                     WEIR_OK);
}

static inline void delete_raw(const char *key)
{
    weir_kv_keys const keys = {.key = weir_bytes_of(key)};
    assert_int_equal(weir_store_delete(f.store, &keys, NULL), WEIR_OK);
}

typedef struct raw_found {
    char value[256];
    uint64_t count;
} raw_found;

static inline bool note_raw(const weir_kv_pair *pair, void *user)
{
    raw_found *const found = user;
    copy_text(found->value, sizeof found->value, pair->value);
    found->count++;
    return true;
}

static inline raw_found raw(const char *key)
{
    raw_found found = {.count = 0};
    weir_kv_range const range = {.keys = {.key = weir_bytes_of(key)}};
    assert_int_equal(weir_store_read(f.store, &range, note_raw, &found, NULL, NULL), WEIR_OK);
    return found;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
