/* One thread writes, others read: what they see is whole, never older than what they saw, and
 * every name is found while the tables grow under them. */
#include "support/fake_env.h"

#include <weir/config.h>
#include <weir/store.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define READERS 3
#define NAMES   64
#define WRITES  1500

static weir_config *config;
static atomic_bool over;
static atomic_uint written[NAMES]; /* The version that was acknowledged. */
static atomic_uint grown;          /* Names of the growing kind that are there. */

/* A value says its version over and over: a torn read would show. */
static void write_value(char *out, size_t room, unsigned version)
{
    size_t used = 0;
    for (unsigned i = 0; i < 3 + version % 5; i++)
        used += (size_t)snprintf(out + used, room - used, "%u ", version);
}

static void check_value(const char *value, uint64_t version)
{
    char expected[128];
    write_value(expected, sizeof expected, (unsigned)version);
    assert_string_equal(value, expected);
}

static void read_one(unsigned n, uint64_t *last)
{
    char name[32];
    char value[128];
    weir_config_info info;
    unsigned const least = atomic_load(&written[n]);
    (void)snprintf(name, sizeof name, "name-%u", n);
    int const code = weir_config_get(config, name, NULL, value, sizeof value, &info);
    if (code == WEIR_ENOTFOUND) {
        assert_int_equal(least, 0);
        return;
    }
    assert_int_equal(code, WEIR_OK);
    check_value(value, info.version);
    assert_true(info.version >= least && info.version >= last[n]);
    last[n] = info.version;
}

static bool look(const char *name, weir_bytes value, const weir_config_info *info, void *user)
{
    (void)name;
    assert_true(value.size > 0 && info->version > 0);
    ++*(unsigned *)user;
    return true;
}

static void *read_all(void *arg)
{
    uint64_t last[NAMES] = {0};
    unsigned n = *(const unsigned *)arg;
    unsigned rounds = 0;
    while (!atomic_load(&over)) {
        char name[32];
        n = (n * 5 + 3) % NAMES;
        read_one(n, last);
        unsigned const there = atomic_load(&grown);
        if (there > 0) {
            (void)snprintf(name, sizeof name, "grow-%u", (n * 977 + rounds) % there);
            int code;
            assert_int_equal(weir_config_get_i64(config, name, NULL, -1, &code), 7);
            assert_int_equal(code, WEIR_OK);
        }
        unsigned visited = 0;
        if (++rounds % 512 == 0) {
            weir_config_visit(config, NULL, NULL, look, &visited);
            assert_true(visited >= there);
        }
    }
    return NULL;
}

static void note_done(const weir_config_result *result, void *user)
{
    assert_int_equal(result->code, WEIR_OK);
    atomic_store((atomic_uint *)user, (unsigned)result->version);
}

static void write_all(void)
{
    for (unsigned i = 0; i < WRITES; i++) {
        unsigned const n = (i * 7) % NAMES;
        char name[32];
        char value[128];
        (void)snprintf(name, sizeof name, "name-%u", n);
        write_value(value, sizeof value, atomic_load(&written[n]) + 1);
        assert_int_equal(weir_config_set(config, name, value, note_done, &written[n], NULL),
                         WEIR_OK);
        (void)snprintf(name, sizeof name, "grow-%u", i);
        assert_int_equal(weir_config_set(config, name, "7", NULL, NULL, NULL), WEIR_OK);
        atomic_store(&grown, i + 1);
    }
}

static void readers_see_whole_values_that_never_go_back(void **state)
{
    (void)state;
    weir_store *store;
    pthread_t threads[READERS];
    unsigned numbers[READERS];
    weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
    options.history = 1;
    assert_int_equal(weir_store_create(&store, NULL, NULL), WEIR_OK);
    weir_kv const kv = weir_store_kv(store);
    options.kv = &kv;
    assert_int_equal(weir_config_create(&config, &options), WEIR_OK);
    for (unsigned i = 0; i < READERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &numbers[i]), 0);
    }
    write_all();
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    uint64_t total = 0;
    for (unsigned i = 0; i < NAMES; i++)
        total += atomic_load(&written[i]);
    assert_int_equal(total, WRITES); /* Each write was one version. */
    weir_config_status status;
    weir_config_get_status(config, &status);
    assert_int_equal(status.names, NAMES + WRITES);
    weir_task const task = weir_config_task(config);
    (void)task.run(task.self, 0); /* Nobody reads: what was replaced goes. */
    weir_config_destroy(config);
    weir_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_values_that_never_go_back),
    };
    return cmocka_run_group_tests_name("config_stress", tests, NULL, NULL);
}
