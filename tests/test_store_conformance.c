/* The suite of every weir_kv on the embedded store: in memory, where all is told within the call,
 * and in a folder with group commit, where it is told later. */
#include "support/kv_suite.h"
#include "support/store_folder.h"
#include <weir/store.h>

static fake_env fake;
static weir_env env;
static weir_store *store;
static bool durable;

static int suite_setup(void **state)
{
    (void)state;
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    fake = (fake_env){.now_ns = 1};
    env = fake_env_hooks(&fake);
    options.env = &env;
    options.folder = durable ? store_folder_make() : NULL;
    assert_int_equal(weir_store_create(&store, &options, NULL), WEIR_OK);
    s.kv = weir_store_kv(store);
    return 0;
}

static int suite_teardown(void **state)
{
    (void)state;
    weir_store_destroy(store);
    if (durable)
        store_folder_remove();
    return fake.live == 0 && fake.live_bytes == 0 ? 0 : -1;
}

static void suite_pump(void)
{
    weir_task const task = weir_store_task(store);
    (void)task.run(task.self, fake.now_ns);
}

static void suite_pass_ms(uint64_t ms)
{
    fake_env_advance_ms(&fake, ms);
    suite_pump();
}

static int in_memory(void **state)
{
    (void)state;
    durable = false;
    return 0;
}

static int in_a_folder(void **state)
{
    (void)state;
    durable = true;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {SUITE_TESTS};
    int const failed = cmocka_run_group_tests_name("store in memory", tests, in_memory, NULL);
    return failed + cmocka_run_group_tests_name("store in a folder", tests, in_a_folder, NULL);
}
