/* One request on its way through: attempts, bodies both ways, and how it ends. */
#include "base/number.h"
#include "gateway/affinity.h"
#include "gateway/checks.h"
#include "gateway/forwarded.h"
#include "gateway/gateway.h"
#include "gateway/orca.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROXY_REPLAY_BYTES 65536 /* Of a body, kept to be sent again. */
#define PROXY_MAX_HEADERS  100   /* Of a response: weir_http_client's default. */

typedef struct weir__proxied {
    weir_gateway *gateway;
    weir__service *service;
    weir_http_exchange *exchange;
    const weir_http_request *request;
    weir_http_header *headers; /* To be sent: theirs without hop-by-hop, and ours. */
    size_t header_count;
    size_t bytes; /* Of this allocation. */
    uint64_t began_ns, head_ns;
    weir_call call;
    weir_attempt attempt;
    weir_http_call *upstream; /* The attempt on the wire, or NULL. */
    weir_loop_timer *timer;   /* To the next attempt; made when first needed. */
    weir__text replay;        /* The body so far, unless it has grown too large. */
    bool body_lost;           /* It has: no further attempt. */
    bool body_ended;
    bool client_slow;   /* It does not take what the member has to give: reading was paused. */
    bool answered;      /* A response has begun. */
    bool attempt_ended; /* The caller knows the outcome already. */
    int status;
    int attempt_status; /* Of the member's response; 0 = there was none. */
    weir_server_call served;
    weir_client_call made;          /* The latest attempt. */
    char sticky[WEIR__STICKY_SIZE]; /* The member that the request asks for; or empty. */
    char cookie[WEIR__COOKIE_SIZE]; /* To be set: the member that serves instead; or empty. */
} weir__proxied;

static void proxy_attempt(weir__proxied *p);

static bool proxy_has_body(const weir__proxied *p)
{
    return p->request->body_size != 0;
}

static const char *proxy_outcome_error(weir_outcome outcome)
{
    return outcome == WEIR_SUCCESS ? NULL : weir_outcome_name(outcome);
}

/* Tells of the attempt on the wire; once. With a response, its status says it all. */
static void proxy_end_made(weir__proxied *p, weir_outcome outcome)
{
    const char *const error = p->attempt_status == 0 ? proxy_outcome_error(outcome) : NULL;
    weir_instrument_called(&p->made, p->attempt_status, error, weir_loop_now_ns(p->gateway->loop));
}

/* The exchange is over: tells of it, and lets go of everything. */
static void proxy_free(weir__proxied *p)
{
    weir_gateway *const gateway = p->gateway;
    uint64_t const now_ns = weir_loop_now_ns(gateway->loop);
    proxy_end_made(p, WEIR_CANCELLED);
    weir_instrument_served(&p->served, p->status, NULL, now_ns);
    weir_caller_cancel(&p->call, now_ns);
    if (p->upstream != NULL)
        weir_http_call_cancel(p->upstream);
    weir_loop_timer_destroy(p->timer);
    weir__text_free(&p->replay);
    weir__service_release(gateway, p->service);
    gateway->in_progress--;
    weir__free(&gateway->env, p, p->bytes);
}

/* An answer of our own. Retry-After in whole seconds, rounded up; 0 = none. */
static void proxy_answer(weir_http_exchange *exchange, int status, uint64_t retry_after_ns,
                         const char *text)
{
    char seconds[24];
    uint64_t const rounded =
        retry_after_ns / WEIR__NS_PER_S + (retry_after_ns % WEIR__NS_PER_S > 0);
    (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)rounded);
    weir_http_header const headers[] = {
        {weir_http_str("Content-Type"), weir_http_str("text/plain")},
        {weir_http_str("Retry-After"), weir_http_str(seconds)},
    };
    weir_http_response const response = {.status = status,
                                         .headers = headers,
                                         .header_count = rounded > 0 ? 2 : 1,
                                         .body_size = strlen(text)};
    if (weir_http_exchange_start(exchange, &response) == WEIR_OK &&
        weir_http_exchange_write(exchange, text, strlen(text)) != WEIR_OK)
        weir_http_exchange_cut(exchange);
    else
        (void)weir_http_exchange_finish(exchange);
}

