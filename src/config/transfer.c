#include "config/config.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- Export ---- */

static void transfer_member(weir__text *out, const char *name, weir_bytes value)
{
    if (value.size == 0)
        return;
    weir__text_format(out, ",\"%s\":", name);
    weir__text_json(out, value.data, value.size);
}

static void transfer_labels(weir__text *out, weir_bytes labels)
{
    const char *const data = labels.data;
    weir__text_str(out, ",\"labels\":[");
    for (size_t from = 0; from < labels.size;) {
        const char *const comma = memchr(data + from, ',', labels.size - from);
        size_t const to = comma != NULL ? (size_t)(comma - data) : labels.size;
        weir__text_str(out, from > 0 ? "," : "");
        weir__text_json(out, data + from, to - from);
        from = to + 1;
    }
    weir__text_str(out, "]");
}

static void transfer_item(weir__text *out, const weir__config_entry *entry,
                          const weir__config_item *item)
{
    weir__config_record record;
    const char *const scope = weir__config_bytes(entry, item->scope_at);
    (void)weir__config_record_parse((weir_bytes){weir__config_bytes(entry, item->raw_at),
                                                 item->raw_size},
                                    &record);
    weir__text_str(out, "{\"name\":");
    weir__text_json(out, weir__config_bytes(entry, entry->name_at), entry->name_size);
    if (item->layer == WEIR_CONFIG_GRAY) {
        transfer_member(out, "rule", (weir_bytes){scope + 2, item->scope_size - 2});
        transfer_member(out, "environment", record.environment);
        weir__text_format(out, ",\"priority\":%u,\"permille\":%u", (unsigned)record.priority,
                          (unsigned)record.permille);
        transfer_member(out, "salt", record.salt);
        transfer_labels(out, record.labels);
    } else {
        transfer_member(out, "environment", weir__config_item_environment(entry, item));
        transfer_member(out, "label", weir__config_item_label(entry, item));
        transfer_member(out, "source", record.source);
    }
    weir__text_str(out, ",");
    weir__text_json_value(out, record.value.data, record.value.size);
    weir__text_str(out, "}");
}

static int transfer_order(const void *a, const void *b)
{
    const weir__config_entry *const x = *(weir__config_entry *const *)a;
    const weir__config_entry *const y = *(weir__config_entry *const *)b;
    return strcmp(weir__config_bytes(x, x->name_at), weir__config_bytes(y, y->name_at));
}

/* All values, or all rules, of these entries. */
static void transfer_list(weir__text *out, weir__config_entry *const *entries, size_t count,
                          bool rules)
{
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < entries[i]->count; k++) {
            const weir__config_item *const item = &entries[i]->items[k];
            if (item->deleted || (item->layer == WEIR_CONFIG_GRAY) != rules)
                continue;
            weir__text_str(out, first ? "\n" : ",\n");
            transfer_item(out, entries[i], item);
            first = false;
        }
    }
    weir__text_str(out, "]");
}

int weir_config_export(weir_config *config, const char *pattern, weir_config_write_fn write,
                       void *user)
{
    if (!atomic_load(&config->ready))
        return WEIR_EBUSY;
    weir__config_entry **entries = NULL;
    size_t const bytes = (config->entries + 1) * sizeof(void *);
    entries = weir__alloc(&config->env, bytes);
    if (entries == NULL)
        return WEIR_ENOMEM;
    size_t count = 0;
    weir__config_entry *entry;
    for (size_t at[2] = {0, 0}; (entry = weir__config_next(config, at)) != NULL;)
        if (pattern == NULL ||
            weir_config_match(pattern, weir__config_bytes(entry, entry->name_at)))
            entries[count++] = entry;
    qsort(entries, count, sizeof(void *), transfer_order);
    weir__text out;
    weir__text_init(&out, &config->env);
    weir__text_format(&out, "{\"revision\":%llu,\"values\":[",
                      (unsigned long long)config->revision);
    transfer_list(&out, entries, count, false);
    weir__text_str(&out, ",\n\"rules\":[");
    transfer_list(&out, entries, count, true);
    weir__text_str(&out, "}\n");
    weir__free(&config->env, entries, bytes);
    int const code = weir__text_ok(&out) ? WEIR_OK : WEIR_ENOMEM;
    if (code == WEIR_OK)
        write(out.data, out.size, user);
    weir__text_free(&out);
    return code;
}

/* ---- Import ---- */

typedef struct transfer_reader {
    weir__config_run *run;
    weir__json json;
} transfer_reader;

/* Of a string value: its place; NULL: the document is wrong. With a NUL in it, it is no name. */
static const char *transfer_string(transfer_reader *r, size_t *size)
{
    weir__text *const strings = &r->run->strings;
    size_t const at = strings->size;
    if (!weir__json_text(&r->json, strings))
        return NULL;
    *size = strings->size - at;
    weir__text_bytes(strings, "", 1);
    if (weir__text_ok(strings) && strlen(strings->data + at) != *size)
        (void)weir__json_fail(&r->json, "a NUL in a name");
    return weir__config_run_offset(at);
}

static void transfer_word(transfer_reader *r, const char **out)
{
    size_t size;
    *out = transfer_string(r, &size);
}

static void transfer_read_value(transfer_reader *r, weir__config_edit *edit)
{
    weir__text *const strings = &r->run->strings;
    size_t const at = strings->size;
    if (!weir__json_text(&r->json, strings))
        return;
    edit->value = (weir_bytes){weir__config_run_offset(at), strings->size - at};
    weir__text_bytes(strings, "", 1);
}

