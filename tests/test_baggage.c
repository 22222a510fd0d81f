/* W3C Baggage: the examples and rules of its text. */
#include "support/fake_env.h"
#include "support/fields.h"

static fields f;
static char out[WEIR_BAGGAGE_SIZE];

static int extract(const char *first, const char *second)
{
    f.count = 0;
    weir_carrier const carrier = fields_carrier(&f);
    if (first != NULL)
        fields_add(&f, "baggage", first);
    if (second != NULL)
        fields_add(&f, "baggage", second);
    return weir_baggage_extract(&carrier, out);
}

static void assert_extracted(const char *first, const char *second, const char *expected)
{
    assert_int_equal(extract(first, second), expected[0] != '\0' ? WEIR_OK : WEIR_ENOTFOUND);
    assert_string_equal(out, expected);
}

static void members_are_joined_in_order_without_blanks(void **state)
{
    (void)state;
    assert_extracted("key1=value1;property1;property2, key2 = value2, key3=value3; k=v", NULL,
                     "key1=value1;property1;property2,key2=value2,key3=value3;k=v");
    assert_extracted("userId=alice", "serverNode=DF%2028,isProduction=false",
                     "userId=alice,serverNode=DF%2028,isProduction=false");
    assert_extracted("\t a \t=\t 1 \t,,b=2=3=, c=", NULL, "a=1,b=2=3=,c=");
    assert_extracted(NULL, NULL, "");
    assert_extracted(" , ", NULL, "");
}

static void a_malformed_member_is_left_out_alone(void **state)
{
    (void)state;
    assert_extracted("a=1,no value,b=2", NULL, "a=1,b=2");
    assert_extracted("=1,a b=2,c(=3,d=4", NULL, "d=4");
    assert_extracted("a=\"quoted\",b=x\\y,c=x y,d=\xC3\xA9,e=5", NULL, "e=5");
    assert_extracted("a=1;p\x01,b=2", NULL, "b=2");
    assert_extracted("a;b=1,c=2", NULL, "c=2");
}

static void of_a_key_that_comes_twice_the_last_counts(void **state)
{
    (void)state;
    assert_extracted("a=1,b=2", "a=3", "b=2,a=3");
    assert_extracted("a=1;p,a=2", NULL, "a=2");
    assert_extracted("b=0,a=1,a=2,A=3", NULL, "b=0,a=2,A=3");
}

/* 64 members of 127 bytes, with 63 commas: 8191. */
static void what_has_no_room_is_left_out_as_a_whole(void **state)
{
    (void)state;
    static char text[9000], member[140];
    size_t size = 0;
    for (int i = 0; i < 64; i++) {
        memset(member, 'v', sizeof member - 1);
        (void)snprintf(member, sizeof member, "k%02d=", i);
        member[4] = 'v';
        member[127] = '\0';
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", i > 0 ? "," : "", member);
    }
    assert_int_equal(size, 8191);
    assert_int_equal(extract(text, NULL), WEIR_OK);
    assert_string_equal(out, text);
    assert_int_equal(extract(text, "more=1"), WEIR_ETOOLARGE);
    assert_string_equal(out, text);
    static char room[WEIR_BAGGAGE_SIZE];
    assert_int_equal(weir_baggage_set(room, text, "k", "v"), WEIR_ETOOLARGE);
    assert_string_equal(room, text);
}

static void members_are_gone_through(void **state)
{
    (void)state;
    static const char text[] = "a=1;p=q;r,b=2";
    weir_baggage_member member;
    size_t at = 0;
    assert_true(weir_baggage_next(text, &at, &member));
    assert_memory_equal(member.key, "a", member.key_size);
    assert_int_equal(member.value_size, 1);
    assert_int_equal(member.properties_size, 5);
    assert_memory_equal(member.properties, "p=q;r", 5);
    assert_true(weir_baggage_next(text, &at, &member));
    assert_memory_equal(member.value, "2", member.value_size);
    assert_int_equal(member.properties_size, 0);
    assert_false(weir_baggage_next(text, &at, &member));
}

