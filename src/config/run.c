#include "config/config.h"

#include "base/map.h"

#include <string.h>

weir__config_run *weir__config_run_create(weir_config *config)
{
    weir__config_run *const run = weir__alloc(&config->env, sizeof *run);
    if (run == NULL)
        return NULL;
    run->config = config;
    run->env = config->env;
    weir__text_init(&run->strings, &run->env);
    return run;
}

void weir__config_run_free(weir__config_run *run)
{
    weir_env const env = run->env;
    if (run->edits != NULL)
        weir__free(&env, run->edits, run->capacity * sizeof *run->edits);
    run->strings.env = &env;
    weir__text_free(&run->strings);
    weir__free(&env, run, sizeof *run);
}

weir__config_edit *weir__config_run_add(weir__config_run *run)
{
    if (run->count == run->capacity) {
        size_t const capacity = run->capacity > 0 ? run->capacity * 2 : 16;
        weir__config_edit *const edits =
            weir__resize(&run->env, run->edits, run->capacity * sizeof *edits,
                         capacity * sizeof *edits);
        if (edits == NULL)
            return NULL;
        run->edits = edits;
        run->capacity = capacity;
    }
    weir__config_edit *const edit = &run->edits[run->count++];
    *edit = (weir__config_edit){.what = WEIR__CONFIG_SET};
    return edit;
}

const char *weir__config_run_resolve(const weir__config_run *run, const char *place)
{
    return place != NULL ? run->strings.data + ((uintptr_t)place - 1) : NULL;
}

const char *weir__config_run_string(weir__config_run *run, const void *data, size_t size)
{
    size_t const at = run->strings.size;
    weir__text_bytes(&run->strings, data, size);
    weir__text_bytes(&run->strings, "", 1);
    return weir__config_run_offset(at);
}

static void run_resolve_edit(const weir__config_run *run, weir__config_edit *edit)
{
    edit->name = weir__config_run_resolve(run, edit->name);
    edit->environment = weir__config_run_resolve(run, edit->environment);
    edit->label = weir__config_run_resolve(run, edit->label);
    edit->rule = weir__config_run_resolve(run, edit->rule);
    edit->source = weir__config_run_resolve(run, edit->source);
    edit->rule_environment = weir__config_run_resolve(run, edit->rule_environment);
    edit->labels = weir__config_run_resolve(run, edit->labels);
    edit->salt = weir__config_run_resolve(run, edit->salt);
    edit->value.data = weir__config_run_resolve(run, edit->value.data);
}

/* The key of an edit in a map: as a text of its own, at `at` in `keys`. */
static int run_distinct(const weir__config_run *run, weir__text *keys, weir__map *seen,
                        weir_config_error *error)
{
    for (size_t i = 0; i < run->count; i++) {
        weir__config_key_write(keys, &run->edits[i]);
        weir__text_bytes(keys, "", 1);
    }
    if (!weir__text_ok(keys) || weir__map_reserve(seen, run->count) != WEIR_OK)
        return WEIR_ENOMEM;
    const char *key = keys->data;
    for (size_t i = 0; i < run->count; i++) {
        size_t const size = strlen(key);
        if (weir__map_get(seen, key, size) != NULL)
            return weir__config_refuse(error, WEIR_EINVAL, run->edits[i].name, "there twice");
        if (weir__map_put(seen, key, size, &run->edits[i]) != WEIR_OK)
            return WEIR_ENOMEM;
        key += size + 1;
    }
    return WEIR_OK;
}

int weir__config_run_check(weir__config_run *run, weir_config_error *error)
{
    weir__text keys;
    weir__map seen;
    int code = weir__text_ok(&run->strings) ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; i < run->count && weir__text_ok(&run->strings); i++)
        run_resolve_edit(run, &run->edits[i]);
    for (size_t i = 0; i < run->count && code == WEIR_OK; i++)
        code = weir__config_edit_check(run->config, &run->edits[i], error);
    if (code == WEIR_OK) {
        weir__text_init(&keys, &run->env);
        weir__map_init(&seen, &run->env);
        code = run_distinct(run, &keys, &seen, error);
        weir__map_free(&seen);
        weir__text_free(&keys);
    }
    return code == WEIR_ENOMEM ? weir__config_refuse(error, code, "", weir_strerror(code)) : code;
}

/* Whether the view has it so already. Rules are put anew whatever they are. */
static bool run_same(const weir__config_run *run, const weir__config_edit *edit)
{
    const weir__config_entry *const entry =
        weir__config_find(run->config, edit->name, strlen(edit->name));
    for (uint32_t i = 0; edit->what == WEIR__CONFIG_SET && entry != NULL && i < entry->count; i++) {
        const weir__config_item *const item = &entry->items[i];
        weir_bytes const raw = {weir__config_bytes(entry, item->raw_at), item->raw_size};
        weir__config_record record;
        if (weir__config_item_in(entry, item, edit->environment, edit->label))
            return !item->deleted && weir__config_record_parse(raw, &record) &&
                   weir__config_equal(record.value, edit->value) &&
                   weir__config_same(record.source, edit->source);
    }
    return false;
}

static void run_end(weir__config_run *run)
{
    if (run->done != NULL)
        run->done(&run->result, run->user);
    weir__config_run_free(run);
}

static void run_told(const weir_config_result *result, void *user);

/* Batch after batch; answers that come at once are taken here, so that no stack grows. */
static void run_ask(weir__config_run *run)
{
    run->asking = true;
    do {
        size_t const left = run->count - run->at;
        size_t const batch = run->config->options.batch;
        size_t const count = left < batch ? left : batch;
        if (count == 0)
            break;
        const weir__config_edit *const edits = run->edits + run->at;
        run->again = false;
        run->at += count;
        int const code =
            weir__config_submit(run->config, edits, count, run_told, run, &run->result.error);
        if (code != WEIR_OK)
            run->result.code = code;
        if (run->result.code != WEIR_OK)
            break;
        if (!run->again) {
            run->asking = false;
            return; /* Its answer goes on. */
        }
    } while (run->result.code == WEIR_OK);
    run->result.succeeded = run->result.code == WEIR_OK;
    run_end(run);
}

static void run_told(const weir_config_result *result, void *user)
{
    weir__config_run *const run = user;
    uint64_t const first = run->result.version != 0 ? run->result.version : result->version;
    run->result = *result;
    run->result.version = first;
    run->again = true;
    if (run->asking)
        return;
    if (result->code == WEIR_OK)
        run_ask(run);
    else
        run_end(run);
}

size_t weir__config_run_trim(weir__config_run *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++)
        if (!run_same(run, &run->edits[i]))
            run->edits[kept++] = run->edits[i];
    run->count = kept;
    return kept;
}

void weir__config_run_start(weir__config_run *run, weir_config_done_fn done, void *user)
{
    run->done = done;
    run->user = user;
    run->result.revision = run->config->revision;
    run_ask(run);
}
