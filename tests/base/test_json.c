/* JSON: texts that RFC 8259 allows and forbids, named as in Seriot's "Parsing JSON is a minefield",
 * and what a reader of records asks for. */
#include "support/fake_env.h"

#include "base/json.h"

#include <string.h>

/* A string literal with its size: NULs count. */
#define BYTES(literal) literal, sizeof(literal) - 1

typedef struct text_case {
    const char *name, *text;
    size_t size;
} text_case;

static const text_case accepted[] = {
    {"y_array_arraysWithSpaces", BYTES("[[]   ]")},
    {"y_array_empty-string", BYTES("[\"\"]")},
    {"y_array_ending_with_newline", BYTES("[\"a\"]\n")},
    {"y_array_heterogeneous", BYTES("[null, 1, \"1\", {}]")},
    {"y_array_with_several_null", BYTES("[1,null,null,null,2]")},
    {"y_number_0e+1", BYTES("[0e+1]")},
    {"y_number_after_space", BYTES("[ 4]")},
    {"y_number_minus_zero", BYTES("[-0]")},
    {"y_number_real_capital_e_neg_exp", BYTES("[1E-2]")},
    {"y_number_real_fraction_exponent", BYTES("[123.456e78]")},
    {"y_object_duplicated_key", BYTES("{\"a\":\"b\",\"a\":\"c\"}")},
    {"y_object_empty_key", BYTES("{\"\":0}")},
    {"y_object_with_newlines", BYTES("{\n\"a\": \"b\"\r\n\t}")},
    {"y_string_accepted_surrogate_pair", BYTES("[\"\\uD801\\udc37\"]")},
    {"y_string_allowed_escapes", BYTES("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]")},
    {"y_string_in_array_with_leading_space", BYTES("[ \"asd\"]")},
    {"y_string_null_escape", BYTES("[\"\\u0000\"]")},
    {"y_string_nonCharacterInUTF-8_U+FFFF", BYTES("[\"\xef\xbf\xbf\"]")},
    {"y_string_with_del_character", BYTES("[\"a\x7f\"]")},
    {"y_structure_lonely_false", BYTES("false")},
    {"y_structure_lonely_negative_real", BYTES("-0.1")},
    {"y_structure_lonely_string", BYTES("\"asd\"")},
    {"y_structure_string_empty", BYTES("\"\"")},
    {"y_structure_trailing_newline", BYTES(" [] \n")},
};