static void proxy_give_up(weir__proxied *p, int status, uint64_t retry_after_ns, const char *text)
{
    p->status = status;
    proxy_answer(p->exchange, status, retry_after_ns, text);
    proxy_free(p);
}

/* A response has begun and cannot be completed: the client must see that. */
static void proxy_cut(weir__proxied *p)
{
    weir_http_exchange_cut(p->exchange);
    proxy_free(p);
}

/* Without memory, in the midst of it. */
static void proxy_break(weir__proxied *p)
{
    if (p->answered)
        proxy_cut(p);
    else
        proxy_give_up(p, 500, 0, "out of memory\n");
}

static void proxy_reject(weir__proxied *p, const weir_rejection *rejection)
{
    uint64_t const wait_ns = rejection->retry_after_ns;
    bool const known = wait_ns != 0 && wait_ns != WEIR_NEVER;
    switch (rejection->stage) {
    case WEIR_STAGE_DEADLINE: proxy_give_up(p, 504, 0, "deadline exceeded\n"); return;
    case WEIR_STAGE_LIMITER:
        proxy_give_up(p, 429, known ? wait_ns : WEIR__NS_PER_S, "rate limited\n");
        return;
    case WEIR_STAGE_BALANCER:
    case WEIR_STAGE_BREAKER:
        proxy_give_up(p, 503, known ? wait_ns : WEIR__NS_PER_S, "no member available\n");
        return;
    }
}

/* ---- Attempts ---- */

static void proxy_on_retry(uint64_t now_ns, void *user)
{
    weir__proxied *const p = user;
    weir_rejection rejection;
    if (weir_caller_retry(&p->call, now_ns, &p->attempt, &rejection) == WEIR_OK)
        proxy_attempt(p);
    else
        proxy_reject(p, &rejection);
}

static bool proxy_retry_at(weir__proxied *p, uint64_t at_ns)
{
    if (p->timer == NULL &&
        weir_loop_timer_create(&p->timer, p->gateway->loop, proxy_on_retry, p) != WEIR_OK)
        return false;
    if (proxy_has_body(p) && !p->body_ended)
        weir_http_exchange_pause(p->exchange);
    weir_loop_timer_set(p->timer, at_ns);
    return true;
}

/* Tells the caller; true if another attempt is under way to come. */
static bool proxy_end_attempt(weir__proxied *p, weir_attempt_result result, uint64_t at_ns)
{
    uint64_t retry_at_ns = 0;
    result.final = p->body_lost || p->answered;
    p->attempt_ended = true;
    return weir_caller_end(&p->call, &result, at_ns, &retry_at_ns) == WEIR_CALL_RETRY &&
           proxy_retry_at(p, retry_at_ns);
}

static uint64_t proxy_retry_after_ns(const weir_http_response *response)
{
    uint64_t seconds = 0;
    weir__number_error wrong;
    const weir_http_header *const header =
        weir_http_find(response->headers, response->header_count, "Retry-After");
    if (header == NULL ||
        !weir__number_u64(header->value.data, header->value.size, 0, 86400, &seconds, &wrong))
        return 0;
    return seconds * WEIR__NS_PER_S;
}

static weir_outcome proxy_outcome_of(const weir_http_response *response)
{
    bool const pushback =
        weir_http_find(response->headers, response->header_count, "Retry-After") != NULL;
    if (response->status == 429 || (response->status == 503 && pushback))
        return WEIR_OVERLOAD;
    return response->status >= 500 ? WEIR_FAILURE : WEIR_SUCCESS;
}

/* What a member says for somebody behind it that it could not reach. */
static weir_outlier_origin proxy_origin_of(const weir_http_response *response)
{
    bool const gateway = response->status >= 502 && response->status <= 504;
    return gateway ? WEIR_ORIGIN_GATEWAY : WEIR_ORIGIN_SERVER;
}

