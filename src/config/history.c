#include "config/config.h"

#include <string.h>

typedef struct history_call {
    weir__config_call call; /* First. */
    weir_config_versions_fn fn;
    void *user;
    size_t bytes;
    size_t key_size;
    char key[]; /* Under the root, with a NUL. */
} history_call;

static void history_release(weir__config_call *call)
{
    history_call *const history = (history_call *)call;
    weir_env const env = call->env;
    weir__free(&env, history, history->bytes);
}

static void history_tell(const history_call *history, int code, const weir_config_value *values,
                         size_t count)
{
    weir_config_versions const versions = {.code = code, .values = values, .count = count};
    history->fn(&versions, history->user);
}

static void history_closed(weir__config_call *call)
{
    history_tell((history_call *)call, WEIR_ECLOSED, NULL, 0);
}

/*
 * When a former version was put: it is moved when the next one is, so that its own key tells when
 * it ended; the one before it, when it began. Of the first, the current one's key knows. 0 = nobody
 * knows any more.
 */
static uint64_t history_put_at(const weir_config_value *values, size_t at, uint64_t before,
                               const weir_kv_op_result *current)
{
    uint64_t const version = values[at].version;
    if (at > 0 && values[at - 1].version + 1 == version)
        return before;
    return version == 1 && current->count > 0 ? current->pairs[0].create_revision : 0;
}

/* The former versions, in order of their keys, and the current one. */
static void history_told(weir__config_call *call, const weir_kv_result *result)
{
    history_call *const history = (history_call *)call;
    weir_env const env = call->env;
    weir__config_words words;
    weir__config_key key;
    size_t count = 0;
    weir__config_call_remove(call);
    size_t const room =
        result->code == WEIR_OK ? result->results[0].count + result->results[1].count : 0;
    weir_config_value *const values = weir__alloc(&env, (room + 1) * sizeof *values);
    bool const good = weir__config_key_parse((weir_bytes){history->key, history->key_size}, &key);
    uint64_t before = 0;
    for (size_t i = 0; values != NULL && good && i < room; i++) {
        size_t const past = result->results[0].count;
        const weir_kv_pair *const pair =
            i < past ? &result->results[0].pairs[i] : &result->results[1].pairs[i - past];
        weir__config_value_of(&key, pair->value, pair->mod_revision, &words, &values[count]);
        if (i < past)
            values[count].revision = history_put_at(values, count, before, &result->results[1]);
        before = pair->mod_revision;
        count += values[count].version > 0;
    }
    int const code = result->code == WEIR_OK && values == NULL ? WEIR_ENOMEM : result->code;
    history_tell(history, code, values, count);
    weir__free(&env, values, (room + 1) * sizeof *values);
    history_release(call);
}

static int history_ask(weir_config *config, history_call *history, weir__text *keys)
{
    size_t at[4];
    for (size_t i = 0; i < 3; i++) {
        at[i] = keys->size;
        weir__text_str(keys, i < 2 ? config->options.history_root : config->options.root);
        weir__text_str(keys, history->key);
        if (i < 2)
            weir__config_version_write(keys, i == 0 ? 0 : UINT64_MAX);
    }
    at[3] = keys->size;
    if (!weir__text_ok(keys))
        return WEIR_ENOMEM;
    weir_kv_op const ops[] = {
        {.kind = WEIR_KV_RANGE,
         .range = {.keys = {.key = {keys->data + at[0], at[1] - at[0]},
                            .end = {keys->data + at[1], at[2] - at[1]}}}},
        {.kind = WEIR_KV_RANGE, .range = {.keys = {.key = {keys->data + at[2], at[3] - at[2]}}}},
    };
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 2};
    return config->kv.txn(config->kv.self, &txn, weir__config_told, &history->call);
}

int weir_config_history(weir_config *config, const char *name, const char *environment,
                        const char *label, weir_config_versions_fn fn, void *user)
{
    weir__config_edit const edit = {.what = WEIR__CONFIG_READ,
                                    .name = name,
                                    .environment = environment,
                                    .label = label};
    weir__text text;
    if (fn == NULL || weir__config_edit_check(config, &edit, NULL) != WEIR_OK)
        return WEIR_EINVAL;
    weir__text_init(&text, &config->env);
    weir__config_key_write(&text, &edit);
    size_t const size = text.size;
    size_t const bytes = sizeof(history_call) + size + 1;
    history_call *const history = weir__text_ok(&text) ? weir__alloc(&config->env, bytes) : NULL;
    int code = WEIR_ENOMEM;
    if (history != NULL) {
        history->call.told = history_told;
        history->call.closed = history_closed;
        history->call.release = history_release;
        history->fn = fn;
        history->user = user;
        history->bytes = bytes;
        history->key_size = size;
        memcpy(history->key, text.data, size);
        weir__config_call_add(config, &history->call);
        weir__text_clear(&text);
        code = history_ask(config, history, &text);
        if (code != WEIR_OK) {
            weir__config_call_remove(&history->call);
            history_release(&history->call);
        }
    }
    weir__text_free(&text);
    return code;
}

const weir_config_value *weir_config_at_version(const weir_config_versions *versions,
                                                uint64_t version)
{
    for (size_t i = 0; i < versions->count; i++)
        if (versions->values[i].version == version)
            return &versions->values[i];
    return NULL;
}
