/* What the configuration center reads: keys and records of a kv, documents, templates, globs. */
#include "support/fuzz.h"

#include "config/config.h"

#include <weir/store.h>

#include <string.h>

static weir_env env;

/* A record that is read, written anew, is read as the same. */
static void read_record(weir_bytes raw)
{
    weir__config_record once;
    weir__config_record twice;
    weir__text text;
    if (!weir__config_record_parse(raw, &once))
        return;
    weir__text_init(&text, &env);
    weir__config_record_write(&text, &once);
    weir__text_bytes(&text, once.value.data, once.value.size);
    FUZZ_CHECK(weir__config_record_parse((weir_bytes){text.data, text.size}, &twice));
    FUZZ_CHECK(once.version == twice.version && once.modified_ms == twice.modified_ms);
    FUZZ_CHECK(once.deleted == twice.deleted && weir__config_equal(once.value, twice.value));
    FUZZ_CHECK(weir__config_equal(once.source, twice.source));
    if (once.salt.size > 0) {
        FUZZ_CHECK(once.priority == twice.priority && once.permille == twice.permille);
        FUZZ_CHECK(weir__config_equal(once.labels, twice.labels));
    }
    weir__text_free(&text);
}

static void read_key(weir_bytes raw)
{
    weir__config_key key;
    if (!weir__config_key_parse(raw, &key))
        return;
    FUZZ_CHECK(key.name.size + key.scope.size == raw.size && key.name.size > 0);
    FUZZ_CHECK((key.rule.size > 0) == (key.layer == WEIR_CONFIG_GRAY));
}

static void note_end(const weir_config_result *result, void *user)
{
    *(int *)user = result->code;
}

static void compare(const void *data, size_t size, void *user)
{
    weir_config *const other = user;
    int code = 1;
    FUZZ_CHECK(weir_config_import(other, data, size, note_end, &code, NULL) == WEIR_OK);
    FUZZ_CHECK(code == WEIR_OK);
}

/* What was imported can be exported, and that imported. */
static void read_document(const char *text, size_t size, const char *template)
{
    weir_store *stores[2];
    weir_config *configs[2];
    char out[256];
    weir_config_error error;
    for (size_t i = 0; i < 2; i++) {
        weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
        FUZZ_CHECK(weir_store_create(&stores[i], NULL, NULL) == WEIR_OK);
        weir_kv const kv = weir_store_kv(stores[i]);
        options.kv = &kv;
        FUZZ_CHECK(weir_config_create(&configs[i], &options) == WEIR_OK);
    }
    if (weir_config_import(configs[0], text, size, NULL, NULL, &error) == WEIR_OK)
        FUZZ_CHECK(weir_config_export(configs[0], NULL, compare, configs[1]) == WEIR_OK);
    if (weir_config_expand(configs[0], template, NULL, out, sizeof out, NULL, &error) != WEIR_OK)
        FUZZ_CHECK(error.message[0] != '\0');
    for (size_t i = 0; i < 2; i++) {
        weir_config_destroy(configs[i]);
        weir_store_destroy(stores[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2049];
    if (size >= sizeof text)
        return 0;
    FUZZ_CHECK(weir__env_load(&env, NULL) == WEIR_OK);
    memcpy(text, data, size);
    text[size] = '\0';
    weir_bytes const raw = {data, size};
    read_record(raw);
    read_key(raw);
    const char *const feed = strchr(text, '\n');
    if (feed != NULL) { /* A pattern, a line feed, a name. */
        char pattern[64];
        size_t const length = (size_t)(feed - text);
        if (length < sizeof pattern) {
            memcpy(pattern, text, length);
            pattern[length] = '\0';
            (void)weir_config_match(pattern, feed + 1);
        }
    }
    read_document(text, size, text);
    return 0;
}
