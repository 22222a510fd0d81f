/* Addresses as text and as values. */
#include "support/fake_env.h"

#include <weir/address.h>

#include <string.h>

static void parses_what_it_formats(void **state)
{
    (void)state;
    static const struct {
        const char *text, *formatted, *ip;
        uint8_t family;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", 4, 8080},
        {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 4, 0},
        {"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", 4, 65535},
        {"localhost:80", "127.0.0.1:80", "127.0.0.1", 4, 80},
        {"[::1]:443", "[::1]:443", "::1", 6, 443},
        {"[2001:DB8:0:0:0:0:0:1]:1", "[2001:db8::1]:1", "2001:db8::1", 6, 1},
        {"[::ffff:192.0.2.1]:9", "[::ffff:192.0.2.1]:9", "::ffff:192.0.2.1", 6, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_address address;
        char text[WEIR_ADDRESS_TEXT_SIZE];
        assert_int_equal(weir_address_parse(&address, cases[i].text), WEIR_OK);
        assert_int_equal(address.family, cases[i].family);
        assert_int_equal(address.port, cases[i].port);
        weir_address_format(&address, text);
        assert_string_equal(text, cases[i].formatted);
        weir_address_format_ip(&address, text);
        assert_string_equal(text, cases[i].ip);
    }
}

static void refuses_what_is_no_numeric_address(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        ":",
                                        ":80",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:8o",
                                        "127.0.0.1: 80",
                                        "127.0.0:80",
                                        "256.0.0.1:80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1:80",
                                        "::1]:80",
                                        "[]:80",
                                        "[127.0.0.1]:80",
                                        "[localhost]:80",
                                        "example.org:80",
                                        "[::1%lo]:80",
                                        "1111111111111111111111111111111111111111111111:80"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weir_address address = {.family = 77};
        assert_int_equal(weir_address_parse(&address, texts[i]), WEIR_EINVAL);
        assert_int_equal(address.family, 77);
    }
    weir_address address;
    assert_int_equal(weir_address_parse(&address, NULL), WEIR_EINVAL);
}

static void formats_the_longest_address_within_its_room(void **state)
{
    (void)state;
    weir_address address = {.family = 6, .port = 65535};
    memset(address.ip, 0xff, sizeof address.ip);
    char text[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&address, text);
    assert_string_equal(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_it_formats),
        cmocka_unit_test(refuses_what_is_no_numeric_address),
        cmocka_unit_test(formats_the_longest_address_within_its_room),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