/* The member's head, less what concerned its connection alone. */
static void proxy_forward_head(weir__proxied *p, const weir_http_response *response)
{
    weir_http_header headers[PROXY_MAX_HEADERS + 1];
    weir_http_response forwarded = *response;
    forwarded.headers = headers;
    forwarded.header_count = 0;
    for (size_t i = 0; i < response->header_count && i < PROXY_MAX_HEADERS; i++)
        if (!weir_http_is_hop_by_hop(response->headers, response->header_count,
                                     response->headers[i].name))
            headers[forwarded.header_count++] = response->headers[i];
    if (p->cookie[0] != '\0')
        headers[forwarded.header_count++] =
            (weir_http_header){weir_http_str("Set-Cookie"), weir_http_str(p->cookie)};
    int const result = weir_http_exchange_start(p->exchange, &forwarded);
    p->status = response->status;
    p->answered = result == WEIR_OK;
    if (result == WEIR_EINVAL)
        proxy_give_up(p, 502, 0, "the member's response cannot be passed on\n");
    else if (result == WEIR_ENOMEM)
        proxy_break(p);
}

static bool proxy_takes_reports(const weir__proxied *p)
{
    return weir_mesh_service_options(p->service->mesh)->balancer->reported_weights;
}

/* The load that came with the head, if it did. */
static void proxy_take_report(const weir__proxied *p, const weir_http_response *response)
{
    weir_load_report report;
    const weir_http_header *const header =
        weir_http_find(response->headers, response->header_count, WEIR__ORCA_HEADER);
    if (header != NULL && weir__orca_parse(header->value, &report))
        (void)weir_balancer_report(weir_caller_balancer(p->service->caller), p->attempt.member->id,
                                   &report, p->head_ns);
}

static void proxy_on_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    weir__proxied *const p = user;
    weir_attempt_result const result = {.outcome = proxy_outcome_of(response),
                                        .origin = proxy_origin_of(response),
                                        .retry_after_ns = proxy_retry_after_ns(response)};
    p->head_ns = weir_loop_now_ns(p->gateway->loop);
    p->attempt_status = response->status;
    if (proxy_takes_reports(p))
        proxy_take_report(p, response);
    if (result.outcome == WEIR_SUCCESS && p->service->check_count > 0)
        weir__checks_note(p->service, &p->attempt, p->head_ns);
    if (result.outcome != WEIR_SUCCESS && proxy_end_attempt(p, result, p->head_ns)) {
        p->upstream = NULL;
        weir_http_call_cancel(call);
        proxy_end_made(p, result.outcome);
        return;
    }
    proxy_forward_head(p, response);
}

static void proxy_on_upstream_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    weir__proxied *const p = user;
    int const result = weir_http_exchange_write(p->exchange, data, size);
    if (result == WEIR_ECLOSED)
        return; /* on_abort comes. */
    if (result != WEIR_OK)
        proxy_cut(p);
    else if (weir_http_exchange_full(p->exchange)) {
        p->client_slow = true;
        weir_http_call_pause(call);
    }
}

static void proxy_on_upstream_writable(weir_http_call *call, void *user)
{
    weir__proxied *const p = user;
    (void)call;
    weir_http_exchange_resume(p->exchange);
}

/* Descriptors, ports or memory ran out here: that says nothing about the member. */
static bool proxy_is_ours_to_blame(int system_error)
{
    return system_error == EMFILE || system_error == ENFILE || system_error == ENOBUFS ||
           system_error == ENOMEM || system_error == EADDRNOTAVAIL;
}

/* A timeout is the member's only if it was the member who was waited for. */
static weir_outcome proxy_timeout_outcome(const weir__proxied *p)
{
    bool const client_owes = proxy_has_body(p) && !p->body_ended;
    if (p->answered)
        return p->client_slow ? WEIR_IGNORED : WEIR_TIMEOUT;
    return client_owes ? WEIR_IGNORED : WEIR_TIMEOUT;
}

