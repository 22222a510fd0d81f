/* Instances as text: read from what others send, and written for them. */
#include "support/fake_env.h"

#include <weir/registry.h>

#include <stdio.h>
#include <string.h>

#define FULL                                                                                       \
    "{\"status\":\"STARTING\",\"override\":\"DOWN\",\"draining\":true,\"host\":\"h\",\"port\":80," \
    "\"weight\":2,\"endpoints\":[{\"name\":\"grpc\",\"host\":\"g\",\"port\":90},"                  \
    "{\"name\":\"m\",\"port\":91}],\"metadata\":{\"team\":\"a\\\"b\",\"x\":\"\"},"                 \
    "\"version\":\"1.2\",\"zone\":\"z\",\"check_url\":\"u\",\"permanent\":true,\"renew_ms\":10,"   \
    "\"expire_ms\":20,\"stamp\":7,\"node\":\"n\"}"

static fake_env fake;
static weir_env env;
static weir_instance_error error;

static int setup(void **state)
{
    (void)state;
    fake = (fake_env){.now_ns = 1};
    env = fake_env_hooks(&fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fake.live == 0 && fake.live_bytes == 0 ? 0 : -1;
}

static int parse(weir_instance **out, const char *text)
{
    return weir_instance_parse(out, "s", "i", text, strlen(text), &env, &error);
}

static void append(const void *data, size_t size, void *user)
{
    (void)strncat(user, data, size);
}

static void what_is_read_is_written_the_same(void **state)
{
    (void)state;
    char text[1024] = "";
    weir_instance *instance;
    assert_int_equal(parse(&instance, FULL), WEIR_OK);
    assert_string_equal(instance->service, "s");
    assert_string_equal(instance->id, "i");
    assert_int_equal(instance->status, WEIR_INSTANCE_STARTING);
    assert_int_equal(instance->override, WEIR_INSTANCE_DOWN);
    assert_string_equal(instance->endpoints[0].host, "g");
    assert_string_equal(instance->endpoints[1].host, "h"); /* Its own. */
    assert_string_equal(instance->metadata[0].value, "a\"b");
    assert_int_equal(instance->expire_ms, 20);
    assert_int_equal(weir_instance_format(instance, &env, append, text), WEIR_OK);
    assert_string_equal(text, FULL);
    weir_instance_destroy(instance, &env);
    assert_int_equal(parse(&instance, " {\"other\":[1]} "), WEIR_OK);
    assert_int_equal(instance->status, WEIR_INSTANCE_UP);
    assert_int_equal(instance->weight, 1);
    assert_string_equal(instance->host, "");
    weir_instance_destroy(instance, &env);
    weir_instance_destroy(NULL, &env);
}

static void what_is_wrong_is_told_by_member_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field;
        int code;
        size_t line;
    } cases[] = {
        {"[]", "", WEIR_EPROTOCOL, 1},
        {"{\"port\":1,\n\"port\":x}", "port", WEIR_EPROTOCOL, 2},
        {"{\"port\":1,\n}", "", WEIR_EPROTOCOL, 2},
        {"{\n\n\"metadata\":{\"a\":1}}", "metadata", WEIR_EPROTOCOL, 3},
        {"{\"host\":\"a\\u0000b\"}", "host", WEIR_EPROTOCOL, 1},
        {"{\"metadata\":{\"a\":\"1\",\"a\":\"2\"}}", "metadata", WEIR_EINVAL, 0},
        {"{\"endpoints\":[{\"name\":\"\"}]}", "endpoints", WEIR_EINVAL, 0},
        {"{\"status\":\"UNKNOWN\"}", "status", WEIR_EINVAL, 0},
    };
    weir_instance *instance;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(&instance, cases[i].text), cases[i].code);
        assert_null(instance);
        assert_int_equal(error.code, cases[i].code);
        assert_string_equal(error.field, cases[i].field);
        assert_int_equal(error.line, cases[i].line);
        assert_true(error.message[0] != '\0');
    }
    assert_int_equal(weir_instance_parse(&instance, "a/b", "i", "{}", 2, &env, &error),
                     WEIR_EINVAL);
    assert_string_equal(error.field, "service");
    assert_int_equal(weir_instance_parse(&instance, "s", "", "{}", 2, &env, &error), WEIR_EINVAL);
    assert_string_equal(error.field, "id");
    assert_int_equal(weir_instance_parse(&instance, "s", NULL, "{}", 2, NULL, NULL), WEIR_EINVAL);
    static char large[4 * WEIR_REGISTRY_MAX_BYTES + 1];
    assert_int_equal(weir_instance_parse(&instance, "s", "i", large, sizeof large, &env, &error),
                     WEIR_ETOOLARGE);
    weir_env broken = WEIR_ENV_INIT;
    broken.struct_size = 1;
    assert_int_equal(weir_instance_parse(&instance, "s", "i", "{}", 2, &broken, &error),
                     WEIR_EINVAL);
    weir_instance const bare = WEIR_INSTANCE_INIT;
    assert_int_equal(weir_instance_format(&bare, &broken, append, NULL), WEIR_EINVAL);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    char text[1024] = "";
    weir_instance *instance;
    for (fake.fail_at = 1; parse(&instance, FULL) == WEIR_ENOMEM; fake.fail_at++) {
        assert_null(instance);
        assert_int_equal(error.code, WEIR_ENOMEM);
        assert_int_equal(fake.live, 0);
        fake.calls = 0;
    }
    assert_int_equal(fake.fail_at, 3);
    size_t const live = fake.live_bytes;
    fake.calls = 0;
    for (fake.fail_at = 1; weir_instance_format(instance, &env, append, text) == WEIR_ENOMEM;
         fake.fail_at++) {
        assert_int_equal(fake.live_bytes, live);
        assert_string_equal(text, "");
        fake.calls = 0;
    }
    assert_string_equal(text, FULL);
    weir_instance_destroy(instance, &env);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_read_is_written_the_same),
        TEST(what_is_wrong_is_told_by_member_and_line),
        TEST(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests_name("registry_text", tests, NULL, NULL);
}
