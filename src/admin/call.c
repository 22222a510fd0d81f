#include "admin/admin.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CALL_LINE         1024 /* Of an error, at most. */
#define CALL_HEADERS      8
#define CALL_MAX_REVISION (UINT64_C(1) << 62)

/* ---- Life ---- */

static void call_free(weir__admin_call *call)
{
    weir_env const env = call->env;
    weir__text_free(&call->text);
    weir__free(&env, call, call->size);
}

void weir__admin_end(weir__admin_call *call)
{
    call->exchange = NULL;
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    call->admin->streams -= call->stream;
    call->admin = NULL;
    weir_config_watch_stop(call->watcher);
    weir_registry_watch_stop(call->watch);
    if (!call->held)
        call_free(call);
}

void weir__admin_cut(weir__admin_call *call)
{
    weir_http_exchange_cut(call->exchange);
    weir__admin_end(call);
}

bool weir__admin_let_go(weir__admin_call *call)
{
    call->held = false;
    if (call->exchange != NULL)
        return true;
    call_free(call);
    return false;
}

bool weir__admin_is_head(const weir__admin_call *call)
{
    return weir__admin_same(weir_http_exchange_request(call->exchange)->method, "HEAD");
}

/* ---- Answers ---- */

void weir__admin_answer(weir__admin_call *call, int status, const char *type,
                        const weir_http_header *headers, size_t count, const void *body,
                        size_t size)
{
    weir_http_header all[CALL_HEADERS];
    weir_http_response const response = {.status = status,
                                         .headers = all,
                                         .header_count = count + (type != NULL),
                                         .body_size = size};
    if (count > 0)
        memcpy(all, headers, count * sizeof *headers);
    if (type != NULL)
        all[count] = (weir_http_header){weir_http_str("Content-Type"), weir_http_str(type)};
    (void)weir_http_exchange_respond_with(call->exchange, &response, body);
    weir__admin_end(call);
}

void weir__admin_answer_json(weir__admin_call *call, weir__text *text)
{
    if (weir__text_ok(text))
        weir__admin_answer(call, 200, "application/json", NULL, 0, text->data, text->size);
    else
        weir__admin_fail(call, WEIR_ENOMEM, "answer");
    weir__text_free(text);
}

void weir__admin_refuse_with(weir__admin_call *call, int status, const weir_http_header *header,
                             const char *message)
{
    char line[CALL_LINE];
    size_t size = 0;
    for (; message[size] != '\0' && size + 1 < sizeof line; size++)
        line[size] = message[size];
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[size++] = '\n';
    weir__admin_answer(call, status, "text/plain", header, header != NULL ? 1 : 0, line, size);
}

void weir__admin_refuse(weir__admin_call *call, int status, const char *format, ...)
{
    char message[CALL_LINE];
    weir_http_header const later = {weir_http_str("Retry-After"), weir_http_str("1")};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    weir__admin_refuse_with(call, status, status == 503 ? &later : NULL, message);
}

void weir__admin_fail(weir__admin_call *call, int code, const char *field)
{
    int status = 503;
    if (code == WEIR_EINVAL)
        status = 400;
    else if (code == WEIR_ENOTFOUND)
        status = 404;
    else if (code == WEIR_ESTALE || code == WEIR_EPROTOCOL)
        status = 409;
    else if (code == WEIR_ETOOLARGE)
        status = 413;
    else if (code == WEIR_ENOMEM)
        status = 500;
    weir__admin_refuse(call, status, "%s: %s", field, weir_strerror(code));
}

bool weir__admin_number(weir__admin_call *call, weir__admin_param param, uint64_t min,
                        uint64_t *out)
{
    const char *const text = call->target.params[param];
    weir__number_error error;
    if (weir__number_u64(text, strlen(text), min, CALL_MAX_REVISION, out, &error))
        return true;
    weir__admin_refuse(call, 400, "%s: %s", weir__admin_param_name(param), error.what);
    return false;
}

/* ---- The request ---- */

static void call_on_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    weir__admin_call *const call = user;
    (void)exchange;
    if (size > call->admin->max_body_bytes - call->text.size) {
        weir__admin_fail(call, WEIR_ETOOLARGE, "body");
        return;
    }
    weir__text_bytes(&call->text, data, size);
    if (!weir__text_ok(&call->text))
        weir__admin_fail(call, WEIR_ENOMEM, "body");
}

static void call_on_end(weir_http_exchange *exchange, void *user)
{
    weir__admin_call *const call = user;
    (void)exchange;
    call->route->run(call);
}