static weir_attempt_result proxy_result_of(const weir__proxied *p, const weir_http_result *result)
{
    weir_attempt_result attempt = {.outcome = WEIR_FAILURE,
                                   .origin = WEIR_ORIGIN_LOCAL,
                                   .unsent = !result->maybe_processed};
    if (proxy_is_ours_to_blame(result->system_error))
        attempt.outcome = WEIR_IGNORED;
    switch (result->failure) {
    case WEIR_HTTP_NO_FAILURE: attempt.outcome = WEIR_SUCCESS; break;
    case WEIR_HTTP_CONNECT_FAILED:
    case WEIR_HTTP_CLOSED_EARLY:
    case WEIR_HTTP_RESPONSE_MALFORMED:
    case WEIR_HTTP_BODY_TRUNCATED: break;
    case WEIR_HTTP_CONNECT_TIMEOUT: attempt.outcome = WEIR_TIMEOUT; break;
    case WEIR_HTTP_SEND_TIMEOUT:
    case WEIR_HTTP_RESPONSE_TIMEOUT:
    case WEIR_HTTP_BODY_TIMEOUT: attempt.outcome = proxy_timeout_outcome(p); break;
    case WEIR_HTTP_CANCELLED: attempt.outcome = WEIR_CANCELLED; break;
    case WEIR_HTTP_NO_MEMORY: attempt.outcome = WEIR_IGNORED; break;
    }
    return attempt;
}

/* There is no response to pass on: says which kind of failure it was. */
static void proxy_fail(weir__proxied *p, weir_outcome outcome)
{
    if (outcome == WEIR_TIMEOUT)
        proxy_give_up(p, 504, 0, "the member did not answer in time\n");
    else if (outcome == WEIR_IGNORED && proxy_has_body(p) && !p->body_ended)
        proxy_give_up(p, 408, 0, "the request did not come in time\n");
    else if (outcome == WEIR_IGNORED)
        proxy_give_up(p, 503, WEIR__NS_PER_S, "out of memory, descriptors or ports\n");
    else
        proxy_give_up(p, 502, 0, "the member broke the call\n");
}

static void proxy_on_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    weir__proxied *const p = user;
    weir_attempt_result const attempt = proxy_result_of(p, result);
    bool const good = attempt.outcome == WEIR_SUCCESS;
    (void)call;
    p->upstream = NULL;
    proxy_end_made(p, attempt.outcome);
    /* A success took until its head came; how fast the client reads its body says nothing. */
    uint64_t const at_ns = good ? p->head_ns : weir_loop_now_ns(p->gateway->loop);
    bool const again = !p->attempt_ended && proxy_end_attempt(p, attempt, at_ns);
    if (good) {
        (void)weir_http_exchange_finish(p->exchange);
        proxy_free(p);
    } else if (p->answered) {
        proxy_cut(p);
    } else if (!again) {
        proxy_fail(p, attempt.outcome);
    }
}

static const weir_http_call_events proxy_call_events = {
    .on_head = proxy_on_head,
    .on_body = proxy_on_upstream_body,
    .on_writable = proxy_on_upstream_writable,
    .on_done = proxy_on_done,
};

/* False if that ended the request. A member that takes no more will be told of by on_done. */
static bool proxy_write_upstream(weir__proxied *p, const void *data, size_t size)
{
    int const result = weir_http_call_write(p->upstream, data, size);
    if (result == WEIR_OK || result == WEIR_ECLOSED)
        return true;
    proxy_break(p);
    return false;
}

/* What was received so far goes first; then the client may go on. */
static void proxy_send_body(weir__proxied *p)
{
    if (p->replay.size > 0 && !proxy_write_upstream(p, p->replay.data, p->replay.size))
        return;
    if (p->body_ended)
        (void)weir_http_call_finish(p->upstream);
    else if (weir_http_call_full(p->upstream))
        weir_http_exchange_pause(p->exchange);
    else
        weir_http_exchange_resume(p->exchange);
}

