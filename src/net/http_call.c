#include <weir/http.h>

#include "net/http_client.h"
#include "net/http_syntax.h"
#include "net/http_write.h"
#include "net/socket.h"

#include <errno.h>

/* ---- Ends ---- */

void weir__http_call_close(weir_http_call *call)
{
    weir__http_conn *const conn = &call->conn;
    weir__http_conn_close(conn);
    weir__http_client_forget(call);
    weir__http_conn_doom(conn);
}

static void http_call_tell(weir_http_call *call, const weir_http_result *result)
{
    call->state = WEIR__HTTP_CALL_OVER;
    if (call->events->on_done != NULL)
        call->events->on_done(call, result, call->user);
}

void weir__http_call_fail(weir_http_call *call, weir_http_failure failure, int code,
                          const char *reason, int system_error)
{
    weir__http_conn *const conn = &call->conn;
    weir_http_result const result = {.code = code,
                                     .failure = failure,
                                     .maybe_processed = call->sent_before || conn->sent > 0,
                                     .reused = call->reused && !call->repeated,
                                     .system_error = system_error,
                                     .reason = reason};
    weir__http_conn_enter(conn);
    call->state = WEIR__HTTP_CALL_OVER;
    weir__http_call_close(call);
    http_call_tell(call, &result);
    weir__http_conn_leave(conn);
}

/* The response is whole. The connection is kept if nobody can doubt where it stands. */
static void http_call_complete(weir_http_call *call)
{
    weir__http_conn *const conn = &call->conn;
    weir_http_result const result = {.code = WEIR_OK,
                                     .failure = WEIR_HTTP_NO_FAILURE,
                                     .maybe_processed = true,
                                     .reused = call->reused && !call->repeated,
                                     .reason = "success"};
    conn->held = true;
    http_call_tell(call, &result);
    if (conn->closed)
        return;
    bool const clean = conn->parser.persistent && call->finished && conn->out.size == 0 &&
                       !conn->mute && !conn->eof && conn->rest.size == 0;
    conn->paused = conn->full = false;
    if (clean && weir__http_client_keep(call)) {
        call->state = WEIR__HTTP_CALL_IDLE;
        call->since_ns = weir_loop_now_ns(conn->loop);
    } else {
        weir__http_call_close(call);
    }
}

/* ---- Beginnings ---- */

static bool http_call_is(weir_http_slice method, const char *name)
{
    return method.size == strlen(name) && memcmp(method.data, name, method.size) == 0;
}

static bool http_call_is_safe(weir_http_slice method)
{
    return http_call_is(method, "GET") || http_call_is(method, "HEAD") ||
           http_call_is(method, "OPTIONS") || http_call_is(method, "TRACE");
}

/* Methods that usually come with a body say so when they have none (RFC 9110, 8.6). */
static weir__http_length http_call_length(const weir_http_request *request)
{
    if (request->body_size == WEIR_HTTP_SIZE_UNKNOWN)
        return WEIR__HTTP_LENGTH_CHUNKED;
    bool const said = request->body_size > 0 || http_call_is(request->method, "POST") ||
                      http_call_is(request->method, "PUT") ||
                      http_call_is(request->method, "PATCH");
    return said ? WEIR__HTTP_LENGTH_FIXED : WEIR__HTTP_LENGTH_NONE;
}

/* The head, as yet unsent, at the front of the queue. */
static int http_call_queue_head(weir_http_call *call)
{
    weir__http_conn *const conn = &call->conn;
    if (weir__http_bytes_reserve(&conn->out, conn->env, call->head.size) != WEIR_OK)
        return WEIR_ENOMEM;
    weir__http_bytes_add(&conn->out, weir__http_bytes_front(&call->head), call->head.size);
    return WEIR_OK;
}

int weir__http_call_prepare(weir_http_call *call, const weir_http_request *request)
{
    weir__http_conn *const conn = &call->conn;
    weir__http_added const added = {.length = http_call_length(request),
                                    .size = request->body_size,
                                    .host = call->pool->host};
    weir__http_bytes_take(&call->head, call->head.size);
    int result = weir__http_write_request(&call->head, conn->env, request, &added);
    if (result == WEIR_OK)
        result = http_call_queue_head(call);
    if (result != WEIR_OK)
        return result;
    call->safe = http_call_is_safe(request->method);
    call->to_head = http_call_is(request->method, "HEAD");
    call->bodyless = call->finished = request->body_size == 0;
    call->chunked = request->body_size == WEIR_HTTP_SIZE_UNKNOWN;
    call->left = request->body_size;
    call->repeated = call->begun = call->sent_before = false;
    if (conn->loop != NULL) /* Not a new one. */
        conn->write_ns = conn->read_ns = weir_loop_now_ns(conn->loop);
    conn->sent = 0;
    conn->held = conn->paused = false;
    weir__http_parser_reset(&conn->parser);
    conn->parser.to_head = call->to_head;
    return WEIR_OK;
}

/*
 * A kept connection that was closed before any byte of the response: the peer gave it up, most
 * likely before our request came. Repeating is right if the request never left, or changes nothing.
 */
