#include <weir/http.h>

#include "net/http_server.h"
#include "net/http_syntax.h"

#include <errno.h>

static const weir_http_exchange_events http_exchange_deaf = {NULL, NULL, NULL, NULL};

/* ---- Ends ---- */

/* The struct goes once neither the socket nor the handler needs it. */
static void http_exchange_closed(weir_http_exchange *exchange)
{
    if (exchange->server != NULL)
        weir__http_server_forget(exchange);
    if (!exchange->owned)
        weir__http_conn_doom(&exchange->conn);
}

static void http_exchange_close(weir_http_exchange *exchange)
{
    weir__http_conn_close(&exchange->conn);
    http_exchange_closed(exchange);
}

/* Once: the last that the handler is told. */
static void http_exchange_tell_abort(weir_http_exchange *exchange, int code)
{
    if (!exchange->owned || exchange->aborted)
        return;
    exchange->aborted = true;
    if (exchange->events->on_abort != NULL)
        exchange->events->on_abort(exchange, code, exchange->user);
}

void weir__http_exchange_abort(weir_http_exchange *exchange, int code)
{
    weir__http_conn_enter(&exchange->conn);
    http_exchange_close(exchange);
    http_exchange_tell_abort(exchange, code);
    weir__http_conn_leave(&exchange->conn);
}

/* Our last word is queued: send it, say so, and let the peer read it before we close: a close with
   unread input would reset the connection, and the answer with it. */
static void http_exchange_linger(weir_http_exchange *exchange)
{
    weir__http_conn *const conn = &exchange->conn;
    weir__http_conn_shutdown(conn);
    conn->discarding = true;
    conn->held = conn->paused = false;
    if (exchange->phase == WEIR__HTTP_EXCHANGE && exchange->server != NULL)
        exchange->server->exchange_count--;
    exchange->phase = WEIR__HTTP_LINGER;
    exchange->since_ns = weir_loop_now_ns(conn->loop);
}

/* ---- Responses ---- */

static bool http_exchange_is(weir_http_slice method, const char *name)
{
    return method.size == strlen(name) && memcmp(method.data, name, method.size) == 0;
}

/* What is left of the request is short, or known to be on its way anyway. */
static bool http_exchange_can_drain(const weir_http_exchange *exchange)
{
    const weir__http_parser *const parser = &exchange->conn.parser;
    return exchange->received || (parser->framing == WEIR__HTTP_FIXED && exchange->continued &&
                                  parser->left <= exchange->server->options.drain_bytes);
}

static const char *http_exchange_connection(const weir_http_exchange *exchange)
{
    if (exchange->last)
        return "close";
    return exchange->conn.parser.request.minor_version == 0 ? "keep-alive" : NULL;
}

/* The head of a response; on failure nothing is queued. */
static int http_exchange_begin(weir_http_exchange *exchange, const weir_http_response *response)
{
    weir__http_conn *const conn = &exchange->conn;
    const weir_http_request *const request = &conn->parser.request;
    bool const unknown = response->body_size == WEIR_HTTP_SIZE_UNKNOWN;
    bool const head = http_exchange_is(request->method, "HEAD");
    bool const empty =
        response->status == 204 || (response->status == 304 && response->body_size == 0);
    exchange->bodyless = head || empty || response->status == 304;
    exchange->chunked = unknown && !exchange->bodyless && request->minor_version == 1;
    exchange->last |= !conn->parser.persistent || exchange->server->draining ||
                      !http_exchange_can_drain(exchange) ||
                      (unknown && !exchange->bodyless && !exchange->chunked);
    weir__http_added const added = {.length = exchange->chunked  ? WEIR__HTTP_LENGTH_CHUNKED
                                              : unknown || empty ? WEIR__HTTP_LENGTH_NONE
                                                                 : WEIR__HTTP_LENGTH_FIXED,
                                    .size = response->body_size,
                                    .connection = http_exchange_connection(exchange),
                                    .date = weir__http_server_date(exchange->server)};
    int const result = weir__http_write_response(&conn->out, conn->env, response, &added);
    if (result != WEIR_OK)
        return result;
    exchange->left = response->body_size;
    exchange->started = true;
    conn->full |= weir__http_conn_full(conn); /* By its head alone, maybe. */
    weir__http_conn_touch(conn);
    return WEIR_OK;
}

