#include "config/config.h"

#include <stdio.h>
#include <string.h>

#define EXPAND_DEPTH 16
#define EXPAND_STEPS 1000

/* A value that is being filled in, and what asked for it. */
typedef struct expand_frame {
    const struct expand_frame *parent;
    const char *name; /* NULL: the template itself, a name or a default. */
} expand_frame;

typedef struct expand_run {
    weir_config *config;
    const weir_config_client *client;
    weir_config_error *error;
    unsigned steps;
} expand_run;

/* What is written to: the result, or a name. */
typedef struct expand_out {
    char *data;
    size_t size, room;
} expand_out;

static int expand_text(expand_run *run, const expand_frame *frame, unsigned depth, weir_bytes text,
                       expand_out *out);

static int expand_fail(const expand_run *run, int code, const char *name, const char *message)
{
    return weir__config_refuse(run->error, code, name, message);
}

static int expand_write(const expand_run *run, expand_out *out, const char *data, size_t size)
{
    if (size >= out->room - out->size)
        return expand_fail(run, WEIR_ETOOLARGE, "", "the result is over its room");
    if (size > 0)
        memcpy(out->data + out->size, data, size);
    out->size += size;
    out->data[out->size] = '\0';
    return WEIR_OK;
}

/* a -> b -> a. */
static int expand_cycle(const expand_run *run, const expand_frame *frame, const char *name)
{
    const char *names[EXPAND_DEPTH + 1] = {name};
    size_t count = 1;
    char message[sizeof run->error->message] = "a cycle: ";
    for (const expand_frame *f = frame; strcmp(names[count - 1], name) != 0 || count == 1;
         f = f->parent)
        names[count++] = f->name; /* It is among them: who asks knows. */
    for (size_t i = count, used = strlen(message); i-- > 0 && used < sizeof message;) {
        int const wrote =
            snprintf(message + used, sizeof message - used, "%s%s", names[i], i > 0 ? " -> " : "");
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return expand_fail(run, WEIR_EINVAL, name, message);
}

/* Its value, or the default if it has none. */
static int expand_name(expand_run *run, const expand_frame *frame, unsigned depth, const char *name,
                       const weir_bytes *fallback, expand_out *out)
{
    const weir__config_entry *entry;
    int code;
    if (!weir__config_word_ok(weir_bytes_of(name), WEIR_CONFIG_NAME_SIZE))
        return expand_fail(run, WEIR_EPROTOCOL, name, "not a name");
    const weir__config_item *const item =
        weir__config_choose(run->config, name, run->client, &entry, &code);
    if (item == NULL && fallback != NULL) /* On the same frame: it is not this name's value. */
        return expand_text(run, frame, depth + 1, *fallback, out);
    if (item == NULL)
        return expand_fail(run, code, name, "no value, and no default");
    for (const expand_frame *f = frame; f != NULL; f = f->parent)
        if (f->name != NULL && strcmp(f->name, name) == 0)
            return expand_cycle(run, frame, name);
    expand_frame const inner = {.parent = frame, .name = name};
    weir_bytes const value = {weir__config_bytes(entry, item->value_at), item->value_size};
    return expand_text(run, &inner, depth + 1, value, out);
}

/* The brace that closes what was opened before `at`; the size if there is none. */
static size_t expand_close(weir_bytes text, size_t at, size_t *colon)
{
    const char *const data = text.data;
    unsigned open = 0;
    *colon = text.size;
    for (; at < text.size; at++) {
        if (data[at] == '}' && open-- == 0)
            return at;
        if (data[at] == '{')
            open++;
        else if (data[at] == ':' && open == 0 && *colon == text.size)
            *colon = at;
    }
    return text.size;
}

/* ${...}, `at` behind its brace: how far it goes is set in *end. */
static int expand_reference(expand_run *run, const expand_frame *frame, unsigned depth,
                            weir_bytes text, size_t at, size_t *end, expand_out *out)
{
    const char *const data = text.data;
    char name[WEIR_CONFIG_NAME_SIZE];
    expand_out named = {.data = name, .room = sizeof name};
    size_t colon;
    *end = expand_close(text, at, &colon);
    if (*end == text.size)
        return expand_fail(run, WEIR_EPROTOCOL, frame->name, "${ without }");
    if (depth >= EXPAND_DEPTH || run->steps++ >= EXPAND_STEPS)
        return expand_fail(run, WEIR_ETOOLARGE, frame->name, "too many references");
    size_t const name_end = colon < *end ? colon : *end;
    weir_bytes const fallback = {data + name_end + 1, *end - name_end - (colon < *end)};
    name[0] = '\0';
    int const code =
        expand_text(run, frame, depth + 1, (weir_bytes){data + at, name_end - at}, &named);
    if (code != WEIR_OK)
        return code;
    return expand_name(run, frame, depth, name, colon < *end ? &fallback : NULL, out);
}

static int expand_text(expand_run *run, const expand_frame *frame, unsigned depth, weir_bytes text,
                       expand_out *out)
{
    const char *const data = text.data;
    int code = WEIR_OK;
    for (size_t at = 0; at < text.size && code == WEIR_OK;) {
        const char *const dollar = memchr(data + at, '$', text.size - at);
        size_t const plain = dollar != NULL ? (size_t)(dollar - data) : text.size;
        size_t const left = text.size - plain;
        code = expand_write(run, out, data + at, plain - at);
        at = plain;
        if (code != WEIR_OK || left == 0)
            break;
        if (left >= 3 && memcmp(data + at, "$${", 3) == 0) {
            code = expand_write(run, out, "${", 2);
            at += 3;
        } else if (left >= 2 && data[at + 1] == '{') {
            size_t end;
            code = expand_reference(run, frame, depth, text, at + 2, &end, out);
            at = end + 1;
        } else {
            code = expand_write(run, out, "$", 1);
            at++;
        }
    }
    return code;
}

int weir_config_expand(weir_config *config, const char *text, const weir_config_client *client,
                       char *out, size_t room, size_t *size, weir_config_error *error)
{
    expand_run run = {.config = config, .client = client, .error = error};
    expand_out result = {.data = out, .room = room};
    expand_frame const frame = {.parent = NULL};
    if (room == 0)
        return expand_fail(&run, WEIR_ETOOLARGE, "", "the result is over its room");
    out[0] = '\0';
    weir__reader *const reader = weir__read_begin();
    int const code = expand_text(&run, &frame, 0, weir_bytes_of(text), &result);
    weir__read_end(reader);
    if (size != NULL)
        *size = result.size;
    return code;
}