static const text_case refused[] = {
    {"n_array_1_true_without_comma", BYTES("[1 true]")},
    {"n_array_comma_and_number", BYTES("[,1]")},
    {"n_array_double_comma", BYTES("[1,,2]")},
    {"n_array_extra_close", BYTES("[\"x\"]]")},
    {"n_array_extra_comma", BYTES("[\"\",]")},
    {"n_array_just_comma", BYTES("[,]")},
    {"n_array_unclosed", BYTES("[\"\"")},
    {"n_array_unclosed_trailing_comma", BYTES("[1,")},
    {"n_array_unclosed_with_object_inside", BYTES("[{}")},
    {"n_incomplete_true", BYTES("[tru]")},
    {"n_multidigit_number_then_00", BYTES("123\0")},
    {"n_number_+1", BYTES("[+1]")},
    {"n_number_-", BYTES("[-]")},
    {"n_number_-01", BYTES("[-01]")},
    {"n_number_.2e-3", BYTES("[.2e-3]")},
    {"n_number_0.e1", BYTES("[0.e1]")},
    {"n_number_0e+", BYTES("[0e+]")},
    {"n_number_1eE2", BYTES("[1eE2]")},
    {"n_number_2.", BYTES("[2.]")},
    {"n_number_NaN", BYTES("[NaN]")},
    {"n_number_hex_1_digit", BYTES("[0x1]")},
    {"n_number_infinity", BYTES("[Infinity]")},
    {"n_number_with_leading_zero", BYTES("[012]")},
    {"n_object_bad_value", BYTES("[\"x\", truth]")},
    {"n_object_bracket_key", BYTES("{[: \"x\"}")},
    {"n_object_comma_instead_of_colon", BYTES("{\"x\", null}")},
    {"n_object_missing_value", BYTES("{\"a\":")},
    {"n_object_name_unclosed", BYTES("{\"a")},
    {"n_object_no-colon", BYTES("{\"a\"")},
    {"n_object_non_string_key", BYTES("{1:1}")},
    {"n_object_trailing_comma", BYTES("{\"id\":0,}")},
    {"n_object_two_commas_in_a_row", BYTES("{\"a\":1,,\"b\":2}")},
    {"n_object_unclosed_comma", BYTES("{\"a\":1,")},
    {"n_object_with_single_string", BYTES("{\"foo\" : \"bar\", \"a\"}")},
    {"n_object_without_comma", BYTES("{\"a\":1 \"b\":2}")},
    {"n_single_space", BYTES(" ")},
    {"n_string_1_surrogate_then_escape", BYTES("[\"\\uD800\\\"]")},
    {"n_string_1_surrogate_then_escape_u1x", BYTES("[\"\\uD800\\u1x\"]")},
    {"n_string_high_surrogate_then_letter", BYTES("[\"\\uD800\\u0041\"]")},
    {"n_string_lone_high_surrogate", BYTES("[\"\\uDADA\"]")},
    {"n_string_lone_low_surrogate", BYTES("[\"\\uDC00\"]")},
    {"n_string_escape_x", BYTES("[\"\\x00\"]")},
    {"n_string_escaped_nul", BYTES("[\"\\\0\"]")},
    {"n_string_incomplete_escape", BYTES("[\"\\")},
    {"n_string_incomplete_escaped_character", BYTES("[\"\\u00A")},
    {"n_string_invalid_unicode_escape", BYTES("[\"\\uqqqq\"]")},
    {"n_string_invalid_utf8", BYTES("[\"\xff\"]")},
    {"n_string_overlong_utf8", BYTES("[\"\xc0\xaf\"]")},
    {"n_string_utf8_surrogate", BYTES("[\"\xed\xa0\x80\"]")},
    {"n_string_utf8_cut_short", BYTES("[\"\xe2\x82")},
    {"n_string_single_quote", BYTES("['a']")},
    {"n_string_start_escape_unclosed", BYTES("[\"\\\"")},
    {"n_string_unescaped_newline", BYTES("[\"new\nline\"]")},
    {"n_string_unescaped_nul", BYTES("[\"a\0a\"]")},
    {"n_structure_UTF8_BOM_no_data", BYTES("\xef\xbb\xbf")},
    {"n_structure_array_trailing_garbage", BYTES("[1]x")},
    {"n_structure_close_unopened_array", BYTES("1]")},
    {"n_structure_comma_instead_of_closing_brace", BYTES("{\"x\": true,")},
    {"n_structure_double_array", BYTES("[][]")},
    {"n_structure_mismatched_end", BYTES("[1}")},
    {"n_structure_null-byte-outside-string", BYTES("[\0]")},
    {"n_structure_open_object_close_array", BYTES("{]")},
    {"n_structure_whitespace_formfeed", BYTES("[\f]")},
    {"n_structure_no_data", BYTES("")},
};

static bool well_formed(const char *text, size_t size)
{
    weir__json json;
    weir__json_begin(&json, text, size);
    return weir__json_skip(&json) && weir__json_end(&json);
}

/* On the heap and exactly as long, so that a sanitizer sees one byte too far. */
static bool well_formed_alone(const text_case *one)
{
    char *const copy = malloc(one->size > 0 ? one->size : 1);
    assert_non_null(copy);
    memcpy(copy, one->text, one->size);
    bool const good = well_formed(copy, one->size);
    free(copy);
    return good;
}

static void accepts_what_the_rfc_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        if (!well_formed_alone(&accepted[i]))
            fail_msg("%s is refused", accepted[i].name);
}