/* An answer of our own, after which the connection ends. */
static void http_exchange_answer(weir_http_exchange *exchange, int status, const char *reason)
{
    static const weir_http_header headers[] = {{{"Content-Type", 12}, {"text/plain", 10}}};
    weir_http_response const response = {.status = status,
                                         .headers = headers,
                                         .header_count = 1,
                                         .body_size = strlen(reason) + 1};
    weir_http_slice const body[] = {{reason, strlen(reason)}, {"\n", 1}};
    exchange->last = exchange->finished = true;
    if (http_exchange_begin(exchange, &response) != WEIR_OK ||
        (!exchange->bodyless && weir__http_conn_write(&exchange->conn, body, 2) != WEIR_OK))
        weir__http_exchange_abort(exchange, WEIR_ENOMEM);
}

/* The request is broken, or too slow: answered, if nothing else was. */
static void http_exchange_reject(weir_http_exchange *exchange, int code, int status,
                                 const char *reason)
{
    weir__http_conn *const conn = &exchange->conn;
    if (exchange->phase == WEIR__HTTP_IDLE) { /* Its head came to no end: there is no method. */
        conn->parser.request = (weir_http_request){.minor_version = 1};
        exchange->started = false;
        exchange->phase = WEIR__HTTP_EXCHANGE;
        exchange->server->exchange_count++;
    }
    conn->held = true;
    exchange->last = true;
    if (exchange->started && !exchange->finished) {
        weir__http_exchange_abort(exchange, code); /* Cut short: the peer must see it. */
        return;
    }
    weir__http_conn_enter(conn);
    if (!exchange->started)
        http_exchange_answer(exchange, status, reason);
    http_exchange_tell_abort(exchange, code);
    weir__http_conn_leave(conn);
}

/* ---- Requests ---- */

static void http_exchange_next(weir_http_exchange *exchange)
{
    weir__http_conn *const conn = &exchange->conn;
    exchange->server->exchange_count--;
    weir__http_parser_reset(&conn->parser);
    conn->held = conn->paused = false;
    exchange->phase = WEIR__HTTP_IDLE;
    exchange->since_ns = weir_loop_now_ns(conn->loop);
    exchange->coming = exchange->first = false;
    exchange->aborted = exchange->received = exchange->started = exchange->finished = false;
    exchange->last = exchange->continued = false;
    exchange->events = &http_exchange_deaf;
}

/* Both halves are over: the next request may come, if the peer takes our answers. */
static void http_exchange_advance(weir_http_exchange *exchange)
{
    if (exchange->phase == WEIR__HTTP_EXCHANGE && exchange->finished && exchange->received &&
        !exchange->last && !weir__http_conn_full(&exchange->conn))
        http_exchange_next(exchange);
}

static void http_exchange_head(weir_http_exchange *exchange)
{
    weir__http_parser const *const parser = &exchange->conn.parser;
    weir_http_server *const server = exchange->server;
    uint64_t const now_ns = weir_loop_now_ns(exchange->conn.loop);
    exchange->begin_ns = exchange->coming ? exchange->since_ns : now_ns;
    exchange->phase = WEIR__HTTP_EXCHANGE;
    exchange->since_ns = now_ns;
    exchange->owned = true;
    exchange->received = parser->request.body_size == 0;
    exchange->continued = !parser->wants_continue;
    server->exchange_count++;
    server->options.on_request(exchange, &parser->request, server->options.user);
}

/* What comes after the response is finished is dropped: little, as http_exchange_can_drain() says,
   or the connection is about to end. */
static void http_exchange_body(weir_http_exchange *exchange)
{
    weir_http_slice const body = exchange->conn.parser.body;
    if (exchange->owned && exchange->events->on_body != NULL)
        exchange->events->on_body(exchange, body.data, body.size, exchange->user);
}

