#include "admin/admin.h"

#include <string.h>

#define STREAM_TYPE "application/x-ndjson"

/*
 * What is told becomes a line, and is sent at once. Once the exchange is full the watch pauses: the
 * history waits, not we. A line waits in `text` only where a blank one has filled the exchange.
 */

/* ---- Sending ---- */

/* What waits in `text`. False: no more now; the call may be over. */
static bool stream_send(weir__admin_call *call)
{
    int code = weir__text_ok(&call->text) ? WEIR_OK : WEIR_ENOMEM;
    if (code == WEIR_OK && call->text.size > 0)
        code = weir_http_exchange_write(call->exchange, call->text.data, call->text.size);
    if (code == WEIR_EBUSY || code == WEIR_ECLOSED)
        return false;
    if (code != WEIR_OK) {
        weir__admin_cut(call); /* A line is lost: the client must see that. */
        return false;
    }
    call->spoke = call->spoke || call->text.size > 0;
    weir__text_clear(&call->text);
    if (call->last) {
        (void)weir_http_exchange_finish(call->exchange);
        weir__admin_end(call);
        return false;
    }
    return !weir_http_exchange_full(call->exchange);
}

/* The head; the first line waits in `text`. False: the call is over. */
static bool stream_begin(weir__admin_call *call, uint64_t revision)
{
    weir_http_header const type = {weir_http_str("Content-Type"), weir_http_str(STREAM_TYPE)};
    weir_http_response const response = {.status = 200,
                                         .headers = &type,
                                         .header_count = 1,
                                         .body_size = WEIR_HTTP_SIZE_UNKNOWN};
    call->begun = true;
    int const code = weir_http_exchange_start(call->exchange, &response);
    if (code != WEIR_OK && code != WEIR_ECLOSED) { /* Which it will be told of. */
        weir__admin_cut(call);
        return false;
    }
    weir__text_format(&call->text, "{\"kind\":\"begun\",\"revision\":%llu}\n",
                      (unsigned long long)revision);
    return true;
}

/* ---- Lines ---- */

static void stream_member(weir__text *out, const char *name, const char *value)
{
    if (*value == '\0')
        return;
    weir__text_format(out, ",\"%s\":", name);
    weir__text_json(out, value, strlen(value));
}

static void stream_kind(weir__text *out, const char *kind, uint64_t revision)
{
    weir__text_format(out, "{\"kind\":\"%s\",\"revision\":%llu", kind,
                      (unsigned long long)revision);
}

static void stream_version(weir__text *out, const weir_config_value *value)
{
    weir__text_format(out, "\"version\":%llu,", (unsigned long long)value->version);
    if (value->deleted)
        weir__text_str(out, "\"deleted\":true");
    else
        weir__text_json_value(out, value->value.data, value->value.size);
}

static const char *stream_config_kind(const weir_config_event *event)
{
    switch (event->kind) {
    case WEIR_CONFIG_SET: return "set";
    case WEIR_CONFIG_DELETED: return "deleted";
    case WEIR_CONFIG_RULE_PUT: return "rule_put";
    case WEIR_CONFIG_RULE_GONE: return "rule_gone";
    case WEIR_CONFIG_OVER: break;
    }
    return event->code == WEIR_ECOMPACTED ? "compacted" : "closed";
}

static bool stream_config_event(const weir_config_event *event, void *user)
{
    weir__admin_call *const call = user;
    weir__text *const out = &call->text;
    call->last = event->kind == WEIR_CONFIG_OVER;
    stream_kind(out, stream_config_kind(event), event->revision);
    if (!call->last) {
        stream_member(out, "name", event->value.name);
        stream_member(out, "environment", event->value.environment);
        stream_member(out, "label", event->value.label);
        stream_member(out, "rule", event->rule);
        weir__text_str(out, ",");
        stream_version(out, &event->value);
        if (event->previous.version > 0) {
            weir__text_str(out, ",\"previous\":{");
            stream_version(out, &event->previous);
            weir__text_str(out, "}");
        }
    }
    weir__text_str(out, "}\n");
    return stream_send(call);
}

static void stream_instance(weir__text *out, const char *name, const weir_instance *instance)
{
    if (instance == NULL)
        return;
    weir__text_format(out, ",\"%s\":", name);
    if (!weir__admin_write_instance(out, instance))
        out->failed = true;
}