static void refuses_what_the_rfc_forbids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (well_formed_alone(&refused[i]))
            fail_msg("%s is accepted", refused[i].name);
}

static void every_beginning_of_a_text_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1.5e3,true,null,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{}}";
    for (size_t size = 0; size < sizeof text - 1; size++)
        assert_false(well_formed_alone(&(text_case){"", text, size}));
    assert_true(well_formed(BYTES(text)));
}

static void tells_token_after_token(void **state)
{
    (void)state;
    static const struct {
        weir__json_kind kind;
        const char *token;
    } expected[] = {
        {WEIR__JSON_OBJECT, "{"},       {WEIR__JSON_NAME, "a"},       {WEIR__JSON_ARRAY, "["},
        {WEIR__JSON_TRUE, "true"},      {WEIR__JSON_FALSE, "false"},  {WEIR__JSON_NULL, "null"},
        {WEIR__JSON_NUMBER, "-1.5E+2"}, {WEIR__JSON_ARRAY_END, "]"},  {WEIR__JSON_NAME, "b\\n"},
        {WEIR__JSON_STRING, "x"},       {WEIR__JSON_OBJECT_END, "}"}, {WEIR__JSON_END, ""},
        {WEIR__JSON_END, ""},
    };
    weir__json json;
    weir__json_begin(&json, BYTES("{\"a\" : [true,false,null,-1.5E+2], \"b\\n\":\"x\"} "));
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(weir__json_next(&json), expected[i].kind);
        assert_int_equal(json.token_size, strlen(expected[i].token));
        assert_memory_equal(json.token, expected[i].token, json.token_size);
    }
}

static void nests_256_deep_and_no_deeper(void **state)
{
    (void)state;
    char text[2 * (WEIR__JSON_DEPTH + 1)];
    for (size_t depth = WEIR__JSON_DEPTH; depth <= WEIR__JSON_DEPTH + 1; depth++) {
        for (size_t i = 0; i < depth; i++) {
            text[i] = '[';
            text[2 * depth - 1 - i] = ']';
        }
        assert_int_equal(well_formed(text, 2 * depth), depth == WEIR__JSON_DEPTH);
    }
    weir__json json;
    weir__json_begin(&json, text, sizeof text);
    assert_false(weir__json_skip(&json));
    assert_int_equal(json.error_at, WEIR__JSON_DEPTH);
    /* In turn: closing tells one from the other at any depth. */
    static const char mixed[] = "[{\"a\":[{\"a\":[{\"a\":[]}]}]}]";
    assert_true(well_formed(BYTES(mixed)));
}

static void an_error_sticks_and_says_where(void **state)
{
    (void)state;
    weir__json json;
    weir__json_begin(&json, BYTES("[1,\n 2,\n oops, 4]"));
    assert_false(weir__json_skip(&json));
    assert_string_equal(json.error, "expected a value");
    assert_int_equal(json.error_at, 9);
    assert_int_equal(weir__json_line(&json), 3);
    assert_int_equal(weir__json_next(&json), WEIR__JSON_ERROR);
    uint64_t number = 7;
    bool flag = true;
    char text[4];
    assert_false(weir__json_element(&json));
    assert_false(weir__json_member(&json));
    assert_false(weir__json_array(&json));
    assert_false(weir__json_u64(&json, 0, 9, &number));
    assert_false(weir__json_bool(&json, &flag));
    assert_false(weir__json_copy(&json, text, sizeof text));
    assert_false(weir__json_end(&json));
    assert_false(weir__json_fail(&json, "later"));
    assert_string_equal(json.error, "expected a value");
    assert_int_equal(number, 7);
}

/* ---- Reading records ---- */

typedef struct record {
    char name[8];
    uint64_t port;
    int64_t shift;
    double weight;
    bool up;
    uint64_t sum;
} record;

