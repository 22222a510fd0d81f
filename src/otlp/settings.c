#include "otlp/otlp.h"

#include "base/setting.h"

#include <stdlib.h>
#include <string.h>

#define SETTINGS_SCOPES 3 /* All signals, traces, metrics. */

/* What is said for one scope. */
typedef struct settings_scope {
    weir__text endpoint; /* Empty: nothing. */
    weir__text list;     /* Of the headers, which point into it. */
    weir_http_header *headers;
    size_t header_count;
    uint32_t timeout_ms; /* 0: nothing. */
} settings_scope;

struct weir_otlp_settings {
    weir_env env;
    weir_otlp_source source; /* During the reading alone. */
    settings_scope scopes[SETTINGS_SCOPES];
    uint32_t interval_ms, export_ms; /* Of metrics; 0: nothing. */
    bool disabled;
    weir__text service;
    weir__text list; /* Of the attributes. */
    weir_attribute *attributes;
    size_t attribute_count, attribute_room;
};

typedef struct settings_names {
    const char *endpoint, *headers, *timeout, *protocol;
} settings_names;

static const settings_names settings_scope_names[SETTINGS_SCOPES] = {
    {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TIMEOUT",
     "OTEL_EXPORTER_OTLP_PROTOCOL"},
    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
     "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
    {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
     "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"},
};

/* ---- Variables ---- */

static const char *settings_getenv(const char *name, void *user)
{
    (void)user;
    return getenv(name); /* As all do that read it at the start: NOLINT(concurrency-mt-unsafe) */
}

