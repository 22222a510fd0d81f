#include <weir/probe_http.h>

#include "base/number.h"
#include "base/search.h"
#include "net/http_client.h"
#include "net/http_write.h"

#include <errno.h>
#include <string.h>

#define PROBE_HTTP_RANGES  8
#define PROBE_HTTP_HEADERS 64

typedef struct probe_http_statuses {
    weir__number_range ranges[PROBE_HTTP_RANGES];
    size_t count;
} probe_http_statuses;

struct weir_probe_http {
    weir_env env;
    weir_http_client *client;
    weir_address address;
    weir_http_request request; /* Its texts are in `text`, its headers here. */
    weir_http_header headers[PROBE_HTTP_HEADERS + 1];
    probe_http_statuses expect, warn;
    weir__search search;
    uint32_t body_bytes;
    size_t text_size;

    weir_health *health;
    weir_health_token token;
    weir_http_call *call; /* Of the run under way, or NULL. */
    int status;
    uint32_t got; /* Bytes of the body. */
    bool found;
    char text[];
};

/* ---- Options ---- */

static bool probe_http_parse_statuses(probe_http_statuses *statuses, const char *text)
{
    weir__number_error wrong;
    statuses->count = weir__number_ranges(text, strlen(text), 200, 599, statuses->ranges,
                                          PROBE_HTTP_RANGES, &wrong);
    return statuses->count > 0;
}

static bool probe_http_among(const probe_http_statuses *statuses, int status)
{
    uint64_t const value = (uint64_t)status;
    for (size_t i = 0; i < statuses->count; i++)
        if (statuses->ranges[i].low <= value && value <= statuses->ranges[i].high)
            return true;
    return false;
}

static bool probe_http_options_valid(const weir_probe_http_options *o)
{
    return o->address != NULL && o->method != NULL && o->target != NULL && o->expect != NULL &&
           o->header_count <= PROBE_HTTP_HEADERS && (o->header_count == 0 || o->headers != NULL) &&
           (o->body == NULL ||
            (o->body[0] != '\0' && strnlen(o->body, WEIR__SEARCH_MAX + 1) <= WEIR__SEARCH_MAX &&
             strcmp(o->method, "HEAD") != 0)) &&
           o->body_bytes >= 1 && o->body_bytes <= UINT32_C(1) << 24;
}

static size_t probe_http_text_size(const weir_probe_http_options *o)
{
    size_t size = strlen(o->method) + strlen(o->target);
    size += o->host != NULL ? strlen(o->host) : 0;
    for (size_t i = 0; i < o->header_count; i++)
        size += o->headers[i].name.size + o->headers[i].value.size;
    return size;
}

static weir_http_slice probe_http_copy(weir_probe_http *probe, weir_http_slice slice)
{
    char *const at = probe->text + probe->text_size;
    if (slice.size > 0)
        memcpy(at, slice.data, slice.size);
    probe->text_size += slice.size;
    return (weir_http_slice){at, slice.size};
}

static void probe_http_add_header(weir_probe_http *probe, weir_http_slice name,
                                  weir_http_slice value)
{
    weir_http_header *const header = &probe->headers[probe->request.header_count++];
    header->name = probe_http_copy(probe, name);
    header->value = probe_http_copy(probe, value);
}

static bool probe_http_load(weir_probe_http *probe, const weir_probe_http_options *o)
{
    probe->body_bytes = o->body_bytes;
    weir__search_init(&probe->search, o->body, o->body != NULL ? strlen(o->body) : 0);
    probe->request.method = probe_http_copy(probe, weir_http_str(o->method));
    probe->request.target = probe_http_copy(probe, weir_http_str(o->target));
    probe->request.headers = probe->headers;
    if (o->host != NULL) {
        probe->headers[0].name = weir_http_str("Host");
        probe->headers[0].value = probe_http_copy(probe, weir_http_str(o->host));
        probe->request.header_count = 1;
    }
    for (size_t i = 0; i < o->header_count; i++)
        probe_http_add_header(probe, o->headers[i].name, o->headers[i].value);
    return weir_address_parse(&probe->address, o->address) == WEIR_OK &&
           weir__http_request_valid(&probe->request) &&
           probe_http_parse_statuses(&probe->expect, o->expect) &&
           (o->warn == NULL || probe_http_parse_statuses(&probe->warn, o->warn));
}