static uint32_t proxy_timeout_ms(const weir__proxied *p)
{
    return (uint32_t)(weir_mesh_service_options(p->service->mesh)->timeout_ns / WEIR__NS_PER_MS);
}

/* The headers of the request, and those of this attempt's span behind them. */
static size_t proxy_begin_made(weir__proxied *p, const weir_address *address)
{
    weir_client_call_info const info = {.parent = &p->served.span.context,
                                        .method = p->request->method,
                                        .path = p->request->path,
                                        .address = address,
                                        .service = weir__service_name(p->service),
                                        .member = p->attempt.member->id,
                                        .attempt = p->attempt.number};
    p->attempt_status = 0;
    weir_instrument_call(p->gateway->instrument, &p->made, &info,
                         weir_loop_now_ns(p->gateway->loop));
    if (p->gateway->options.tracer == NULL)
        return p->header_count; /* Theirs are among them. */
    memcpy(p->headers + p->header_count, p->made.headers,
           p->made.header_count * sizeof p->headers[0]);
    return p->header_count + p->made.header_count;
}

static int proxy_start_call(weir__proxied *p, const weir_address *address)
{
    weir_http_call_options options = WEIR_HTTP_CALL_OPTIONS_INIT;
    options.deadline_ns = p->attempt.deadline_ns;
    options.connect_ms = p->service->extras.connect_ms;
    options.head_ms = options.stall_ms = proxy_timeout_ms(p); /* The deadline comes first. */
    weir_http_request const request = {.method = p->request->method,
                                       .target = p->request->path,
                                       .headers = p->headers,
                                       .header_count = proxy_begin_made(p, address),
                                       .body_size = p->request->body_size};
    return weir_http_call_start(&p->upstream, p->gateway->client, address, &options, &request,
                                &proxy_call_events, p);
}

static void proxy_attempt(weir__proxied *p)
{
    weir_address address;
    p->attempt_ended = false;
    weir__affinity_cookie(&p->service->extras.sticky, p->sticky, p->attempt.member->id, p->cookie);
    int result = weir_address_parse(&address, p->attempt.member->address);
    if (result == WEIR_OK)
        result = proxy_start_call(p, &address);
    if (result != WEIR_OK)
        proxy_give_up(p, 500, 0, "the request could not be passed on\n");
    else if (proxy_has_body(p))
        proxy_send_body(p);
}

/* ---- The client's side ---- */

static void proxy_keep_body(weir__proxied *p, const void *data, size_t size)
{
    if (p->body_lost)
        return;
    p->body_lost = p->replay.size + size > PROXY_REPLAY_BYTES;
    if (!p->body_lost)
        weir__text_bytes(&p->replay, data, size);
    p->body_lost = p->body_lost || !weir__text_ok(&p->replay);
    if (p->body_lost)
        weir__text_free(&p->replay);
}

static void proxy_on_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    weir__proxied *const p = user;
    proxy_keep_body(p, data, size);
    if (p->upstream == NULL) { /* Kept for the next attempt, if there can be one. */
        if (p->body_lost)
            proxy_give_up(p, 502, 0, "the member broke the call\n");
        return;
    }
    if (proxy_write_upstream(p, data, size) && weir_http_call_full(p->upstream))
        weir_http_exchange_pause(exchange);
}

static void proxy_on_end(weir_http_exchange *exchange, void *user)
{
    weir__proxied *const p = user;
    (void)exchange;
    p->body_ended = true;
    if (p->upstream != NULL && proxy_has_body(p))
        (void)weir_http_call_finish(p->upstream);
}

static void proxy_on_writable(weir_http_exchange *exchange, void *user)
{
    weir__proxied *const p = user;
    (void)exchange;
    p->client_slow = false;
    if (p->upstream != NULL)
        weir_http_call_resume(p->upstream);
}