static bool read_record(const char *text, record *out, weir__json *json)
{
    weir__json_begin(json, text, strlen(text));
    weir__json_object(json);
    while (weir__json_member(json)) {
        if (weir__json_is(json, "name"))
            weir__json_copy(json, out->name, sizeof out->name);
        else if (weir__json_is(json, "port"))
            weir__json_u64(json, 1, 65535, &out->port);
        else if (weir__json_is(json, "shift"))
            weir__json_i64(json, -5, INT64_MAX, &out->shift);
        else if (weir__json_is(json, "weight"))
            weir__json_double(json, &out->weight);
        else if (weir__json_is(json, "up"))
            weir__json_bool(json, &out->up);
        else if (weir__json_is(json, "parts")) {
            uint64_t part = 0;
            weir__json_array(json);
            while (weir__json_element(json) && weir__json_u64(json, 0, 100, &part))
                out->sum += part;
        } else
            weir__json_skip(json);
    }
    return weir__json_end(json);
}

static void reads_a_record(void **state)
{
    (void)state;
    weir__json json;
    record out = {.port = 0};
    assert_true(read_record("{\"n\\u0061me\":\"\\u00e9\\u20ac\",\"port\":\"8080\",\"shift\":-5,"
                            "\"weight\":0.25,\"up\":true,\"parts\":[1, 2 ,3],"
                            "\"unknown\":{\"port\":[1,{}]},\"other\":[]}",
                            &out, &json));
    assert_string_equal(out.name, "\xc3\xa9\xe2\x82\xac");
    assert_int_equal(out.port, 8080);
    assert_int_equal(out.shift, -5);
    assert_true(out.weight == 0.25);
    assert_true(out.up);
    assert_int_equal(out.sum, 6);
    assert_true(read_record("{}", &out, &json));
    assert_true(read_record("{\"parts\":[]}", &out, &json));
}

static void says_what_is_wrong_with_a_record(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
        size_t at;
    } cases[] = {
        {"[]", "expected an object", 0},
        {"{\"port\":0}", "a number out of range", 8},
        {"{\"port\":65536}", "a number out of range", 8},
        {"{\"port\":-1}", "a number out of range", 8},
        {"{\"port\":1.0}", "expected a whole number", 8},
        {"{\"port\":\"\"}", "expected a whole number", 9},
        {"{\"port\":\"-\"}", "expected a whole number", 9},
        {"{\"port\":true}", "expected a whole number", 8},
        {"{\"port\":18446744073709551616}", "expected a whole number", 8},
        {"{\"shift\":-6}", "a number out of range", 9},
        {"{\"shift\":9223372036854775808}", "a number out of range", 9},
        {"{\"shift\":-9223372036854775809}", "a number out of range", 9},
        {"{\"shift\":1e3}", "expected a whole number", 9},
        {"{\"weight\":\"1\"}", "expected a number", 11},
        {"{\"weight\":1e309}", "a number out of range", 10},
        {"{\"up\":1}", "expected true or false", 6},
        {"{\"name\":7}", "expected a string", 8},
        {"{\"name\":\"12345678\"}", "a string that is too long", 9},
        {"{\"name\":\"a\\u0000b\"}", "a string with a NUL", 9},
        {"{\"parts\":{}}", "expected an array", 9},
        {"{\"parts\":[1", "the text ends too soon", 11},
        {"{\"parts\":[1 2]}", "expected , or ]", 12},
        {"{\"parts\":[1,", "the text ends too soon", 12},
        {"{\"parts\":[", "the text ends too soon", 10},
        {"{} {}", "something follows the value", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir__json json;
        record out = {.port = 0};
        assert_false(read_record(cases[i].text, &out, &json));
        assert_string_equal(json.error, cases[i].error);
        assert_int_equal(json.error_at, cases[i].at);
    }
    weir__json json;
    weir__json_begin(&json, BYTES("[1]"));
    assert_true(weir__json_array(&json));
    assert_false(weir__json_end(&json));
    assert_string_equal(json.error, "something is left to be read");
}

