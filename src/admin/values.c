#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#define VALUE_LABELS      16
#define VALUE_HEADERS     5
#define VALUE_NUMBER_SIZE 24

static char *value_param(const weir__admin_call *call, weir__admin_param param)
{
    return call->target.params[param];
}

/* ---- Headers of a value ---- */

static const char *value_layer_name(weir_config_layer layer)
{
    switch (layer) {
    case WEIR_CONFIG_DEFAULT: return "default";
    case WEIR_CONFIG_LABEL: return "label";
    case WEIR_CONFIG_ENVIRONMENT: return "environment";
    case WEIR_CONFIG_ENVIRONMENT_LABEL: return "environment_label";
    case WEIR_CONFIG_GRAY: break;
    }
    return "gray";
}

/* The layer that was asked for. */
static weir_config_layer value_layer(const weir__admin_call *call)
{
    bool const label = value_param(call, WEIR__ADMIN_LABEL) != NULL;
    if (value_param(call, WEIR__ADMIN_ENVIRONMENT) != NULL)
        return label ? WEIR_CONFIG_ENVIRONMENT_LABEL : WEIR_CONFIG_ENVIRONMENT;
    return label ? WEIR_CONFIG_LABEL : WEIR_CONFIG_DEFAULT;
}

/* Their texts, and the fields that show them. */
typedef struct value_headers {
    char tag[VALUE_NUMBER_SIZE + 20];
    char version[VALUE_NUMBER_SIZE], revision[VALUE_NUMBER_SIZE], modified[VALUE_NUMBER_SIZE];
    weir_http_header fields[VALUE_HEADERS];
} value_headers;

static void value_number(char *out, uint64_t number)
{
    (void)snprintf(out, VALUE_NUMBER_SIZE, "%llu", (unsigned long long)number);
}

static void value_describe(value_headers *h, const weir_config_info *info, weir_config_layer asked)
{
    const char *const layer = value_layer_name(info->layer);
    bool const own = info->layer == asked;
    value_number(h->version, info->version);
    value_number(h->revision, info->revision);
    value_number(h->modified, info->modified_ms);
    (void)snprintf(h->tag, sizeof h->tag, "\"%s%s%s\"", h->version, own ? "" : "/",
                   own ? "" : layer);
    h->fields[0] = (weir_http_header){weir_http_str("ETag"), weir_http_str(h->tag)};
    h->fields[1] = (weir_http_header){weir_http_str("Weir-Version"), weir_http_str(h->version)};
    h->fields[2] = (weir_http_header){weir_http_str("Weir-Revision"), weir_http_str(h->revision)};
    h->fields[3] = (weir_http_header){weir_http_str("Weir-Layer"), weir_http_str(layer)};
    h->fields[4] =
        (weir_http_header){weir_http_str("Weir-Modified-Ms"), weir_http_str(h->modified)};
}

/* ---- GET ---- */

/* If-None-Match names this tag: weakly compared (RFC 9110, 13.1.2). */
static bool value_unchanged(const weir__admin_call *call, const char *tag)
{
    const weir_http_request *const request = weir_http_exchange_request(call->exchange);
    const weir_http_header *const header =
        weir_http_find(request->headers, request->header_count, "If-None-Match");
    size_t const size = strlen(tag);
    if (header == NULL)
        return false;
    if (weir__admin_same(header->value, "*"))
        return true;
    const char *p = header->value.data;
    const char *const end = p + header->value.size;
    while (p < end) {
        const char *const comma = memchr(p, ',', (size_t)(end - p));
        const char *const next = comma != NULL ? comma : end;
        while (p < next && (*p == ' ' || *p == '\t'))
            p++;
        p += next - p > 2 && p[0] == 'W' && p[1] == '/' ? 2 : 0;
        if ((size_t)(next - p) >= size && memcmp(p, tag, size) == 0 &&
            (p + size == next || p[size] == ' ' || p[size] == '\t'))
            return true;
        p = next + (comma != NULL);
    }
    return false;
}