static void http_exchange_parsed(weir__http_conn *conn, weir__http_event event)
{
    weir_http_exchange *const exchange = (weir_http_exchange *)conn;
    if (event == WEIR__HTTP_HEAD) {
        http_exchange_head(exchange);
    } else if (event == WEIR__HTTP_BODY) {
        http_exchange_body(exchange);
    } else if (event == WEIR__HTTP_END) {
        exchange->received = conn->held = true;
        if (exchange->owned && exchange->events->on_end != NULL)
            exchange->events->on_end(exchange, exchange->user);
        if (!conn->closed)
            http_exchange_advance(exchange);
    } else {
        http_exchange_reject(exchange, conn->parser.code, conn->parser.status, conn->parser.reason);
    }
}

static void http_exchange_ended(weir__http_conn *conn, int error)
{
    weir_http_exchange *const exchange = (weir_http_exchange *)conn;
    bool const answered = exchange->phase == WEIR__HTTP_EXCHANGE && exchange->received &&
                          (exchange->finished || exchange->server->options.half_close);
    bool const sending = exchange->phase == WEIR__HTTP_IDLE && conn->out.size > 0;
    if (error == 0 && (answered || sending))
        exchange->last = true; /* Only its sending may have ended. */
    else
        weir__http_exchange_abort(exchange, error == ENOMEM ? WEIR_ENOMEM : WEIR_ECLOSED);
}

static void http_exchange_unwritable(weir__http_conn *conn, int error)
{
    (void)error;
    weir__http_exchange_abort((weir_http_exchange *)conn, WEIR_ECLOSED);
}

static void http_exchange_drained(weir__http_conn *conn)
{
    weir_http_exchange *const exchange = (weir_http_exchange *)conn;
    if (exchange->owned && !exchange->aborted && exchange->events->on_writable != NULL)
        exchange->events->on_writable(exchange, exchange->user);
}

/* ---- Time ---- */

static uint64_t http_exchange_after(uint64_t from_ns, uint32_t ms)
{
    return weir__add_ns(from_ns, ms * WEIR__NS_PER_MS);
}

static uint64_t http_exchange_body_deadline(const weir_http_exchange *exchange)
{
    const weir_http_server_options *const options = &exchange->server->options;
    uint64_t deadline_ns = WEIR_NEVER;
    if (exchange->received || exchange->conn.held)
        return deadline_ns;
    if (!exchange->conn.paused)
        deadline_ns = http_exchange_after(exchange->conn.read_ns, options->body_ms);
    uint64_t const whole_ns = options->request_ms > 0
                                  ? http_exchange_after(exchange->begin_ns, options->request_ms)
                                  : WEIR_NEVER;
    return whole_ns < deadline_ns ? whole_ns : deadline_ns;
}

static uint64_t http_exchange_write_deadline(const weir_http_exchange *exchange)
{
    return exchange->conn.blocked
               ? http_exchange_after(exchange->conn.write_ns, exchange->server->options.write_ms)
               : WEIR_NEVER;
}

static uint64_t http_exchange_deadline(const weir_http_exchange *exchange)
{
    const weir_http_server_options *const options = &exchange->server->options;
    uint64_t const write_ns = http_exchange_write_deadline(exchange);
    uint64_t other_ns;
    if (exchange->phase == WEIR__HTTP_LINGER)
        return http_exchange_after(exchange->since_ns, options->linger_ms);
    if (exchange->phase == WEIR__HTTP_EXCHANGE)
        other_ns = http_exchange_body_deadline(exchange);
    else
        other_ns = http_exchange_after(exchange->since_ns, exchange->coming || exchange->first
                                                               ? options->header_ms
                                                               : options->idle_ms);
    return write_ns < other_ns ? write_ns : other_ns;
}

static void http_exchange_due(weir__http_conn *conn)
{
    weir_http_exchange *const exchange = (weir_http_exchange *)conn;
    uint64_t const now_ns = weir_loop_now_ns(conn->loop);
    if (http_exchange_deadline(exchange) > now_ns)
        return; /* Paused since it was set. */
    bool const silent = exchange->phase == WEIR__HTTP_LINGER ||
                        http_exchange_write_deadline(exchange) <= now_ns ||
                        (exchange->phase == WEIR__HTTP_IDLE && !exchange->coming);
    if (silent)
        weir__http_exchange_abort(exchange, WEIR_EDEADLINE);
    else
        http_exchange_reject(exchange, WEIR_EDEADLINE, 408, "request timeout");
}

