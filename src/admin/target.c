#include "admin/target.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define TARGET_MAX_NAME 255 /* Of a service, and of an id. */

static const char *const target_names[WEIR__ADMIN_PARAMS] = {
    [WEIR__ADMIN_WATCH] = "watch",
    [WEIR__ADMIN_HISTORY] = "history",
    [WEIR__ADMIN_AVAILABLE] = "available",
    [WEIR__ADMIN_OFF] = "off",
    [WEIR__ADMIN_PATTERN] = "pattern",
    [WEIR__ADMIN_REVISION] = "revision",
    [WEIR__ADMIN_ENVIRONMENT] = "environment",
    [WEIR__ADMIN_LABEL] = "label",
    [WEIR__ADMIN_ID] = "id",
    [WEIR__ADMIN_LABELS] = "labels",
    [WEIR__ADMIN_SOURCE] = "source",
    [WEIR__ADMIN_VERSION] = "version",
    [WEIR__ADMIN_ROLLBACK] = "rollback",
    [WEIR__ADMIN_PROMOTE] = "promote",
    [WEIR__ADMIN_ABANDON] = "abandon",
    [WEIR__ADMIN_ZONE] = "zone",
    [WEIR__ADMIN_OF_SERVICE] = "service",
};

typedef struct target_reader {
    weir__admin_target *target;
    char *room; /* Where the next string goes. */
} target_reader;

/* ---- Strings ---- */

static int target_nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The first error is told. */
static void target_fail(weir__admin_target *target, const char *field, weir_http_slice text,
                        const char *message)
{
    if (target->error[0] != '\0')
        return;
    int const size = text.size < 48 ? (int)text.size : 48;
    (void)snprintf(target->error, sizeof target->error, "%s%.*s: %s", field, size, text.data,
                   message);
}

/* Decoded, with a NUL. In a form, '+' is a blank. */
static char *target_decode(target_reader *r, weir_http_slice text, bool form, const char *field)
{
    char *const out = r->room;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int const high = i + 2 < text.size ? target_nibble(text.data[i + 1]) : -1;
            int const low = high >= 0 ? target_nibble(text.data[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                target_fail(r->target, field, (weir_http_slice){"", 0},
                            low < 0 ? "malformed percent-escape" : "a NUL");
                break;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        *r->room++ = c;
    }
    *r->room++ = '\0';
    return out;
}

/* What is before a byte, which is taken too; all of it, if there is none. True: it was there. */
static bool target_take(weir_http_slice *from, char byte, weir_http_slice *taken)
{
    const char *const found = from->size > 0 ? memchr(from->data, byte, from->size) : NULL;
    *taken =
        (weir_http_slice){from->data, found != NULL ? (size_t)(found - from->data) : from->size};
    size_t const used = taken->size + (found != NULL);
    *from = (weir_http_slice){from->data + used, from->size - used};
    return found != NULL;
}

/* ---- The path ---- */

weir__admin_place weir__admin_target_root(weir_http_slice path)
{
    static const struct {
        const char *name;
        weir__admin_place place;
    } roots[] = {{"/config", WEIR__ADMIN_CONFIG}, {"/services", WEIR__ADMIN_SERVICES}};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        size_t const size = strlen(roots[i].name);
        if (path.size >= size && memcmp(path.data, roots[i].name, size) == 0 &&
            (path.size == size || path.data[size] == '/' || path.data[size] == '?'))
            return roots[i].place;
    }
    return WEIR__ADMIN_ELSEWHERE;
}