int weir_probe_http_create(weir_probe_http **out, weir_http_client *client,
                           const weir_probe_http_options *options)
{
    *out = NULL;
    weir_probe_http_options o = WEIR_PROBE_HTTP_OPTIONS_INIT;
    if (weir__options_load(&o, sizeof o, options, options->struct_size) ||
        !probe_http_options_valid(&o))
        return WEIR_EINVAL;
    size_t const text_size = probe_http_text_size(&o);
    weir_probe_http *const probe = weir__alloc(client->env, sizeof *probe + text_size);
    if (probe == NULL)
        return WEIR_ENOMEM;
    probe->env = *client->env;
    probe->client = client;
    if (!probe_http_load(probe, &o)) {
        weir__free(client->env, probe, sizeof *probe + text_size);
        return WEIR_EINVAL;
    }
    *out = probe;
    return WEIR_OK;
}

static void probe_http_give_up(weir_probe_http *probe)
{
    if (probe->call != NULL)
        weir_http_call_cancel(probe->call);
    probe->call = NULL;
}

void weir_probe_http_destroy(weir_probe_http *probe)
{
    if (probe == NULL)
        return;
    probe_http_give_up(probe);
    weir_env const env = probe->env;
    weir__free(&env, probe, sizeof *probe + probe->text_size);
}

/* ---- Runs ---- */

static void probe_http_tell(weir_probe_http *probe, weir_health_verdict verdict, int64_t figure,
                            const char *note)
{
    weir_health_result const result = {.verdict = verdict, .figure = figure, .note = note};
    probe->call = NULL;
    (void)weir_health_done(probe->health, probe->token, &result);
}

/* The head has come, and as much of the body as there is to look at. */
static void probe_http_judge(weir_probe_http *probe)
{
    if (probe_http_among(&probe->warn, probe->status))
        probe_http_tell(probe, WEIR_HEALTH_WARNING, probe->status, weir_http_reason(probe->status));
    else if (!probe_http_among(&probe->expect, probe->status))
        probe_http_tell(probe, WEIR_HEALTH_FAIL, probe->status, "unexpected status");
    else if (!probe->found)
        probe_http_tell(probe, WEIR_HEALTH_FAIL, probe->status, "the body lacks what is expected");
    else
        probe_http_tell(probe, WEIR_HEALTH_PASS, probe->status, NULL);
}

static void probe_http_on_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    ((weir_probe_http *)user)->status = response->status;
}

/* A body that goes on for long is cut off with its connection: it would not be used again soon. */
static void probe_http_on_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    weir_probe_http *const probe = user;
    size_t const room = probe->body_bytes - probe->got;
    probe->found = weir__search_feed(&probe->search, data, size < room ? size : room);
    probe->got += (uint32_t)(size < room ? size : room);
    if (size <= room)
        return;
    weir_http_call_cancel(call);
    probe_http_judge(probe);
}

/* A kept connection that the peer gave up as we asked again, by a method that is not repeated,
   says as little of the target as what we lack. */
static bool probe_http_is_ours(const weir_http_result *result)
{
    bool const raced = result->reused && result->failure == WEIR_HTTP_CLOSED_EARLY;
    return raced || result->failure == WEIR_HTTP_NO_MEMORY ||
           result->failure == WEIR_HTTP_CANCELLED || result->system_error == EMFILE ||
           result->system_error == ENFILE || result->system_error == ENOBUFS ||
           result->system_error == ENOMEM || result->system_error == EADDRNOTAVAIL;
}

static void probe_http_on_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    weir_probe_http *const probe = user;
    if (result->code == WEIR_OK)
        probe_http_judge(probe);
    else
        probe_http_tell(probe, probe_http_is_ours(result) ? WEIR_HEALTH_ABSTAIN : WEIR_HEALTH_FAIL,
                        result->system_error, result->reason);
}

void weir_probe_http_start(const weir_health_run *run, weir_health_result *result, void *user)
{
    static const weir_http_call_events events = {
        .on_head = probe_http_on_head,
        .on_body = probe_http_on_body,
        .on_done = probe_http_on_done,
    };
    /* The timeout is the check's alone. */
    static const weir_http_call_options patient = {.struct_size = sizeof patient,
                                                   .deadline_ns = WEIR_NEVER,
                                                   .connect_ms = UINT32_MAX,
                                                   .head_ms = UINT32_MAX,
                                                   .stall_ms = UINT32_MAX};
    weir_probe_http *const probe = user;
    probe_http_give_up(probe);
    weir__search_restart(&probe->search);
    probe->health = run->health;
    probe->token = run->token;
    probe->found = weir__search_feed(&probe->search, NULL, 0);
    probe->status = 0;
    probe->got = 0;
    int const code = weir_http_call_start(&probe->call, probe->client, &probe->address, &patient,
                                          &probe->request, &events, probe);
    if (code == WEIR_OK)
        return;
    result->verdict = WEIR_HEALTH_ABSTAIN;
    result->note = weir_strerror(code);
}

void weir_probe_http_cancel(const weir_health_run *run, void *user)
{
    weir_probe_http *const probe = user;
    if (probe->token.run == run->token.run)
        probe_http_give_up(probe);
}