static void values_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value;
    } all[] = {
        {"k=DF%2028", "DF 28"},
        {"k=%C3%A9", "\xC3\xA9"},
        {"k=%c3%a9x", "\xC3\xA9x"},
        {"k=%C3x", "\xEF\xBF\xBDx"}, /* Half of a character. */
        {"k=%FF%FE", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"k=100%", "100%"},
        {"k=%2", "%2"},
        {"k=%zz", "%zz"},
        {"k=", ""},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char value[16];
        size_t size;
        assert_int_equal(weir_baggage_get(all[i].text, "k", value, sizeof value, &size), WEIR_OK);
        assert_string_equal(value, all[i].value);
        assert_int_equal(size, strlen(all[i].value));
        assert_int_equal(weir_baggage_get(all[i].text, "k", NULL, 0, &size), WEIR_ETOOLARGE);
        assert_int_equal(size, strlen(all[i].value));
    }
    char small[3];
    size_t size;
    assert_int_equal(weir_baggage_get("k=abc", "k", small, sizeof small, &size), WEIR_ETOOLARGE);
    assert_int_equal(weir_baggage_get("k=ab", "k", small, sizeof small, NULL), WEIR_OK);
    assert_int_equal(weir_baggage_get("k=ab", "K", small, sizeof small, NULL), WEIR_ENOTFOUND);
}

static void what_is_put_comes_out_again(void **state)
{
    (void)state;
    static const char value[] = "a b,c;d=\"e\"\\f%20\xC3\xA9\t!";
    char back[64];
    assert_int_equal(weir_baggage_set(out, NULL, "k", value), WEIR_OK);
    assert_string_equal(out, "k=a%20b%2Cc%3Bd=%22e%22%5Cf%2520%C3%A9%09!");
    assert_int_equal(weir_baggage_get(out, "k", back, sizeof back, NULL), WEIR_OK);
    assert_string_equal(back, value);
    char more[WEIR_BAGGAGE_SIZE];
    assert_int_equal(weir_baggage_set(more, "a=1;p,k=2", "k", "3"), WEIR_OK);
    assert_string_equal(more, "a=1;p,k=3");
    assert_int_equal(weir_baggage_set(more, "a=1;p,k=2", "a", NULL), WEIR_OK);
    assert_string_equal(more, "k=2");
    assert_int_equal(weir_baggage_set(more, "a=1", "no token", "3"), WEIR_EINVAL);
    assert_string_equal(more, "a=1");
    assert_int_equal(weir_baggage_set(more, "a=1", "", "3"), WEIR_EINVAL);
    static char large[WEIR_BAGGAGE_SIZE];
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(weir_baggage_set(more, "a=1", "b", large), WEIR_ETOOLARGE);
    assert_string_equal(more, "a=1");
}

static void it_is_injected_if_there_is_any(void **state)
{
    (void)state;
    f.count = 0;
    f.room = 1;
    weir_carrier const carrier = fields_carrier(&f);
    assert_int_equal(weir_baggage_inject("", &carrier), WEIR_OK);
    assert_int_equal(f.count, 0);
    assert_int_equal(weir_baggage_inject("a=1", &carrier), WEIR_OK);
    assert_string_equal(fields_of(&f, "baggage"), "a=1");
    assert_int_equal(weir_baggage_inject("a=1", &carrier), WEIR_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_joined_in_order_without_blanks),
        cmocka_unit_test(a_malformed_member_is_left_out_alone),
        cmocka_unit_test(of_a_key_that_comes_twice_the_last_counts),
        cmocka_unit_test(what_has_no_room_is_left_out_as_a_whole),
        cmocka_unit_test(members_are_gone_through),
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(what_is_put_comes_out_again),
        cmocka_unit_test(it_is_injected_if_there_is_any),
    };
    return cmocka_run_group_tests_name("baggage", tests, NULL, NULL);
}
