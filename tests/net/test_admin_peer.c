#include "admin/admin.h"

#include "support/fake_env.h"

#include <stdio.h>

static bool is_local(const char *ip)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];
    weir_address address;
    (void)snprintf(text, sizeof text, "%s:1", ip);
    assert_int_equal(weir_address_parse(&address, text), WEIR_OK);
    return weir__admin_is_local(&address);
}

static void this_machine_is_told_by_its_address(void **state)
{
    (void)state;
    assert_true(is_local("127.0.0.1"));
    assert_true(is_local("127.255.255.254"));
    assert_true(is_local("[::1]"));
    assert_true(is_local("[::ffff:127.0.0.1]"));
    assert_true(is_local("[::ffff:127.9.9.9]"));
    assert_false(is_local("126.255.255.255"));
    assert_false(is_local("128.0.0.1"));
    assert_false(is_local("10.0.0.1"));
    assert_false(is_local("0.0.0.0"));
    assert_false(is_local("[::]"));
    assert_false(is_local("[::2]"));
    assert_false(is_local("[1::1]"));
    assert_false(is_local("[::7f00:1]"));
    assert_false(is_local("[::ffff:126.0.0.1]"));
    assert_false(is_local("[1::ffff:127.0.0.1]"));
    assert_false(is_local("[7f00::1]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_is_told_by_its_address),
    };
    return cmocka_run_group_tests_name("admin_peer", tests, NULL, NULL);
}