static void reads_whole_numbers_to_their_limits(void **state)
{
    (void)state;
    weir__json json;
    uint64_t u = 0;
    int64_t i = 0;
    weir__json_begin(&json, BYTES("[18446744073709551615,-9223372036854775808,"
                                  "9223372036854775807,-0,-0]"));
    assert_true(weir__json_array(&json));
    assert_true(weir__json_u64(&json, 0, UINT64_MAX, &u) && u == UINT64_MAX);
    assert_true(weir__json_i64(&json, INT64_MIN, INT64_MAX, &i) && i == INT64_MIN);
    assert_true(weir__json_i64(&json, INT64_MIN, INT64_MAX, &i) && i == INT64_MAX);
    assert_true(weir__json_u64(&json, 0, 0, &u) && u == 0);
    assert_true(weir__json_i64(&json, 0, 0, &i) && i == 0);
}

static void reads_reals_as_the_compiler_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0.0},
        {"12.5e3", 12500.0},
        {"-0.1", -0.1},
        {"1e-7", 1e-7},
        {"123.456", 123.456},
        {"5e-324", 5e-324},
        {"1E+308", 1e308},
        {"0.1e00000000000000000001", 1.0},
        {"1e-99999999999999999999", 0.0},
        {"179769313486231570000e288", 179769313486231570000e288},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value = 77;
        assert_true(weir__json_read_double(cases[i].text, strlen(cases[i].text), &value));
        assert_true(value == cases[i].value);
    }
    char many[600];
    memset(many, '1', sizeof many);
    double value = 77;
    assert_false(weir__json_read_double(many, sizeof many, &value));
    assert_false(weir__json_read_double(BYTES(" 1"), &value));
    assert_false(weir__json_read_double(BYTES("1 "), &value));
    assert_false(weir__json_read_double(BYTES(""), &value));
    assert_false(weir__json_read_double(BYTES("true"), &value));
    assert_true(value == 77);
}

static void unescapes_into_a_text(void **state)
{
    (void)state;
    fake_env fake = {0};
    weir_env const env = fake_env_hooks(&fake);
    weir__text text;
    weir__json json;
    weir__text_init(&text, &env);
    weir__json_begin(&json, BYTES("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u07ff\\ud83d\\uDE00\","
                                  "\"\",3]"));
    assert_true(weir__json_array(&json));
    assert_true(weir__json_text(&json, &text));
    static const char expected[] = "\"\\/\b\f\n\r\t\0\xdf\xbf\xf0\x9f\x98\x80";
    assert_int_equal(text.size, sizeof expected - 1);
    assert_memory_equal(text.data, expected, sizeof expected - 1);
    weir__text_free(&text);
    assert_true(weir__json_text(&json, &text));
    assert_string_equal(text.data, "");
    assert_false(weir__json_text(&json, &text));
    weir__text_free(&text);
    assert_int_equal(fake.live, 0);
}

static void a_name_is_compared_unescaped(void **state)
{
    (void)state;
    weir__json json;
    weir__json_begin(&json, BYTES("{\"a\\u00e9\":1}"));
    assert_true(weir__json_object(&json) && weir__json_member(&json));
    assert_true(weir__json_is(&json, "a\xc3\xa9"));
    assert_false(weir__json_is(&json, "a"));
    assert_false(weir__json_is(&json, "a\xc3"));
    assert_false(weir__json_is(&json, "a\xc3\xa9x"));
    assert_false(weir__json_is(&json, "b\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_the_rfc_allows),
        cmocka_unit_test(refuses_what_the_rfc_forbids),
        cmocka_unit_test(every_beginning_of_a_text_is_refused),
        cmocka_unit_test(tells_token_after_token),
        cmocka_unit_test(nests_256_deep_and_no_deeper),
        cmocka_unit_test(an_error_sticks_and_says_where),
        cmocka_unit_test(reads_a_record),
        cmocka_unit_test(says_what_is_wrong_with_a_record),
        cmocka_unit_test(reads_whole_numbers_to_their_limits),
        cmocka_unit_test(reads_reals_as_the_compiler_does),
        cmocka_unit_test(unescapes_into_a_text),
        cmocka_unit_test(a_name_is_compared_unescaped),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
