#include "config/config.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

#define CONFIG_LINE_MAX 4096 /* A record's first line. */

bool weir__config_equal(weir_bytes a, weir_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool weir__config_same(weir_bytes bytes, const char *str)
{
    return weir__config_equal(bytes, weir_bytes_of(str != NULL ? str : ""));
}

bool weir__config_word_ok(weir_bytes word, size_t room)
{
    const unsigned char *const bytes = word.data;
    if (word.size == 0 || word.size >= room)
        return false;
    for (size_t i = 0; i < word.size; i++)
        if (bytes[i] <= ' ' || bytes[i] == 0x7f || strchr("@:${}", bytes[i]) != NULL)
            return false;
    return weir__text_is_utf8(word.data, word.size);
}

bool weir__config_source_ok(const char *source)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t const size = strlen(source);
    return size >= 1 && size < WEIR_CONFIG_LABEL_SIZE && strspn(source, allowed) == size;
}

static weir_bytes record_slice(weir_bytes of, size_t from, size_t to)
{
    return (weir_bytes){(const char *)of.data + from, to - from};
}

/* Where the byte is, from `from` on; the size if it is nowhere. */
static size_t record_find(weir_bytes bytes, char byte, size_t from)
{
    const char *const data = bytes.data;
    const char *const found =
        from < bytes.size ? memchr(data + from, byte, bytes.size - from) : NULL;
    return found != NULL ? (size_t)(found - data) : bytes.size;
}

/* What follows the '@': "@<rule>", "<environment>", "<environment>:<label>" or ":<label>". */
static bool record_scope_parse(weir_bytes scope, weir__config_key *out)
{
    if (scope.size > 0 && *(const char *)scope.data == '@') {
        out->rule = record_slice(scope, 1, scope.size);
        out->layer = WEIR_CONFIG_GRAY;
        return weir__config_word_ok(out->rule, WEIR_CONFIG_LABEL_SIZE);
    }
    size_t const colon = record_find(scope, ':', 0);
    out->environment = record_slice(scope, 0, colon);
    bool const has_label = colon < scope.size;
    if (has_label)
        out->label = record_slice(scope, colon + 1, scope.size);
    out->layer = colon == 0  ? WEIR_CONFIG_LABEL
                 : has_label ? WEIR_CONFIG_ENVIRONMENT_LABEL
                             : WEIR_CONFIG_ENVIRONMENT;
    return (colon == 0 || weir__config_word_ok(out->environment, WEIR_CONFIG_LABEL_SIZE)) &&
           (has_label ? weir__config_word_ok(out->label, WEIR_CONFIG_LABEL_SIZE) : colon > 0);
}

bool weir__config_key_parse(weir_bytes key, weir__config_key *out)
{
    size_t const at = record_find(key, '@', 0);
    *out = (weir__config_key){.name = record_slice(key, 0, at), .layer = WEIR_CONFIG_DEFAULT};
    out->scope = record_slice(key, at, key.size);
    return weir__config_word_ok(out->name, WEIR_CONFIG_NAME_SIZE) &&
           (at == key.size || record_scope_parse(record_slice(key, at + 1, key.size), out));
}

static bool record_number(weir_bytes text, uint64_t *out)
{
    weir__number_error ignored;
    return weir__number_u64(text.data, text.size, 0, UINT64_MAX, out, &ignored);
}

/* A word of the line. What is not known is of a later version of ours: passed over. */
static bool record_word(weir_bytes word, weir__config_record *out)
{
    size_t const equals = record_find(word, '=', 0);
    weir_bytes const name = record_slice(word, 0, equals);
    weir_bytes const value =
        record_slice(word, equals < word.size ? equals + 1 : equals, word.size);
    if (weir__config_same(name, "v"))
        return record_number(value, &out->version) && out->version > 0;
    if (weir__config_same(name, "ms"))
        return record_number(value, &out->modified_ms);
    if (weir__config_same(name, "priority"))
        return record_number(value, &out->priority) && out->priority <= UINT32_MAX;
    if (weir__config_same(name, "permille"))
        return record_number(value, &out->permille) && out->permille <= 1000;
    if (weir__config_same(name, "deleted"))
        out->deleted = true;
    else if (weir__config_same(name, "by"))
        out->source = value;
    else if (weir__config_same(name, "env"))
        out->environment = value;
    else if (weir__config_same(name, "labels"))
        out->labels = value;
    else if (weir__config_same(name, "salt"))
        out->salt = value;
    return true;
}