/* ---- What follows from all that happened ---- */

static void http_exchange_continue(weir_http_exchange *exchange)
{
    weir__http_conn *const conn = &exchange->conn;
    if (exchange->continued || !exchange->owned || exchange->aborted || exchange->started ||
        conn->paused)
        return;
    static const weir_http_slice line = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    exchange->continued = true;
    conn->read_ns = weir_loop_now_ns(conn->loop);
    if (weir__http_conn_write(conn, &line, 1) == WEIR_ENOMEM)
        weir__http_exchange_abort(exchange, WEIR_ENOMEM);
}

/* The last response is sent: close at once, if nothing of the request is unread. */
static void http_exchange_part(weir_http_exchange *exchange)
{
    weir__http_conn *const conn = &exchange->conn;
    if (conn->eof || (exchange->received && conn->rest.size == 0))
        http_exchange_close(exchange);
    else
        http_exchange_linger(exchange);
}

static void http_exchange_settle(weir__http_conn *conn)
{
    weir_http_exchange *const exchange = (weir_http_exchange *)conn;
    if (exchange->phase == WEIR__HTTP_EXCHANGE) {
        http_exchange_continue(exchange);
        if (conn->closed)
            return;
        http_exchange_advance(exchange);
        if (exchange->phase == WEIR__HTTP_EXCHANGE && exchange->finished && exchange->last &&
            conn->out.size == 0)
            http_exchange_part(exchange);
        if (conn->closed)
            return;
    }
    if (exchange->phase == WEIR__HTTP_IDLE) {
        if (!exchange->coming && !weir__http_parser_idle(&conn->parser)) {
            exchange->coming = true;
            exchange->since_ns =
                exchange->first ? exchange->since_ns : weir_loop_now_ns(conn->loop);
        }
        bool const unwanted = exchange->server->draining && !exchange->coming;
        if ((unwanted || conn->eof) && conn->rest.size == 0 && conn->out.size == 0) {
            http_exchange_close(exchange);
            return;
        }
    }
    conn->deadline_ns = http_exchange_deadline(exchange);
}

static void http_exchange_release(weir__http_conn *conn)
{
    weir_env const env = *conn->env;
    weir__http_conn_free(conn);
    weir__free(&env, conn, sizeof(weir_http_exchange));
}

const weir__http_role weir__http_exchange_role = {
    .connected = NULL,
    .parsed = http_exchange_parsed,
    .ended = http_exchange_ended,
    .unwritable = http_exchange_unwritable,
    .drained = http_exchange_drained,
    .due = http_exchange_due,
    .settle = http_exchange_settle,
    .release = http_exchange_release,
};

void weir__http_exchange_init(weir_http_exchange *exchange)
{
    exchange->events = &http_exchange_deaf;
    exchange->first = true;
    exchange->since_ns = weir_loop_now_ns(exchange->conn.loop);
}

/* ---- For the handler ---- */

void weir_http_exchange_handle(weir_http_exchange *exchange,
                               const weir_http_exchange_events *events, void *user)
{
    exchange->events = events != NULL ? events : &http_exchange_deaf;
    exchange->user = user;
}

const weir_http_request *weir_http_exchange_request(const weir_http_exchange *exchange)
{
    return &exchange->conn.parser.request;
}

weir_address weir_http_exchange_peer(const weir_http_exchange *exchange)
{
    return exchange->peer;
}

void weir_http_exchange_pause(weir_http_exchange *exchange)
{
    exchange->conn.paused = true;
}

void weir_http_exchange_resume(weir_http_exchange *exchange)
{
    weir__http_conn_resume(&exchange->conn);
}

static bool http_exchange_over(const weir_http_exchange *exchange)
{
    return exchange->aborted || exchange->conn.closed || exchange->conn.mute;
}

