/* CRC-32C against RFC 3720, appendix B.4 (its bytes are the sum's, lowest first). */
#include "base/crc32c.h"
#include "support/fake_env.h"
#include <string.h>

static void it_gives_the_sums_of_rfc_3720(void **state)
{
    (void)state;
    unsigned char bytes[48];
    memset(bytes, 0, 32);
    assert_int_equal(weir__crc32c(0, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    assert_int_equal(weir__crc32c(0, bytes, 32), 0x62A8AB43);
    for (unsigned char i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(weir__crc32c(0, bytes, 32), 0x46DD794E);
    for (unsigned char i = 0; i < 32; i++)
        bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(weir__crc32c(0, bytes, 32), 0x113FDB5C);
    static const unsigned char read_10[48] = {0x01, 0xC0, 0,    0, 0, 0, 0,    0,    0, 0,
                                              0,    0,    0,    0, 0, 0, 0x14, 0,    0, 0,
                                              0,    0,    0x04, 0, 0, 0, 0,    0x14, 0, 0,
                                              0,    0x18, 0x28, 0, 0, 0, 0,    0,    0, 0,
                                              0x02, 0,    0,    0, 0, 0, 0,    0};
    assert_int_equal(weir__crc32c(0, read_10, 48), 0xD9963A56);
}

static void nothing_sums_to_0_and_nine_digits_to_the_catalogues_check(void **state)
{
    (void)state;
    assert_int_equal(weir__crc32c(0, NULL, 0), 0);
    assert_int_equal(weir__crc32c(0, "123456789", 9), 0xE3069283); /* CRC RevEng. */
}

static void sums_are_chained(void **state)
{
    (void)state;
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    uint32_t const whole = weir__crc32c(0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++)
        assert_int_equal(weir__crc32c(weir__crc32c(0, text, cut), text + cut, sizeof text - cut),
                         whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_the_sums_of_rfc_3720),
        cmocka_unit_test(nothing_sums_to_0_and_nine_digits_to_the_catalogues_check),
        cmocka_unit_test(sums_are_chained),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