bool weir__config_record_parse(weir_bytes raw, weir__config_record *out)
{
    *out = (weir__config_record){.version = 0};
    weir_bytes const head = {raw.data, raw.size < CONFIG_LINE_MAX ? raw.size : CONFIG_LINE_MAX};
    size_t const end = record_find(head, '\n', 0);
    if (end == head.size)
        return false;
    weir_bytes const line = {raw.data, end};
    for (size_t from = 0; from < end;) {
        size_t const to = record_find(line, ' ', from);
        if (!record_word(record_slice(line, from, to), out))
            return false;
        from = to + 1;
    }
    out->value = record_slice(raw, end + 1, raw.size);
    return out->version > 0;
}

static void record_field(weir__text *text, const char *name, weir_bytes value)
{
    if (value.size == 0)
        return;
    weir__text_str(text, name);
    weir__text_bytes(text, value.data, value.size);
}

void weir__config_record_write(weir__text *text, const weir__config_record *record)
{
    weir__text_str(text, "v=");
    weir__text_u64(text, record->version);
    weir__text_str(text, " ms=");
    weir__text_u64(text, record->modified_ms);
    if (record->deleted)
        weir__text_str(text, " deleted");
    record_field(text, " by=", record->source);
    if (record->salt.size > 0) { /* A rule. */
        weir__text_str(text, " priority=");
        weir__text_u64(text, record->priority);
        weir__text_str(text, " permille=");
        weir__text_u64(text, record->permille);
        record_field(text, " salt=", record->salt);
        record_field(text, " env=", record->environment);
        record_field(text, " labels=", record->labels);
    }
    weir__text_str(text, "\n");
}

void weir__config_key_write(weir__text *text, const weir__config_edit *edit)
{
    weir__text_str(text, edit->name);
    if (edit->rule != NULL || edit->environment != NULL || edit->label != NULL)
        weir__text_str(text, "@");
    if (edit->rule != NULL) {
        weir__text_str(text, "@");
        weir__text_str(text, edit->rule);
        return;
    }
    if (edit->environment != NULL)
        weir__text_str(text, edit->environment);
    if (edit->label != NULL) {
        weir__text_str(text, ":");
        weir__text_str(text, edit->label);
    }
}

void weir__config_version_write(weir__text *text, uint64_t version)
{
    char digits[32];
    (void)snprintf(digits, sizeof digits, "::%020llu", (unsigned long long)version);
    weir__text_str(text, digits);
}

static const char *record_copy(char *out, weir_bytes word)
{
    if (word.size > 0)
        memcpy(out, word.data, word.size);
    out[word.size] = '\0';
    return out;
}

void weir__config_value_of(const weir__config_key *key, weir_bytes raw, uint64_t revision,
                           weir__config_words *words, weir_config_value *out)
{
    weir__config_record record;
    bool const good = weir__config_record_parse(raw, &record);
    bool const rule = key->layer == WEIR_CONFIG_GRAY;
    bool const scoped = rule && good && record.environment.size < sizeof words->environment;
    *out = (weir_config_value){
        .name = record_copy(words->name, key->name),
        .environment =
            record_copy(words->environment, scoped ? record.environment : key->environment),
        .label = record_copy(words->label, key->label),
        .revision = revision,
        .deleted = true,
    };
    (void)record_copy(words->rule, key->rule);
    if (!good)
        return;
    out->version = record.version;
    out->modified_ms = record.modified_ms;
    out->deleted = record.deleted;
    out->source = record.source;
    if (!record.deleted)
        out->value = record.value;
}

int weir__config_refuse(weir_config_error *error, int code, const char *name, const char *message)
{
    if (error == NULL)
        return code;
    *error = (weir_config_error){.code = code};
    (void)snprintf(error->name, sizeof error->name, "%s", name != NULL ? name : "");
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return code;
}
