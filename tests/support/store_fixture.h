/* What the tests of the store share: a store in memory, and what it told. */
#ifndef WEIR_TEST_STORE_FIXTURE_H
#define WEIR_TEST_STORE_FIXTURE_H

#include "support/fake_env.h"
#include <weir/store.h>
#include <stdio.h>
#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_store_options options;
    weir_store *store;
    weir_kv kv;
    unsigned woken;
    /* Of the last result. */
    unsigned results;
    int code;
    uint64_t revision;
    bool succeeded;
    size_t op_count;
    uint64_t total;
    char text[512]; /* Pairs as "key=value " and, after a bar, those of the next operation. */
    weir_kv_lease_result lease;
    /* Of all watches: "+key=value@revision " or "-key@revision ", and codes. */
    char log[16384];
    unsigned batches;
    bool pause;
} fixture;

static fixture f;

static void on_wake(void *user)
{
    ((fixture *)user)->woken++;
}

static inline void create(void)
{
    f.options.env = &f.env;
    f.options.on_wake = on_wake;
    f.options.user = &f;
    assert_int_equal(weir_store_create(&f.store, &f.options, NULL), WEIR_OK);
    f.kv = weir_store_kv(f.store);
}

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1}, .options = WEIR_STORE_OPTIONS_INIT};
    f.env = fake_env_hooks(&f.fake);
    create();
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    weir_store_destroy(f.store);
    f.store = NULL;
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline void
append(char *text, size_t size, const char *format, ...)
{
    size_t const used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

static inline void append_pair(char *text, size_t size, const weir_kv_pair *pair)
{
    append(text, size, "%.*s=%.*s ", (int)pair->key.size, (const char *)pair->key.data,
           (int)pair->value.size, (const char *)pair->value.data);
}

static inline void on_result(const weir_kv_result *result, void *user)
{
    fixture *const to = user;
    to->results++;
    to->code = result->code;
    to->revision = result->revision;
    to->succeeded = result->succeeded;
    to->op_count = result->count;
    to->text[0] = 0;
    for (size_t i = 0; i < result->count; i++) {
        append(to->text, sizeof to->text, "%s", i > 0 ? "|" : "");
        to->total = result->results[i].total;
        for (size_t at = 0; at < result->results[i].count; at++)
            append_pair(to->text, sizeof to->text, &result->results[i].pairs[at]);
    }
}

static inline void on_lease(const weir_kv_lease_result *result, void *user)
{
    fixture *const to = user;
    to->results++;
    to->lease = *result;
}

static inline bool on_watch(const weir_kv_watch_event *event, void *user)
{
    fixture *const to = user;
    to->batches++;
    if (event->code != WEIR_OK)
        append(to->log, sizeof to->log, "!%d@%u ", event->code, (unsigned)event->revision);
    for (size_t i = 0; i < event->count; i++) {
        const weir_kv_pair *const pair = &event->events[i].pair;
        append(to->log, sizeof to->log, "%c%.*s", event->events[i].kind == WEIR_KV_PUT ? '+' : '-',
               (int)pair->key.size, (const char *)pair->key.data);
        if (event->events[i].kind == WEIR_KV_PUT)
            append(to->log, sizeof to->log, "=%.*s", (int)pair->value.size,
                   (const char *)pair->value.data);
        append(to->log, sizeof to->log, "@%u ", (unsigned)pair->mod_revision);
    }
    return !to->pause;
}

static inline uint64_t put(const char *key, const char *value)
{
    uint64_t revision;
    assert_int_equal(weir_store_put(f.store, weir_bytes_of(key), weir_bytes_of(value), 0,
                                    &revision),
                     WEIR_OK);
    return revision;
}

static inline weir_kv_keys one(const char *key)
{
    return (weir_kv_keys){weir_bytes_of(key), {NULL, 0}};
}

static inline weir_kv_keys between(const char *key, const char *end)
{
    return (weir_kv_keys){weir_bytes_of(key), weir_bytes_of(end)};
}

static inline weir_kv_keys all(void)
{
    return (weir_kv_keys){{"", 1}, {"", 1}};
}

static inline uint64_t delete_keys(weir_kv_keys keys)
{
    uint64_t deleted;
    assert_int_equal(weir_store_delete(f.store, &keys, &deleted), WEIR_OK);
    return deleted;
}

static inline bool append_visited(const weir_kv_pair *pair, void *user)
{
    append_pair(user, sizeof f.text, pair);
    return true;
}

/* What readers find, as "key=value ". */
static inline const char *read_keys(weir_kv_keys keys, uint64_t revision)
{
    weir_kv_range const range = {.keys = keys, .revision = revision};
    f.text[0] = 0;
    assert_int_equal(weir_store_read(f.store, &range, append_visited, f.text, NULL, &f.revision),
                     WEIR_OK);
    return f.text;
}

static inline uint64_t watch_from(weir_kv_keys keys, uint64_t revision)
{
    weir_kv_watch const watch = {.keys = keys, .revision = revision, .fn = on_watch, .user = &f};
    uint64_t id;
    assert_int_equal(f.kv.watch(f.kv.self, &watch, &id), WEIR_OK);
    return id;
}

static inline weir_kv_op put_op(const char *key, const char *value)
{
    return (weir_kv_op){.kind = WEIR_KV_PUT,
                        .range = {.keys = one(key)},
                        .value = weir_bytes_of(value)};
}

static inline uint64_t run_task(void)
{
    weir_task const task = weir_store_task(f.store);
    return task.run(task.self, f.fake.now_ns);
}

#endif