/* NULL: it is not set, or empty. */
static const char *settings_get(const weir_otlp_settings *settings, const char *name)
{
    const char *const value = settings->source.get(name, settings->source.user);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void settings_ignore(const weir_otlp_settings *settings, const char *name, const char *value,
                            const char *reason)
{
    if (settings->source.on_ignored != NULL)
        settings->source.on_ignored(name, value, reason, settings->source.user);
}

static void settings_ms(const weir_otlp_settings *settings, const char *name, uint32_t *out)
{
    uint64_t ms;
    const char *const value = settings_get(settings, name);
    if (value == NULL)
        return;
    if (weir__setting_u64(value, 1, UINT32_MAX, &ms))
        *out = (uint32_t)ms;
    else
        settings_ignore(settings, name, value, "not a number of milliseconds");
}

/* True: `out` has a list of *count entries, at least one. */
static bool settings_list(const weir_otlp_settings *settings, const char *name, weir__text *out,
                          size_t *count)
{
    const char *const value = settings_get(settings, name);
    *count = 0;
    if (value == NULL)
        return false;
    const char *const error = weir__setting_list(value, out, count);
    if (error == NULL)
        return *count > 0;
    settings_ignore(settings, name, value, error);
    return false;
}

/* ---- Exporter ---- */

static int settings_headers(weir_otlp_settings *settings, settings_scope *scope, const char *name)
{
    size_t count;
    if (!settings_list(settings, name, &scope->list, &count))
        return weir__text_ok(&scope->list) ? WEIR_OK : WEIR_ENOMEM;
    if (!weir__text_ok(&scope->list))
        return WEIR_ENOMEM;
    if (count > WEIR__OTLP_HEADERS) {
        settings_ignore(settings, name, settings_get(settings, name), "too many entries");
        return WEIR_OK;
    }
    scope->headers = weir__alloc(&settings->env, count * sizeof *scope->headers);
    if (scope->headers == NULL)
        return WEIR_ENOMEM;
    const char *at = scope->list.data;
    for (; scope->header_count < count; scope->header_count++) {
        weir_http_header *const header = &scope->headers[scope->header_count];
        header->name = weir_http_str(at);
        header->value = weir_http_str(at + header->name.size + 1);
        at = header->value.data + header->value.size + 1;
    }
    return WEIR_OK;
}

static int settings_scope_read(weir_otlp_settings *settings, settings_scope *scope,
                               const settings_names *names)
{
    const char *const endpoint = settings_get(settings, names->endpoint);
    if (endpoint != NULL)
        weir__text_str(&scope->endpoint, endpoint);
    settings_ms(settings, names->timeout, &scope->timeout_ms);
    const char *const protocol = settings_get(settings, names->protocol);
    if (protocol != NULL && strcmp(protocol, "http/json") != 0)
        settings_ignore(settings, names->protocol, protocol, "http/json alone is spoken here");
    int const result = settings_headers(settings, scope, names->headers);
    return weir__text_ok(&scope->endpoint) ? result : WEIR_ENOMEM;
}

/* ---- Resource ---- */

/* In the room that was made for all. The first of a name counts. */
static void settings_attribute(weir_otlp_settings *settings, const char *key, const char *value)
{
    for (size_t i = 0; i < settings->attribute_count; i++)
        if (strcmp(settings->attributes[i].key, key) == 0)
            return;
    settings->attributes[settings->attribute_count++] = weir_attribute_string(key, value);
}

static int settings_resource(weir_otlp_settings *settings)
{
    size_t count;
    const char *const service = settings_get(settings, "OTEL_SERVICE_NAME");
    if (service != NULL)
        weir__text_str(&settings->service, service);
    bool const listed =
        settings_list(settings, "OTEL_RESOURCE_ATTRIBUTES", &settings->list, &count);
    count = listed ? count : 0;
    if (!weir__text_ok(&settings->service) || !weir__text_ok(&settings->list))
        return WEIR_ENOMEM;
    settings->attribute_room = count + 5;
    settings->attributes =
        weir__alloc(&settings->env, settings->attribute_room * sizeof *settings->attributes);
    if (settings->attributes == NULL)
        return WEIR_ENOMEM;
    if (settings->service.size > 0)
        settings_attribute(settings, "service.name", settings->service.data);
    const char *key = settings->list.data;
    for (size_t i = 0; i < count; i++) {
        const char *const value = key + strlen(key) + 1;
        settings_attribute(settings, key, value);
        key = value + strlen(value) + 1;
    }
    settings_attribute(settings, "service.name", "unknown_service");
    settings_attribute(settings, "telemetry.sdk.name", "weir");
    settings_attribute(settings, "telemetry.sdk.language", "c");
    settings_attribute(settings, "telemetry.sdk.version", WEIR__OTLP_VERSION);
    return WEIR_OK;
}

/* ---- Public ---- */

static int settings_read(weir_otlp_settings *settings)
{
    const char *const disabled = settings_get(settings, "OTEL_SDK_DISABLED");
    settings->disabled = disabled != NULL && weir__setting_bool(disabled);
    settings_ms(settings, "OTEL_METRIC_EXPORT_INTERVAL", &settings->interval_ms);
    settings_ms(settings, "OTEL_METRIC_EXPORT_TIMEOUT", &settings->export_ms);
    int result = settings_resource(settings);
    for (size_t i = 0; result == WEIR_OK && i < SETTINGS_SCOPES; i++)
        result = settings_scope_read(settings, &settings->scopes[i], &settings_scope_names[i]);
    return result;
}

int weir_otlp_settings_read(weir_otlp_settings **out, const weir_otlp_source *source,
                            const weir_env *env)
{
    weir_env loaded;
    *out = NULL;
    if (weir__env_load(&loaded, env) != WEIR_OK)
        return WEIR_EINVAL;
    weir_otlp_settings *const settings = weir__alloc(&loaded, sizeof *settings);
    if (settings == NULL)
        return WEIR_ENOMEM;
    settings->env = loaded;
    if (source != NULL)
        settings->source = *source;
    if (settings->source.get == NULL)
        settings->source.get = settings_getenv;
    weir__text_init(&settings->service, &settings->env);
    weir__text_init(&settings->list, &settings->env);
    for (size_t i = 0; i < SETTINGS_SCOPES; i++) {
        weir__text_init(&settings->scopes[i].endpoint, &settings->env);
        weir__text_init(&settings->scopes[i].list, &settings->env);
    }
    int const result = settings_read(settings);
    if (result == WEIR_OK)
        *out = settings;
    else
        weir_otlp_settings_destroy(settings);
    return result;
}

void weir_otlp_settings_destroy(weir_otlp_settings *settings)
{
    if (settings == NULL)
        return;
    weir_env const env = settings->env;
    for (size_t i = 0; i < SETTINGS_SCOPES; i++) {
        settings_scope *const scope = &settings->scopes[i];
        weir__free(&env, scope->headers, scope->header_count * sizeof *scope->headers);
        weir__text_free(&scope->endpoint);
        weir__text_free(&scope->list);
    }
    weir__free(&env, settings->attributes, settings->attribute_room * sizeof *settings->attributes);
    weir__text_free(&settings->service);
    weir__text_free(&settings->list);
    weir__free(&env, settings, sizeof *settings);
}

static void settings_apply_route(const settings_scope *scope, weir_otlp_route *route)
{
    if (scope->endpoint.size > 0)
        route->endpoint = scope->endpoint.data;
    if (scope->header_count > 0) {
        route->headers = scope->headers;
        route->header_count = scope->header_count;
    }
    if (scope->timeout_ms > 0)
        route->timeout_ms = scope->timeout_ms;
}

void weir_otlp_settings_apply(const weir_otlp_settings *settings, weir_otlp_options *options)
{
    weir_otlp_route all = {options->endpoint, options->headers, options->header_count,
                           options->timeout_ms};
    settings_apply_route(&settings->scopes[0], &all);
    options->endpoint = all.endpoint;
    options->headers = all.headers;
    options->header_count = all.header_count;
    options->timeout_ms = all.timeout_ms;
    settings_apply_route(&settings->scopes[1], &options->traces);
    settings_apply_route(&settings->scopes[2], &options->metrics);
    if (settings->interval_ms > 0)
        options->metrics_interval_ms = settings->interval_ms;
    if (settings->export_ms > 0)
        options->metrics_timeout_ms = settings->export_ms;
}

const weir_attribute *weir_otlp_settings_resource(const weir_otlp_settings *settings, size_t *count)
{
    *count = settings->attribute_count;
    return settings->attributes;
}

bool weir_otlp_settings_disabled(const weir_otlp_settings *settings)
{
    return settings->disabled;
}