static void proxy_on_abort(weir_http_exchange *exchange, int code, void *user)
{
    weir__proxied *const p = user;
    p->status = code == WEIR_EDEADLINE   ? 408
                : code == WEIR_ETOOLARGE ? 413
                : code == WEIR_EPROTOCOL ? 400
                                         : WEIR__CLIENT_GONE;
    (void)weir_http_exchange_finish(exchange);
    proxy_free(p);
}

static const weir_http_exchange_events proxy_exchange_events = {
    .on_body = proxy_on_body,
    .on_end = proxy_on_end,
    .on_writable = proxy_on_writable,
    .on_abort = proxy_on_abort,
};

static bool proxy_is_idempotent(weir_http_slice method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strlen(methods[i]) == method.size && memcmp(methods[i], method.data, method.size) == 0)
            return true;
    return false;
}

static void proxy_begin_served(weir_gateway *gateway, weir_server_call *served,
                               const weir_http_exchange *exchange, const weir_http_request *request,
                               const char *route)
{
    weir_address const peer = weir_http_exchange_peer(exchange);
    weir_instrument_serve(gateway->instrument, served, request, route, &peer,
                          weir_loop_now_ns(gateway->loop));
}

static weir__proxied *proxy_new(weir_gateway *gateway, weir__service *service,
                                weir_http_exchange *exchange, const weir_http_request *request)
{
    size_t const headers =
        request->header_count + WEIR__FORWARDED_HEADERS + WEIR_CLIENT_CALL_HEADERS;
    size_t const bytes =
        sizeof(weir__proxied) + headers * sizeof(weir_http_header) + weir__forwarded_room(request);
    weir__proxied *const p = weir__alloc(&gateway->env, bytes);
    if (p == NULL)
        return NULL;
    p->gateway = gateway;
    p->service = service;
    p->exchange = exchange;
    p->request = request;
    p->headers = (weir_http_header *)(void *)(p + 1);
    p->bytes = bytes;
    p->began_ns = weir_loop_now_ns(gateway->loop);
    weir__text_init(&p->replay, &gateway->env);
    p->header_count =
        weir__forwarded_fill(p->headers, (char *)(p->headers + headers), request, exchange,
                             gateway->options.tracer != NULL ? gateway->instrument : NULL,
                             &gateway->rng);
    proxy_begin_served(gateway, &p->served, exchange, request, service->extras.route);
    service->users++;
    gateway->in_progress++;
    return p;
}

static void proxy_begin(weir__proxied *p)
{
    weir_rejection rejection;
    weir_call_options options = WEIR_CALL_OPTIONS_INIT;
    options.repeatable = proxy_is_idempotent(p->request->method);
    options.user = p;
    options.hash = weir__affinity_hash(&p->service->extras.key, p->exchange, p->request);
    if (weir__affinity_member(&p->service->extras.sticky, p->request, p->sticky))
        options.sticky = p->sticky;
    weir_http_exchange_handle(p->exchange, &proxy_exchange_events, p);
    if (weir_caller_begin(p->service->caller, &p->call, &options, p->began_ns, &p->attempt,
                          &rejection) == WEIR_OK)
        proxy_attempt(p);
    else
        proxy_reject(p, &rejection);
}

static void proxy_answer_unrouted(weir_gateway *gateway, weir_http_exchange *exchange,
                                  const weir_http_request *request, int status, const char *text)
{
    weir_server_call served;
    proxy_begin_served(gateway, &served, exchange, request, "");
    proxy_answer(exchange, status, 0, text);
    weir_instrument_served(&served, status, NULL, weir_loop_now_ns(gateway->loop));
}

void weir__gateway_on_request(weir_http_exchange *exchange, const weir_http_request *request,
                              void *user)
{
    weir_gateway *const gateway = user;
    weir__service *const service = weir__gateway_route(gateway, request->path);
    if (service == NULL) {
        proxy_answer_unrouted(gateway, exchange, request, 404, "no route\n");
        return;
    }
    weir__proxied *const p = proxy_new(gateway, service, exchange, request);
    if (p != NULL)
        proxy_begin(p);
    else
        proxy_answer_unrouted(gateway, exchange, request, 500, "out of memory\n");
}
