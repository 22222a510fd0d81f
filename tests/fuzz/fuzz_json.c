/* JSON: what is accepted, written anew from its tokens, is accepted again with the same tokens. */
#include "support/fuzz.h"

#include "base/json.h"

#include <string.h>

static weir_env env;

/* The same text with one way to write each string. False: it is no JSON. */
static bool rewrite(const char *data, size_t size, weir__text *out)
{
    weir__json json;
    weir__text string;
    weir__json_kind kind = WEIR__JSON_ERROR;
    bool comma = false;
    weir__text_init(&string, &env);
    weir__json_begin(&json, data, size);
    while ((kind = weir__json_next(&json)) != WEIR__JSON_END && kind != WEIR__JSON_ERROR) {
        bool const opens = kind == WEIR__JSON_OBJECT || kind == WEIR__JSON_ARRAY;
        bool const closes = kind == WEIR__JSON_OBJECT_END || kind == WEIR__JSON_ARRAY_END;
        if (comma && !closes)
            weir__text_str(out, ",");
        if (kind == WEIR__JSON_NAME || kind == WEIR__JSON_STRING) {
            weir__text_clear(&string);
            weir__json_unescape(&json, &string);
            weir__text_json(out, string.data, string.size);
            FUZZ_CHECK(strlen(string.data) < string.size || weir__json_is(&json, string.data));
        } else {
            weir__text_bytes(out, json.token, json.token_size);
        }
        if (kind == WEIR__JSON_NAME)
            weir__text_str(out, ":");
        comma = !opens && kind != WEIR__JSON_NAME;
    }
    FUZZ_CHECK((kind == WEIR__JSON_END) == (json.error == NULL));
    FUZZ_CHECK(json.error_at <= size && weir__json_line(&json) >= 1);
    weir__text_free(&string);
    return kind == WEIR__JSON_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir__text once;
    weir__text twice;
    double real = 0;
    weir__json skip;
    FUZZ_CHECK(weir__env_load(&env, NULL) == WEIR_OK);
    weir__text_init(&once, &env);
    weir__text_init(&twice, &env);
    bool const good = rewrite((const char *)data, size, &once);
    weir__json_begin(&skip, (const char *)data, size);
    FUZZ_CHECK((weir__json_skip(&skip) && weir__json_end(&skip)) == good);
    if (good) {
        FUZZ_CHECK(rewrite(once.data, once.size, &twice));
        FUZZ_CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    (void)weir__json_read_double((const char *)data, size, &real);
    weir__text_free(&once);
    weir__text_free(&twice);
    return 0;
}