int weir_http_exchange_start(weir_http_exchange *exchange, const weir_http_response *response)
{
    if (http_exchange_over(exchange))
        return WEIR_ECLOSED;
    if (exchange->started)
        return WEIR_EINVAL;
    return http_exchange_begin(exchange, response);
}

int weir_http_exchange_write(weir_http_exchange *exchange, const void *data, size_t size)
{
    if (http_exchange_over(exchange))
        return WEIR_ECLOSED;
    bool const known = !exchange->bodyless && exchange->left != WEIR_HTTP_SIZE_UNKNOWN;
    if (!exchange->started || (known && size > exchange->left))
        return WEIR_EINVAL;
    if (size == 0 || exchange->bodyless)
        return WEIR_OK;
    if (weir__http_conn_full(&exchange->conn))
        return WEIR_EBUSY;
    int const result = weir__http_conn_write_body(&exchange->conn, exchange->chunked, data, size);
    if (result == WEIR_OK && known)
        exchange->left -= size;
    return result;
}

bool weir_http_exchange_full(const weir_http_exchange *exchange)
{
    return weir__http_conn_full(&exchange->conn);
}

/* Queues the end of the response, and says what it came to. */
static int http_exchange_end(weir_http_exchange *exchange)
{
    static const weir_http_slice last_chunk = {"0\r\n\r\n", 5};
    weir__http_conn *const conn = &exchange->conn;
    if (http_exchange_over(exchange))
        return WEIR_ECLOSED;
    if (!exchange->started) {
        http_exchange_answer(exchange, 500, "no response");
        return WEIR_EINVAL;
    }
    int result = WEIR_OK;
    if (exchange->chunked)
        result = weir__http_conn_write(conn, &last_chunk, 1);
    else if (!exchange->bodyless && exchange->left != WEIR_HTTP_SIZE_UNKNOWN && exchange->left > 0)
        result = WEIR_EINVAL;
    if (result != WEIR_OK)
        http_exchange_close(exchange);
    return result;
}

int weir_http_exchange_finish(weir_http_exchange *exchange)
{
    weir__http_conn *const conn = &exchange->conn;
    weir__http_conn_enter(conn);
    exchange->owned = false;
    int const result = http_exchange_end(exchange);
    if (conn->closed) {
        weir__http_conn_doom(conn);
    } else {
        exchange->finished = true;
        conn->paused = false; /* The rest of the request is ours to drop. */
        weir__http_conn_touch(conn);
    }
    weir__http_conn_leave(conn);
    return result;
}

void weir_http_exchange_cut(weir_http_exchange *exchange)
{
    weir__http_conn *const conn = &exchange->conn;
    weir__http_conn_enter(conn);
    exchange->owned = false;
    if (conn->closed)
        weir__http_conn_doom(conn);
    else if (exchange->aborted)
        weir__http_conn_touch(conn); /* Our own answer is on its way. */
    else
        http_exchange_close(exchange);
    weir__http_conn_leave(conn);
}

int weir_http_exchange_respond_with(weir_http_exchange *exchange,
                                    const weir_http_response *response, const void *body)
{
    size_t const size = (size_t)response->body_size;
    bool const unknown = response->body_size == WEIR_HTTP_SIZE_UNKNOWN;
    int result = unknown ? WEIR_EINVAL : weir_http_exchange_start(exchange, response);
    if (result == WEIR_OK && !exchange->bodyless && size > 0)
        result = weir__http_conn_write_body(&exchange->conn, false, body, size);
    if (result == WEIR_OK)
        exchange->left = 0;
    int const finished = weir_http_exchange_finish(exchange);
    return result != WEIR_OK ? result : finished;
}

int weir_http_exchange_respond(weir_http_exchange *exchange, int status, const char *content_type,
                               const void *body, size_t size)
{
    weir_http_header const type = {{"Content-Type", 12}, weir_http_str(content_type)};
    weir_http_response const response = {.status = status,
                                         .headers = &type,
                                         .header_count = content_type != NULL ? 1 : 0,
                                         .body_size = size};
    return weir_http_exchange_respond_with(exchange, &response, body);
}