static int transfer_nibble(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *const found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

static void transfer_read_hex(transfer_reader *r, weir__config_edit *edit)
{
    weir__text *const strings = &r->run->strings;
    size_t const at = strings->size;
    if (weir__json_next(&r->json) != WEIR__JSON_STRING || r->json.token_size % 2 != 0) {
        (void)weir__json_fail(&r->json, "expected hexadecimal digits");
        return;
    }
    for (size_t i = 0; i < r->json.token_size; i += 2) {
        int const high = transfer_nibble(r->json.token[i]);
        int const low = transfer_nibble(r->json.token[i + 1]);
        if (high < 0 || low < 0) {
            (void)weir__json_fail(&r->json, "expected hexadecimal digits");
            return;
        }
        weir__text_bytes(strings, (const unsigned char[]){(unsigned char)(high * 16 + low)}, 1);
    }
    edit->value = (weir_bytes){weir__config_run_offset(at), strings->size - at};
    weir__text_bytes(strings, "", 1);
}

/* As they are in a record: with commas between. */
static void transfer_read_labels(transfer_reader *r, weir__config_edit *edit)
{
    weir__text *const strings = &r->run->strings;
    size_t const at = strings->size;
    weir__json_array(&r->json);
    while (weir__json_element(&r->json)) {
        if (strings->size > at)
            weir__text_str(strings, ",");
        size_t const begin = strings->size;
        weir__json_text(&r->json, strings);
        for (size_t i = begin; i < strings->size; i++)
            if ((unsigned char)strings->data[i] <= ' ' || strings->data[i] == ',' ||
                strings->data[i] == 0x7f)
                (void)weir__json_fail(&r->json, "not a label");
    }
    weir__text_bytes(strings, "", 1);
    edit->labels = weir__config_run_offset(at);
}

static void transfer_number(transfer_reader *r, uint64_t max, uint32_t *out)
{
    uint64_t number = 0;
    if (weir__json_u64(&r->json, 0, max, &number))
        *out = (uint32_t)number;
}

static void transfer_read_member(transfer_reader *r, weir__config_edit *edit)
{
    bool const rule = edit->what == WEIR__CONFIG_RULE;
    if (weir__json_is(&r->json, "name"))
        transfer_word(r, &edit->name);
    else if (weir__json_is(&r->json, "environment"))
        transfer_word(r, rule ? &edit->rule_environment : &edit->environment);
    else if (weir__json_is(&r->json, "value"))
        transfer_read_value(r, edit);
    else if (weir__json_is(&r->json, "hex"))
        transfer_read_hex(r, edit);
    else if (!rule && weir__json_is(&r->json, "label"))
        transfer_word(r, &edit->label);
    else if (!rule && weir__json_is(&r->json, "source"))
        transfer_word(r, &edit->source);
    else if (rule && weir__json_is(&r->json, "rule"))
        transfer_word(r, &edit->rule);
    else if (rule && weir__json_is(&r->json, "salt"))
        transfer_word(r, &edit->salt);
    else if (rule && weir__json_is(&r->json, "priority"))
        transfer_number(r, UINT32_MAX, &edit->priority);
    else if (rule && weir__json_is(&r->json, "permille"))
        transfer_number(r, 1000, &edit->permille);
    else if (rule && weir__json_is(&r->json, "labels"))
        transfer_read_labels(r, edit);
    else
        (void)weir__json_fail(&r->json, "a member that is not known");
}

static int transfer_read_list(transfer_reader *r, weir__config_what what)
{
    weir__json_array(&r->json);
    while (weir__json_element(&r->json)) {
        weir__config_edit *const edit = weir__config_run_add(r->run);
        if (edit == NULL)
            return WEIR_ENOMEM;
        edit->what = what;
        weir__json_object(&r->json);
        while (weir__json_member(&r->json))
            transfer_read_member(r, edit);
        if (edit->name == NULL || edit->value.data == NULL ||
            (what == WEIR__CONFIG_RULE && edit->rule == NULL))
            (void)weir__json_fail(&r->json, "a name, a value or a rule is missing");
        if (what == WEIR__CONFIG_RULE && edit->salt == NULL)
            edit->salt = edit->rule;
    }
    return WEIR_OK;
}

static int transfer_read(transfer_reader *r, const char *text, size_t size,
                         weir_config_error *error)
{
    int code = WEIR_OK;
    weir__json_begin(&r->json, text, size);
    weir__json_object(&r->json);
    while (code == WEIR_OK && weir__json_member(&r->json)) {
        if (weir__json_is(&r->json, "values"))
            code = transfer_read_list(r, WEIR__CONFIG_SET);
        else if (weir__json_is(&r->json, "rules"))
            code = transfer_read_list(r, WEIR__CONFIG_RULE);
        else
            weir__json_skip(&r->json);
    }
    if (code == WEIR_OK && !weir__json_end(&r->json)) {
        code = weir__config_refuse(error, WEIR_EPROTOCOL, "", r->json.error);
        if (error != NULL)
            error->line = weir__json_line(&r->json);
        return code;
    }
    if (code == WEIR_OK)
        return weir__config_run_check(r->run, error);
    return weir__config_refuse(error, code, "", weir_strerror(code));
}

int weir_config_import(weir_config *config, const char *text, size_t size, weir_config_done_fn done,
                       void *user, weir_config_error *error)
{
    transfer_reader reader = {.run = weir__config_run_create(config)};
    if (reader.run == NULL)
        return weir__config_refuse(error, WEIR_ENOMEM, "", weir_strerror(WEIR_ENOMEM));
    int const code = transfer_read(&reader, text, size, error);
    if (code == WEIR_OK) {
        (void)weir__config_run_trim(reader.run);
        weir__config_run_start(reader.run, done, user);
    } else {
        weir__config_run_free(reader.run);
    }
    return code;
}