/* As the registry has it; so that what it is given is never refused for its name. */
static void target_check_name(weir__admin_target *target, const char *field, const char *name)
{
    size_t const size = strlen(name);
    bool good = size > 0 && size <= TARGET_MAX_NAME && weir__text_is_utf8(name, size);
    for (size_t i = 0; i < size && good; i++)
        good = name[i] != '/' && (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    if (!good)
        target_fail(target, field, (weir_http_slice){"", 0}, "not a name");
}

static weir__admin_place target_verb(weir_http_slice verb)
{
    static const struct {
        const char *name;
        weir__admin_place place;
    } verbs[] = {{"heartbeat", WEIR__ADMIN_HEARTBEAT},
                 {"status", WEIR__ADMIN_STATUS},
                 {"override", WEIR__ADMIN_OVERRIDE},
                 {"drain", WEIR__ADMIN_DRAIN}};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (verb.size == strlen(verbs[i].name) && memcmp(verb.data, verbs[i].name, verb.size) == 0)
            return verbs[i].place;
    return WEIR__ADMIN_NOTHING;
}

/* SERVICE[/ID[/VERB]] */
static void target_read_service(target_reader *r, weir_http_slice path)
{
    weir__admin_target *const target = r->target;
    weir_http_slice part;
    bool more = target_take(&path, '/', &part);
    target->place = WEIR__ADMIN_SERVICE;
    target->service = target_decode(r, part, false, "service");
    target_check_name(target, "service", target->service);
    if (!more)
        return;
    more = target_take(&path, '/', &part);
    target->place = more ? target_verb(path) : WEIR__ADMIN_INSTANCE;
    target->id = target_decode(r, part, false, "id");
    target_check_name(target, "id", target->id);
}

static void target_read_path(target_reader *r, weir_http_slice path)
{
    weir__admin_target *const target = r->target;
    target->place = weir__admin_target_root(path);
    size_t const root = target->place == WEIR__ADMIN_CONFIG ? 7 : 9;
    if (path.size == root)
        return;
    path = (weir_http_slice){path.data + root + 1, path.size - root - 1};
    if (target->place == WEIR__ADMIN_SERVICES) {
        target_read_service(r, path);
    } else {
        target->place = WEIR__ADMIN_VALUE;
        target->name = target_decode(r, path, false, "name");
    }
}

/* ---- The query ---- */

/* Set by its name alone, too. */
static void target_flag(weir__admin_target *target, unsigned param, const char *value)
{
    bool const yes = *value == '\0' || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (!yes && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
        target_fail(target, target_names[param], (weir_http_slice){"", 0},
                    "neither true nor false");
    if (!yes)
        target->given &= ~WEIR__ADMIN_BIT(param);
}

static void target_param(target_reader *r, weir_http_slice part)
{
    weir__admin_target *const target = r->target;
    weir_http_slice value = part;
    weir_http_slice raw;
    (void)target_take(&value, '=', &raw);
    char *const name = target_decode(r, raw, true, "query");
    r->room = name; /* Not kept: a '&' stands for one NUL only. */
    unsigned param = 0;
    while (param < WEIR__ADMIN_PARAMS && strcmp(name, target_names[param]) != 0)
        param++;
    if (param == WEIR__ADMIN_PARAMS) {
        target_fail(target, "", raw, "not a parameter");
        return;
    }
    if (target->params[param] != NULL) {
        target_fail(target, "", raw, "given twice");
        return;
    }
    target->params[param] = target_decode(r, value, true, target_names[param]);
    target->given |= WEIR__ADMIN_BIT(param);
    if (param < WEIR__ADMIN_PATTERN)
        target_flag(target, param, target->params[param]);
}

/* Strings are written by way of the reader: NOLINTNEXTLINE(readability-non-const-parameter) */
void weir__admin_target_parse(weir__admin_target *target, weir_http_slice path, char *room)
{
    *target = (weir__admin_target){.place = WEIR__ADMIN_NOTHING};
    target_reader r = {.target = target, .room = room};
    weir_http_slice part;
    (void)target_take(&path, '?', &part);
    target_read_path(&r, part);
    while (path.size > 0) {
        (void)target_take(&path, '&', &part);
        if (part.size > 0)
            target_param(&r, part);
    }
    const char *const service = target->params[WEIR__ADMIN_OF_SERVICE];
    if (service != NULL)
        target_check_name(target, target_names[WEIR__ADMIN_OF_SERVICE], service);
}

void weir__admin_target_check(weir__admin_target *target, uint32_t allowed)
{
    for (unsigned param = 0; param < WEIR__ADMIN_PARAMS; param++)
        if (target->params[param] != NULL && (allowed & WEIR__ADMIN_BIT(param)) == 0)
            target_fail(target, target_names[param], (weir_http_slice){"", 0},
                        "not a parameter here");
}

const char *weir__admin_param_name(weir__admin_param param)
{
    return target_names[param];
}