static bool http_call_repeat(weir_http_call *call)
{
    weir__http_conn *const conn = &call->conn;
    bool const harmless = conn->sent == 0 || (call->safe && call->bodyless);
    if (!call->reused || call->repeated || call->begun || !harmless)
        return false;
    if (conn->sent > 0) {
        weir__http_bytes_take(&conn->out, conn->out.size);
        if (http_call_queue_head(call) != WEIR_OK)
            return false;
    }
    call->sent_before = conn->sent > 0;
    call->repeated = true;
    call->state = WEIR__HTTP_CALL_CONNECT;
    conn->sent = 0;
    int const fd = weir__socket_connect(&call->pool->address);
    if (weir__http_conn_attach(conn, fd, true) != WEIR_OK)
        weir__http_call_fail(call, WEIR_HTTP_NO_MEMORY, WEIR_ENOMEM, "out of memory", 0);
    return true;
}

/* ---- What the connection tells ---- */

static void http_call_connected(weir__http_conn *conn, int error)
{
    weir_http_call *const call = (weir_http_call *)conn;
    if (error != 0) {
        weir__http_call_fail(call, WEIR_HTTP_CONNECT_FAILED, WEIR_ESYSTEM, "cannot connect", error);
        return;
    }
    call->state = WEIR__HTTP_CALL_WAIT;
    conn->write_ns = conn->read_ns = weir_loop_now_ns(conn->loop);
    weir__http_conn_touch(conn);
}

static void http_call_head(weir_http_call *call)
{
    weir__http_conn *const conn = &call->conn;
    const weir_http_response *const response = &conn->parser.response;
    if (response->status == 101) { /* Nobody asked for an upgrade. */
        weir__http_call_fail(call, WEIR_HTTP_RESPONSE_MALFORMED, WEIR_EPROTOCOL,
                             "unexpected upgrade", 0);
        return;
    }
    if (response->status < 200)
        return;
    call->state = WEIR__HTTP_CALL_BODY;
    if (call->events->on_head != NULL)
        call->events->on_head(call, response, call->user);
}

static void http_call_end(weir_http_call *call)
{
    weir__http_parser *const parser = &call->conn.parser;
    if (parser->response.status >= 200) {
        http_call_complete(call);
        return;
    }
    weir__http_parser_reset(parser);
    parser->to_head = call->to_head;
}

static void http_call_parsed(weir__http_conn *conn, weir__http_event event)
{
    weir_http_call *const call = (weir_http_call *)conn;
    weir__http_parser const *const parser = &conn->parser;
    call->begun = true;
    if (event == WEIR__HTTP_HEAD) {
        http_call_head(call);
    } else if (event == WEIR__HTTP_BODY) {
        if (call->events->on_body != NULL)
            call->events->on_body(call, parser->body.data, parser->body.size, call->user);
    } else if (event == WEIR__HTTP_END) {
        http_call_end(call);
    } else {
        weir__http_call_fail(call,
                             parser->code == WEIR_ENOMEM ? WEIR_HTTP_NO_MEMORY
                                                         : WEIR_HTTP_RESPONSE_MALFORMED,
                             parser->code, parser->reason, 0);
    }
}

static void http_call_ended(weir__http_conn *conn, int error)
{
    weir_http_call *const call = (weir_http_call *)conn;
    if (call->state == WEIR__HTTP_CALL_IDLE) {
        weir__http_call_close(call);
        return;
    }
    call->begun |= !weir__http_parser_idle(&conn->parser);
    if (error == ENOMEM)
        weir__http_call_fail(call, WEIR_HTTP_NO_MEMORY, WEIR_ENOMEM, "out of memory", 0);
    else if (call->state == WEIR__HTTP_CALL_BODY && error == 0 &&
             weir__http_parser_eof(&conn->parser) == WEIR__HTTP_END)
        http_call_complete(call);
    else if (call->state == WEIR__HTTP_CALL_BODY)
        weir__http_call_fail(call, WEIR_HTTP_BODY_TRUNCATED, WEIR_ECLOSED,
                             "closed within the body of the response", error);
    else if (!http_call_repeat(call))
        weir__http_call_fail(call, WEIR_HTTP_CLOSED_EARLY, WEIR_ECLOSED,
                             "closed before the response", error);
}

/* The peer takes no more: maybe it has answered already, so what it says is still read. */
static void http_call_unwritable(weir__http_conn *conn, int error)
{
    weir_http_call *const call = (weir_http_call *)conn;
    if (call->state == WEIR__HTTP_CALL_CONNECT)
        weir__http_call_fail(call, WEIR_HTTP_CONNECT_FAILED, WEIR_ESYSTEM, "cannot connect", error);
    else if (error != EPIPE && error != ECONNRESET)
        http_call_ended(conn, error);
}

static void http_call_drained(weir__http_conn *conn)
{
    weir_http_call *const call = (weir_http_call *)conn;
    if (call->events->on_writable != NULL)
        call->events->on_writable(call, call->user);
}

/* ---- Time ---- */