static void value_answer(weir__admin_call *call, const weir_config_info *info, const void *value)
{
    value_headers headers;
    value_describe(&headers, info, value_layer(call));
    if (value_unchanged(call, headers.tag))
        weir__admin_answer(call, 304, NULL, headers.fields, VALUE_HEADERS, NULL, 0);
    else
        weir__admin_answer(call, 200, "application/octet-stream", headers.fields, VALUE_HEADERS,
                           value, info->size);
}

/* False: there are too many labels. */
static bool value_client(weir__admin_call *call, weir_config_client *client,
                         const char *labels[VALUE_LABELS])
{
    *client = (weir_config_client){.environment = value_param(call, WEIR__ADMIN_ENVIRONMENT),
                                   .label = value_param(call, WEIR__ADMIN_LABEL),
                                   .id = value_param(call, WEIR__ADMIN_ID),
                                   .labels = labels};
    for (char *at = value_param(call, WEIR__ADMIN_LABELS); at != NULL;) {
        char *const comma = strchr(at, ',');
        if (comma != NULL)
            *comma = '\0';
        if (client->label_count == VALUE_LABELS)
            return false;
        labels[client->label_count++] = at;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

void weir__admin_get_value(weir__admin_call *call)
{
    weir_config *const config = call->admin->config;
    const char *const name = call->target.name;
    const char *labels[VALUE_LABELS];
    weir_config_client client;
    weir_config_info info;
    if (!value_client(call, &client, labels)) {
        weir__admin_refuse(call, 400, "labels: more than %d", VALUE_LABELS);
        return;
    }
    int code = weir_config_get(config, name, &client, NULL, 0, &info);
    if (code != WEIR_ETOOLARGE) { /* No room is never enough. */
        if (code == WEIR_EBUSY)
            weir__admin_refuse(call, 503, "config: not in sync yet");
        else
            weir__admin_fail(call, code, "name");
        return;
    }
    size_t const room = info.size + 1;
    weir_env const env = call->env;
    char *const value = weir__alloc(&env, room);
    code = value != NULL ? weir_config_get(config, name, &client, value, room, &info) : WEIR_ENOMEM;
    if (code == WEIR_OK)
        value_answer(call, &info, value);
    else
        weir__admin_fail(call, code, "value");
    weir__free(&env, value, room);
}

/* ---- History ---- */

static void value_write_version(weir__text *out, const weir_config_value *value)
{
    weir__text_format(out, "{\"version\":%llu,\"revision\":%llu,\"modified_ms\":%llu,",
                      (unsigned long long)value->version, (unsigned long long)value->revision,
                      (unsigned long long)value->modified_ms);
    if (value->source.size > 0) {
        weir__text_str(out, "\"source\":");
        weir__text_json(out, value->source.data, value->source.size);
        weir__text_str(out, ",");
    }
    if (value->deleted)
        weir__text_str(out, "\"deleted\":true");
    else
        weir__text_json_value(out, value->value.data, value->value.size);
    weir__text_str(out, "}");
}

static void value_told_history(const weir_config_versions *versions, void *user)
{
    weir__admin_call *const call = user;
    if (!weir__admin_let_go(call))
        return;
    if (versions->code != WEIR_OK || versions->count == 0) {
        weir__admin_fail(call,
                         versions->count == 0 && versions->code == WEIR_OK ? WEIR_ENOTFOUND
                                                                           : versions->code,
                         "name");
        return;
    }
    weir__text out;
    weir_env const env = call->env;
    weir__text_init(&out, &env);
    weir__text_str(&out, "{\"name\":");
    weir__text_json(&out, call->target.name, strlen(call->target.name));
    weir__text_str(&out, ",\"versions\":[");
    for (size_t i = 0; i < versions->count; i++) {
        weir__text_str(&out, i > 0 ? ",\n" : "\n");
        value_write_version(&out, &versions->values[i]);
    }
    weir__text_str(&out, "]}\n");
    weir__admin_answer_json(call, &out);
}

static void value_told_version(const weir_config_versions *versions, void *user)
{
    weir__admin_call *const call = user;
    if (!weir__admin_let_go(call))
        return;
    const weir_config_value *const value =
        versions->code == WEIR_OK ? weir_config_at_version(versions, call->version) : NULL;
    if (value == NULL || value->deleted) {
        weir__admin_fail(call, versions->code == WEIR_OK ? WEIR_ENOTFOUND : versions->code,
                         "version");
        return;
    }
    weir_config_info const info = {.size = value->value.size,
                                   .version = value->version,
                                   .revision = value->revision,
                                   .modified_ms = value->modified_ms,
                                   .layer = value_layer(call)};
    value_answer(call, &info, value->value.data);
}

static void value_ask_history(weir__admin_call *call, weir_config_versions_fn fn)
{
    call->held = true;
    int const code = weir_config_history(call->admin->config, call->target.name,
                                         value_param(call, WEIR__ADMIN_ENVIRONMENT),
                                         value_param(call, WEIR__ADMIN_LABEL), fn, call);
    if (code == WEIR_OK)
        return;
    call->held = false;
    weir__admin_fail(call, code, code == WEIR_EINVAL ? "name, environment or label" : "config");
}

void weir__admin_get_history(weir__admin_call *call)
{
    value_ask_history(call, value_told_history);
}

void weir__admin_get_version(weir__admin_call *call)
{
    if (weir__admin_number(call, WEIR__ADMIN_VERSION, 1, &call->version))
        value_ask_history(call, value_told_version);
}

/* ---- Changes ---- */

static void value_complain(weir__admin_call *call, int code, const weir_config_error *error)
{
    if (error->code == WEIR_EINVAL || error->code == WEIR_EPROTOCOL) {
        char line[32] = "";
        if (error->line > 0)
            (void)snprintf(line, sizeof line, "line %zu: ", error->line);
        weir__admin_refuse(call, 400, "%s%s%s%s", line, error->name,
                           error->name[0] != '\0' ? ": " : "", error->message);
    } else {
        weir__admin_fail(call, code, code == WEIR_ETOOLARGE ? "body" : "config");
    }
}

static void value_differs(weir__admin_call *call, const weir_config_value *current)
{
    weir_config_info const info = {.version = current->version,
                                   .revision = current->revision,
                                   .modified_ms = current->modified_ms,
                                   .layer = value_layer(call)};
    bool const there = current->version > 0 && !current->deleted;
    char message[64];
    value_headers headers;
    value_describe(&headers, &info, info.layer);
    int const size = there ? snprintf(message, sizeof message, "version: it is %llu\n",
                                      (unsigned long long)current->version)
                           : snprintf(message, sizeof message, "version: there is no value\n");
    weir__admin_answer(call, 412, "text/plain", headers.fields, there ? VALUE_HEADERS : 0, message,
                       (size_t)size);
}

/* What a write came to; version 0: it is about many. */
static void value_changed(weir__admin_call *call, const weir_config_result *result)
{
    char revision[VALUE_NUMBER_SIZE];
    char version[VALUE_NUMBER_SIZE];
    char tag[VALUE_NUMBER_SIZE + 2];
    char body[128];
    bool const put = strcmp(call->route->method, "PUT") == 0;
    value_number(revision, result->revision);
    value_number(version, result->version);
    (void)snprintf(tag, sizeof tag, "\"%s\"", version);
    weir_http_header const headers[] = {{weir_http_str("Weir-Revision"), weir_http_str(revision)},
                                        {weir_http_str("Weir-Version"), weir_http_str(version)},
                                        {weir_http_str("ETag"), weir_http_str(tag)}};
    bool const one = call->target.place == WEIR__ADMIN_VALUE;
    int const size = snprintf(body, sizeof body, "{\"revision\":%s%s%s}\n", revision,
                              one ? ",\"version\":" : "", one ? version : "");
    weir__admin_answer(call, put && result->version == 1 ? 201 : 200, "application/json", headers,
                       1 + (size_t)one + (size_t)put, body, (size_t)size);
}

static void value_done(const weir_config_result *result, void *user)
{
    weir__admin_call *const call = user;
    if (!weir__admin_let_go(call))
        return;
    bool const removes = strcmp(call->route->method, "DELETE") == 0;
    if (result->code != WEIR_OK && result->code != WEIR_ENOTFOUND)
        value_complain(call, result->code, &result->error);
    else if (result->code == WEIR_OK && !result->succeeded)
        value_differs(call, &result->current);
    else if (result->code == WEIR_ENOTFOUND || (removes && result->version == 0))
        weir__admin_fail(call, WEIR_ENOTFOUND, removes ? "name" : "version or rule");
    else
        value_changed(call, result);
}

/* After a call that is told value_done, if it returned WEIR_OK. */
static void value_asked(weir__admin_call *call, int code, const weir_config_error *error)
{
    if (code == WEIR_OK)
        return;
    call->held = false;
    value_complain(call, code, error);
}

void weir__admin_change_value(weir__admin_call *call)
{
    weir_config_error error = {.code = WEIR_OK};
    weir_config_change const change = {.name = call->target.name,
                                       .environment = value_param(call, WEIR__ADMIN_ENVIRONMENT),
                                       .label = value_param(call, WEIR__ADMIN_LABEL),
                                       .source = value_param(call, WEIR__ADMIN_SOURCE),
                                       .remove = strcmp(call->route->method, "DELETE") == 0,
                                       .value = {call->text.size > 0 ? call->text.data : "",
                                                 call->text.size},
                                       .compare = call->compare,
                                       .version = call->version};
    call->held = true;
    value_asked(call, weir_config_apply(call->admin->config, &change, 1, value_done, call, &error),
                &error);
}

void weir__admin_import(weir__admin_call *call)
{
    weir_config_error error = {.code = WEIR_OK};
    call->held = true;
    value_asked(call,
                weir_config_import(call->admin->config, call->text.size > 0 ? call->text.data : "",
                                   call->text.size, value_done, call, &error),
                &error);
}

void weir__admin_post_value(weir__admin_call *call)
{
    weir_config *const config = call->admin->config;
    const char *const name = call->target.name;
    const char *const promote = value_param(call, WEIR__ADMIN_PROMOTE);
    const char *const abandon = value_param(call, WEIR__ADMIN_ABANDON);
    weir_config_error error = {.code = WEIR_OK};
    uint64_t version = 0;
    int code = WEIR_EINVAL;
    if (value_param(call, WEIR__ADMIN_ROLLBACK) == NULL && promote == NULL && abandon == NULL) {
        weir__admin_refuse(call, 400, "query: rollback, promote or abandon is needed");
        return;
    }
    if (value_param(call, WEIR__ADMIN_ROLLBACK) != NULL &&
        !weir__admin_number(call, WEIR__ADMIN_ROLLBACK, 1, &version))
        return;
    call->held = true;
    if (promote != NULL)
        code = weir_config_promote(config, name, promote, value_done, call);
    else if (abandon != NULL)
        code = weir_config_abandon(config, name, abandon, value_done, call);
    else
        code =
            weir_config_rollback(config, name, value_param(call, WEIR__ADMIN_ENVIRONMENT),
                                 value_param(call, WEIR__ADMIN_LABEL), version, value_done, call);
    if (code == WEIR_EINVAL)
        error = (weir_config_error){.code = code, .message = "name, layer or rule: not a name"};
    value_asked(call, code, &error);
}

/* ---- Documents ---- */

static void value_collect(const void *data, size_t size, void *user)
{
    weir__text_bytes(user, data, size);
}

void weir__admin_export(weir__admin_call *call)
{
    weir__text document;
    weir_env const env = call->env;
    weir__text_init(&document, &env);
    int const code = weir_config_export(call->admin->config, value_param(call, WEIR__ADMIN_PATTERN),
                                        value_collect, &document);
    if (code == WEIR_OK) {
        weir__admin_answer_json(call, &document);
        return;
    }
    if (code == WEIR_EBUSY)
        weir__admin_refuse(call, 503, "config: not in sync yet");
    else
        weir__admin_fail(call, code, "config");
}
