/* What one source says of a layer: all of it, and nothing that it said before. */
#include "config/config.h"

#include "base/map.h"

#include <string.h>

bool weir__config_says_ok(const weir__config_says *says)
{
    return says->source != NULL && weir__config_source_ok(says->source) &&
           (says->environment == NULL ||
            weir__config_word_ok(weir_bytes_of(says->environment), WEIR_CONFIG_LABEL_SIZE)) &&
           (says->label == NULL ||
            weir__config_word_ok(weir_bytes_of(says->label), WEIR_CONFIG_LABEL_SIZE));
}

int weir__config_run_say(weir__config_run *run, const weir__config_says *says, const char *name,
                         size_t name_size, weir_bytes value)
{
    weir__config_edit *const edit = weir__config_run_add(run);
    if (edit == NULL)
        return WEIR_ENOMEM;
    if (name_size == 0 || memchr(name, '\0', name_size) != NULL)
        name_size = 0; /* No name: refused when it is checked. */
    edit->name = weir__config_run_string(run, name, name_size);
    edit->value = (weir_bytes){weir__config_run_string(run, value.data, value.size), value.size};
    edit->source = weir__config_run_string(run, says->source, strlen(says->source));
    if (says->environment != NULL)
        edit->environment =
            weir__config_run_string(run, says->environment, strlen(says->environment));
    if (says->label != NULL)
        edit->label = weir__config_run_string(run, says->label, strlen(says->label));
    return WEIR_OK;
}

static bool publish_has(const weir__map *names, const weir__config_entry *entry)
{
    return weir__map_get(names, weir__config_bytes(entry, entry->name_at), entry->name_size) !=
           NULL;
}

static bool publish_owns(const weir__config_says *says, const weir__config_entry *entry)
{
    for (uint32_t i = 0; i < entry->count; i++) {
        const weir__config_item *const item = &entry->items[i];
        weir__config_record record;
        weir_bytes const raw = {weir__config_bytes(entry, item->raw_at), item->raw_size};
        if (weir__config_item_in(entry, item, says->environment, says->label))
            return !item->deleted && weir__config_record_parse(raw, &record) &&
                   weir__config_same(record.source, says->source);
    }
    return false;
}

/* Appends the names, each with its NUL, that the source owns and the map has not. */
static void publish_list(weir_config *config, const weir__config_says *says, const weir__map *names,
                         weir__text *out)
{
    weir__config_entry *entry;
    for (size_t at[2] = {0, 0}; (entry = weir__config_next(config, at)) != NULL;)
        if (publish_owns(says, entry) && !publish_has(names, entry))
            weir__text_bytes(out, weir__config_bytes(entry, entry->name_at), entry->name_size + 1);
}

int weir__config_run_unsay(weir__config_run *run, const weir__config_says *says)
{
    weir__map names;
    weir__text gone; /* Copies: to add edits may move the strings, and with them the map's keys. */
    size_t const there = run->count;
    weir__map_init(&names, &run->env);
    weir__text_init(&gone, &run->env);
    int code = weir__map_reserve(&names, there);
    for (size_t i = 0; code == WEIR_OK && i < there; i++) {
        const char *const name = weir__config_run_resolve(run, run->edits[i].name);
        code = weir__map_put(&names, name, strlen(name), run);
    }
    if (code == WEIR_OK)
        publish_list(run->config, says, &names, &gone);
    if (!weir__text_ok(&gone))
        code = WEIR_ENOMEM;
    for (size_t at = 0; code == WEIR_OK && at < gone.size; at += strlen(gone.data + at) + 1) {
        const char *const name = gone.data + at;
        code = weir__config_run_say(run, says, name, strlen(name), (weir_bytes){"", 0});
        if (code == WEIR_OK)
            run->edits[run->count - 1].what = WEIR__CONFIG_REMOVE;
    }
    weir__text_free(&gone);
    weir__map_free(&names);
    return code;
}

static int publish_fill(weir__config_run *run, const weir__config_says *says,
                        const weir_config_change *changes, size_t count, weir_config_error *error)
{
    int code = WEIR_OK;
    for (size_t i = 0; code == WEIR_OK && i < count; i++)
        code = weir__config_run_say(run, says, changes[i].name, strlen(changes[i].name),
                                    changes[i].value);
    if (code == WEIR_OK && !weir__text_ok(&run->strings))
        code = WEIR_ENOMEM;
    if (code == WEIR_OK)
        code = weir__config_run_unsay(run, says);
    if (code == WEIR_ENOMEM)
        return weir__config_refuse(error, code, "", weir_strerror(code));
    return weir__config_run_check(run, error);
}

int weir_config_publish(weir_config *config, const char *source, const char *environment,
                        const char *label, const weir_config_change *changes, size_t count,
                        weir_config_done_fn done, void *user, weir_config_error *error)
{
    weir__config_says const says = {source, environment, label};
    if (!weir__config_says_ok(&says))
        return weir__config_refuse(error, WEIR_EINVAL, "", "source, environment or label");
    if (!config->in_sync)
        return weir__config_refuse(error, WEIR_EBUSY, "", "not all keys were read yet");
    weir__config_run *const run = weir__config_run_create(config);
    int const code = run != NULL
                         ? publish_fill(run, &says, changes, count, error)
                         : weir__config_refuse(error, WEIR_ENOMEM, "", weir_strerror(WEIR_ENOMEM));
    if (code != WEIR_OK) {
        if (run != NULL)
            weir__config_run_free(run);
        return code;
    }
    (void)weir__config_run_trim(run);
    weir__config_run_start(run, done, user);
    return WEIR_OK;
}