static void call_on_writable(weir_http_exchange *exchange, void *user)
{
    weir__admin_call *const call = user;
    (void)exchange;
    if (call->stream)
        weir__admin_stream_writable(call);
}

static void call_on_abort(weir_http_exchange *exchange, int code, void *user)
{
    (void)code;
    (void)weir_http_exchange_finish(exchange);
    weir__admin_end(user);
}

static const weir_http_exchange_events call_reading = {call_on_body, call_on_end, call_on_writable,
                                                       call_on_abort};
static const weir_http_exchange_events call_running = {NULL, NULL, call_on_writable, call_on_abort};

/* ---- Preconditions ---- */

/* The header, unless it comes twice: then *twice. */
static const weir_http_header *call_header(const weir_http_request *request, const char *name,
                                           bool *twice)
{
    const weir_http_header *found = NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!weir_http_equals(request->headers[i].name, name))
            continue;
        *twice = *twice || found != NULL;
        found = &request->headers[i];
    }
    return found;
}

/* "3" is that version. Another tag is of no layer as it is by itself: no version matches. */
static bool call_read_tag(weir__admin_call *call, weir_http_slice tag)
{
    weir__number_error error;
    if (tag.size < 2 || tag.data[0] != '"' || tag.data[tag.size - 1] != '"' ||
        memchr(tag.data + 1, '"', tag.size - 2) != NULL)
        return false;
    if (!weir__number_u64(tag.data + 1, tag.size - 2, 1, CALL_MAX_REVISION, &call->version, &error))
        call->version = UINT64_MAX;
    return true;
}

/* NULL: they are well. */
static const char *call_read_conditions(weir__admin_call *call, const weir_http_request *request)
{
    bool const reads = strcmp(call->route->method, "GET") == 0;
    bool twice = false;
    const weir_http_header *const match = call_header(request, "If-Match", &twice);
    const weir_http_header *const none = call_header(request, "If-None-Match", &twice);
    if (match != NULL && !call->route->compares)
        return "if-match: there is nothing to compare with";
    if (reads)
        return NULL;
    if (none != NULL && !call->route->compares)
        return "if-none-match: there is nothing to compare with";
    if (twice || (match != NULL && none != NULL))
        return "if-match: more than one condition";
    if (match != NULL && !call_read_tag(call, match->value))
        return "if-match: not one version in quotes";
    if (none != NULL && !weir__admin_same(none->value, "*"))
        return "if-none-match: only *, or with GET";
    call->compare = match != NULL || none != NULL;
    return NULL;
}

/* ---- Its way ---- */

/* What is wrong with it as such, in the order in which a client wants to know. False: refused. */
static bool call_check(weir__admin_call *call, const weir_http_request *request)
{
    char methods[WEIR__ADMIN_METHODS_SIZE];
    weir__admin_route_methods(call->target.place, methods);
    if (methods[0] == '\0') {
        weir__admin_refuse(call, 404, "path: there is no such page");
        return false;
    }
    call->route = weir__admin_route_find(&call->target, request->method);
    if (call->route == NULL) {
        weir_http_header const allow = {weir_http_str("Allow"), weir_http_str(methods)};
        weir__admin_refuse_with(call, 405, &allow, "method: not one of this page's");
        return false;
    }
    weir__admin_target_check(&call->target, call->route->needs | call->route->allows);
    const char *const complaint =
        call->target.error[0] != '\0' ? call->target.error : call_read_conditions(call, request);
    if (complaint != NULL) {
        weir__admin_refuse(call, 400, "%s", complaint);
        return false;
    }
    bool const known = request->body_size != WEIR_HTTP_SIZE_UNKNOWN;
    if (call->route->body && known && request->body_size > call->admin->max_body_bytes) {
        weir__admin_fail(call, WEIR_ETOOLARGE, "body");
        return false;
    }
    return true;
}

int weir__admin_call_start(weir_admin *admin, weir_http_exchange *exchange,
                           const weir_http_request *request)
{
    size_t const size = sizeof(weir__admin_call) + weir__admin_target_room(request->path);
    weir__admin_call *const call = weir__alloc(&admin->env, size);
    if (call == NULL)
        return WEIR_ENOMEM;
    call->size = size;
    call->env = admin->env;
    call->admin = admin;
    call->exchange = exchange;
    weir__text_init(&call->text, &call->env);
    call->next = admin->calls;
    call->link = &admin->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    admin->calls = call;
    weir__admin_target_parse(&call->target, request->path, call->room);
    if (!call_check(call, request))
        return WEIR_OK;
    weir_http_exchange_handle(exchange, call->route->body ? &call_reading : &call_running, call);
    if (!call->route->body)
        call->route->run(call);
    return WEIR_OK;
}