static bool stream_service_event(const weir_registry_event *event, void *user)
{
    weir__admin_call *const call = user;
    weir__text *const out = &call->text;
    if (!call->begun && !stream_begin(call, call->version))
        return false;
    call->last = event->kind == WEIR_REGISTRY_CLOSED;
    stream_kind(out, weir_registry_event_name(event->kind), event->revision);
    stream_member(out, "service", event->service);
    stream_member(out, "id", event->id);
    stream_instance(out, "instance", event->instance);
    stream_instance(out, "previous", event->previous);
    weir__text_str(out, "}\n");
    return stream_send(call);
}

/* ---- Beginning ---- */

/* The revision that is asked for; 0 = none. False: it was answered. */
static bool stream_enter(weir__admin_call *call, uint64_t *revision)
{
    *revision = 0;
    if (call->target.params[WEIR__ADMIN_REVISION] != NULL &&
        !weir__admin_number(call, WEIR__ADMIN_REVISION, 0, revision))
        return false;
    if (weir__admin_is_head(call)) {
        weir__admin_answer(call, 200, STREAM_TYPE, NULL, 0, NULL, 0);
        return false;
    }
    if (call->admin->streams >= call->admin->max_streams) {
        weir__admin_refuse(call, 503, "streams: too many");
        return false;
    }
    call->stream = true;
    call->admin->streams++;
    return true;
}

/* False: it was answered. */
static bool stream_started(weir__admin_call *call, int code, const char *field)
{
    if (code == WEIR_OK)
        return true;
    weir__admin_fail(call, code, field);
    return false;
}

void weir__admin_watch_config(weir__admin_call *call)
{
    weir_config *const config = call->admin->config;
    const char *const pattern = call->target.params[WEIR__ADMIN_PATTERN];
    weir_config_status status;
    weir_config_watch watch = {.pattern = pattern != NULL ? pattern : "**",
                               .fn = stream_config_event,
                               .user = call};
    weir_config_get_status(config, &status);
    if (!status.ready) {
        weir__admin_refuse(call, 503, "config: not in sync yet");
        return;
    }
    if (!stream_enter(call, &watch.revision))
        return;
    uint64_t const since = watch.revision > 0 ? watch.revision - 1 : status.revision;
    int const code = weir_config_watch_start(&call->watcher, config, &watch);
    if (stream_started(call, code, code == WEIR_EINVAL ? "pattern" : "config") &&
        stream_begin(call, since))
        (void)stream_send(call);
}

void weir__admin_watch_services(weir__admin_call *call)
{
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    options.service = call->target.params[WEIR__ADMIN_OF_SERVICE];
    options.fn = stream_service_event;
    options.user = call;
    if (!stream_enter(call, &options.revision))
        return;
    call->version = options.revision > 0 ? options.revision - 1 : 0;
    call->held = true; /* Events may come, and end it, before the watch is started. */
    int const code = weir_registry_watch_start(call->admin->registry, &options, &call->watch);
    if (weir__admin_let_go(call) && stream_started(call, code, "registry") && !call->begun &&
        stream_begin(call, call->version))
        (void)stream_send(call);
}

/* ---- Going on ---- */

static void stream_resume(weir__admin_call *call)
{
    call->stuck = false;
    if (call->watch != NULL) {
        weir_registry_watch_resume(call->watch); /* It may end, here. */
        return;
    }
    int const code = weir_config_resume(call->watcher);
    call->stuck = code == WEIR_ENOMEM;
    if (code != WEIR_OK && code != WEIR_ENOMEM)
        weir__admin_cut(call);
}

void weir__admin_stream_writable(weir__admin_call *call)
{
    if (stream_send(call))
        stream_resume(call);
}

void weir__admin_stream_run(weir__admin_call *call)
{
    bool const quiet = !call->spoke && call->text.size == 0;
    int code = WEIR_OK;
    call->spoke = false;
    if (call->stuck)
        stream_resume(call);
    else if (quiet)
        code = weir_http_exchange_write(call->exchange, "\n", 1);
    (void)code; /* Not taken: it is full, or gone; or there will be memory another time. */
}