static uint64_t http_call_after(uint64_t from_ns, uint32_t ms)
{
    return weir__add_ns(from_ns, ms * WEIR__NS_PER_MS);
}

/* When the peer must have taken, or said, something; and which failure it is otherwise. */
static uint64_t http_call_deadline(const weir_http_call *call, weir_http_failure *failure)
{
    const weir__http_conn *const conn = &call->conn;
    bool const sent = (call->finished && conn->out.size == 0) || conn->mute;
    uint64_t at_ns = WEIR_NEVER;
    if (call->state == WEIR__HTTP_CALL_CONNECT) {
        *failure = WEIR_HTTP_CONNECT_TIMEOUT;
        at_ns = http_call_after(conn->write_ns, call->options.connect_ms);
    } else if (conn->blocked) {
        *failure = WEIR_HTTP_SEND_TIMEOUT;
        at_ns = http_call_after(conn->write_ns, call->options.stall_ms);
    } else if (call->state == WEIR__HTTP_CALL_WAIT) {
        *failure = sent ? WEIR_HTTP_RESPONSE_TIMEOUT : WEIR_HTTP_SEND_TIMEOUT;
        if (sent && !conn->paused)
            at_ns = http_call_after(conn->write_ns, call->options.head_ms);
    } else {
        *failure = WEIR_HTTP_BODY_TIMEOUT;
        if (!conn->paused)
            at_ns = http_call_after(conn->read_ns, call->options.stall_ms);
    }
    return call->options.deadline_ns < at_ns ? call->options.deadline_ns : at_ns;
}

static void http_call_due(weir__http_conn *conn)
{
    weir_http_call *const call = (weir_http_call *)conn;
    if (call->state == WEIR__HTTP_CALL_IDLE) {
        weir__http_call_close(call);
        return;
    }
    weir_http_failure failure;
    if (http_call_deadline(call, &failure) > weir_loop_now_ns(conn->loop))
        return; /* Paused since it was set. */
    weir__http_call_fail(call, failure, WEIR_EDEADLINE, "timeout", 0);
}

static void http_call_settle(weir__http_conn *conn)
{
    weir_http_call *const call = (weir_http_call *)conn;
    weir_http_failure failure;
    if (call->state != WEIR__HTTP_CALL_IDLE)
        conn->deadline_ns = http_call_deadline(call, &failure);
    else if (conn->rest.size > 0)
        weir__http_call_close(call); /* Nobody asked for that. */
    else
        conn->deadline_ns = http_call_after(call->since_ns, call->client->options.idle_ms);
}

static void http_call_release(weir__http_conn *conn)
{
    weir_http_call *const call = (weir_http_call *)conn;
    weir_env const env = *conn->env;
    weir__http_bytes_free(&call->head, &env);
    weir__http_conn_free(conn);
    weir__free(&env, call, sizeof *call);
}

const weir__http_role weir__http_call_role = {
    .connected = http_call_connected,
    .parsed = http_call_parsed,
    .ended = http_call_ended,
    .unwritable = http_call_unwritable,
    .drained = http_call_drained,
    .due = http_call_due,
    .settle = http_call_settle,
    .release = http_call_release,
};

/* ---- For the caller ---- */

int weir_http_call_write(weir_http_call *call, const void *data, size_t size)
{
    weir__http_conn *const conn = &call->conn;
    if (conn->closed || conn->mute)
        return WEIR_ECLOSED;
    if (call->finished || (!call->chunked && size > call->left))
        return WEIR_EINVAL;
    if (size == 0)
        return WEIR_OK;
    if (weir__http_conn_full(conn))
        return WEIR_EBUSY;
    int const result = weir__http_conn_write_body(conn, call->chunked, data, size);
    if (result == WEIR_OK && !call->chunked)
        call->left -= size;
    return result;
}

bool weir_http_call_full(const weir_http_call *call)
{
    return weir__http_conn_full(&call->conn);
}

int weir_http_call_finish(weir_http_call *call)
{
    static const weir_http_slice last_chunk = {"0\r\n\r\n", 5};
    weir__http_conn *const conn = &call->conn;
    if (call->finished)
        return WEIR_OK;
    if (conn->closed || conn->mute)
        return WEIR_ECLOSED;
    if (!call->chunked && call->left > 0)
        return WEIR_EINVAL;
    if (call->chunked) {
        int const result = weir__http_conn_write(conn, &last_chunk, 1);
        if (result != WEIR_OK)
            return result;
    }
    call->finished = true;
    weir__http_conn_touch(conn);
    return WEIR_OK;
}

void weir_http_call_pause(weir_http_call *call)
{
    call->conn.paused = true;
}

void weir_http_call_resume(weir_http_call *call)
{
    if (call->conn.paused)
        call->conn.write_ns = weir_loop_now_ns(call->conn.loop); /* The wait begins anew. */
    weir__http_conn_resume(&call->conn);
}

void weir_http_call_cancel(weir_http_call *call)
{
    if (call->state == WEIR__HTTP_CALL_OVER || call->state == WEIR__HTTP_CALL_IDLE)
        return;
    call->state = WEIR__HTTP_CALL_OVER;
    weir__http_call_close(call);
}
