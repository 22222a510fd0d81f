/* XXH64: published vectors. */
#include "support/fake_env.h"

#include "base/xxhash.h"

#include <string.h>

/* Of xxHash's sanity check: bytes from a generator of its own, with the seeds 0 and 2654435761. */
static void hashes_as_the_reference_does(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint64_t unseeded, seeded;
    } vectors[] = {
        {0, UINT64_C(0xef46db3751d8e999), UINT64_C(0xac75fda2929b17ef)},
        {1, UINT64_C(0xe934a84adb052768), UINT64_C(0x5014607643a9b4c3)},
        {4, UINT64_C(0x9136a0dca57457ee), UINT64_C(0xcaab286bd8e9fdb5)},
        {14, UINT64_C(0x8282dcc4994e35c8), UINT64_C(0xc3bd6bf63deb6df0)},
        {222, UINT64_C(0xb641ae8cb691c174), UINT64_C(0x20cb8ab7ae10c14a)},
    };
    uint64_t const prime = 2654435761;
    unsigned char bytes[222];
    uint64_t next = prime;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(next >> 56);
        next *= UINT64_C(11400714785074694797);
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_true(weir__xxhash64(bytes, vectors[i].size, 0) == vectors[i].unseeded);
        assert_true(weir__xxhash64(bytes, vectors[i].size, prime) == vectors[i].seeded);
    }
}

/* Texts below, at and above a stripe of 32 bytes, made by others with python-xxhash. */
static void hashes_texts_of_all_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        const char *text;
        uint64_t hash;
    } vectors[] = {
        {0, "", UINT64_C(0xef46db3751d8e999)},
        {0, "a", UINT64_C(0xd24ec4f1a98c6e5b)},
        {0, "abc", UINT64_C(0x44bc2cf5ad770999)},
        {0, "1234", UINT64_C(0xd8316e61d84f6ba4)},
        {0, "12345678", UINT64_C(0xd2d02f08cf7cfd4a)},
        {0, "123456789012345", UINT64_C(0xc377d78ade001a3c)},
        {0, "1234567890123456", UINT64_C(0xb61c33dc6c59f270)},
        {0, "1234567890123456789012345678901", UINT64_C(0x8f367cb873a5376e)},
        {0, "12345678901234567890123456789012", UINT64_C(0x40fd1aa52d98274c)},
        {0, "The quick brown fox jumps over the lazy dog", UINT64_C(0x0b242d361fda71bc)},
        {5381, "", UINT64_C(0xaf382146d5c3cacf)},
        {5381, "abc", UINT64_C(0x19d1c1b5c673451f)},
        {5381, "12345678901234567890123456789012", UINT64_C(0x38ea26e7c55f8095)},
        {0xcafe, "this is a test", UINT64_C(0x4228c3215949e862)},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_true(weir__xxhash64(vectors[i].text, strlen(vectors[i].text), vectors[i].seed) ==
                    vectors[i].hash);
}

static void alignment_makes_no_difference(void **state)
{
    (void)state;
    char room[43 + 8];
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(room + shift, "The quick brown fox jumps over the lazy dog", 43);
        assert_true(weir__xxhash64(room + shift, 43, 0) == UINT64_C(0x0b242d361fda71bc));
    }
}

static void nothing_can_be_hashed(void **state)
{
    (void)state;
    assert_true(weir__xxhash64(NULL, 0, 0) == UINT64_C(0xef46db3751d8e999));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_as_the_reference_does),
        cmocka_unit_test(hashes_texts_of_all_sizes),
        cmocka_unit_test(alignment_makes_no_difference),
        cmocka_unit_test(nothing_can_be_hashed),
    };
    return cmocka_run_group_tests_name("xxhash", tests, NULL, NULL);
}
