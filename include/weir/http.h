/**
 * @file weir/http.h
 * HTTP/1.1 server and client on a loop (RFC 9110, RFC 9112; HTTP/1.0 is understood).
 *
 *   peer --> weir_http_server --on_request--> your handler --> weir_http_exchange_start, _write,
 *                             <- exchange --                   _finish; or _respond at once
 *   your code --weir_http_call_start--> weir_http_client --> upstream (pooled connections)
 *             <-- on_head, on_body, on_done --
 *
 * Both sides stream, and both push back: writes are buffered up to `high_water`, then _full() says
 * stop and on_writable says go on; _pause() stops reading from the peer until _resume(). What a
 * connection buffers is bounded, whatever the size of the body.
 *
 * Framing is strict, so that no two parsers can disagree about where a message ends. Refused are:
 * Content-Length beside Transfer-Encoding; a Content-Length that is repeated, empty, signed or a
 * list; any Transfer-Encoding other than exactly "chunked", or one in HTTP/1.0; obs-fold; a bare CR
 * or LF; NUL and other controls; blanks before the colon; a missing, repeated or malformed Host in
 * HTTP/1.1. Trailer fields and chunk extensions are checked, counted against max_header_bytes and
 * dropped. CONNECT is answered 501. An Upgrade header is passed on to the handler as received and
 * never acted on.
 *
 * Threads:    all functions and callbacks on the loop's thread. The header helpers: any thread.
 * Blocking:   never.
 * Allocation: per connection, when it begins and when its buffers grow; none per request.
 */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <weir/address.h>
#include <weir/loop.h>

WEIR_BEGIN_DECLS

/** The size of a body that is not known before it ends. */
#define WEIR_HTTP_SIZE_UNKNOWN UINT64_MAX
/** As a limit: none. */
#define WEIR_HTTP_UNLIMITED UINT64_MAX

/** Some bytes; not NUL-terminated. */
typedef struct weir_http_slice {
    const char *data;
    size_t size;
} weir_http_slice;

/** A header field. Blanks around a received value are already gone. */
typedef struct weir_http_header {
    weir_http_slice name;
    weir_http_slice value;
} weir_http_header;

/**
 * A request, received or to be sent.
 *
 * When sent, only method, target, headers and body_size are read; Host is added from the address
 * if it is not among the headers.
 */
typedef struct weir_http_request {
    weir_http_slice method;    /**< A token, case-sensitive: "GET". */
    weir_http_slice target;    /**< As on the wire: "/path?query", "http://host/path", "*". */
    weir_http_slice path;      /**< Received: the target in origin form, "/path?query", or "*". */
    weir_http_slice authority; /**< Received: host[:port] of the target, else of Host; may be "". */
    const weir_http_header *headers;
    size_t header_count;
    uint64_t body_size; /**< Bytes; 0 = no body; WEIR_HTTP_SIZE_UNKNOWN = chunked. */
    int minor_version;  /**< Received: 0 or 1, as in HTTP/1.1. */
} weir_http_request;

/**
 * A response, received or to be sent. When sent, only status, reason, headers and body_size are
 * read; Date is added if it is not among the headers.
 */
typedef struct weir_http_response {
    int status;             /**< 100..999 received; 200..599 to be sent. */
    weir_http_slice reason; /**< When sent: empty = the standard phrase. */
    const weir_http_header *headers;
    size_t header_count;
    /** Bytes, or WEIR_HTTP_SIZE_UNKNOWN. For HEAD and 304: of the body that is not there. */
    uint64_t body_size;
    int minor_version; /**< Received: 0 or 1. */
} weir_http_response;

/**
 * Headers to be sent: names are tokens, values have no CR, LF, NUL or other controls (but HTAB), or
 * it is WEIR_EINVAL. The library owns the framing: Connection, Keep-Alive, Proxy-Connection,
 * Content-Length, Transfer-Encoding, TE, Trailer, Upgrade and Expect in such an array are left out.
 * So the headers of a received message may be sent on as they are, save those that its Connection
 * header names: weir_http_is_hop_by_hop() knows them all.
 */

/** Make a slice of a C string; NULL makes an empty one. */
WEIR_API weir_http_slice weir_http_str(const char *text);

/** Are these the same, ignoring ASCII case? */
WEIR_API bool weir_http_equals(weir_http_slice slice, const char *text);

/** The first header of that name, ignoring case, or NULL. */
WEIR_API const weir_http_header *weir_http_find(const weir_http_header *headers, size_t count,
                                                const char *name);

/**
 * Must this header stay behind when the message is forwarded? True for the names above, for
 * Proxy-Authenticate and Proxy-Authorization, and for any that a Connection header among `headers`
 * names (RFC 9110, 7.6.1).
 */
WEIR_API bool weir_http_is_hop_by_hop(const weir_http_header *headers, size_t count,
                                      weir_http_slice name);

/** The standard phrase of a status ("Not Found"), or "" for one that is not known. */
WEIR_API const char *weir_http_reason(int status);

/* ---- Server ---- */

typedef struct weir_http_server weir_http_server;

/**
 * One request and its response. It is yours from on_request until you call
 * weir_http_exchange_finish() or _respond(), once, also after on_abort; then the handle is gone and
 * none of its callbacks comes any more.
 */
typedef struct weir_http_exchange weir_http_exchange;

/** What a handler wants to be told of its exchange; a NULL member: nothing. */
typedef struct weir_http_exchange_events {
    /** A part of the request's body. Without it, the body is read and dropped. */
    void (*on_body)(weir_http_exchange *exchange, const void *data, size_t size, void *user);
    /** The request was received wholly; without a body, too. */
    void (*on_end)(weir_http_exchange *exchange, void *user);
    /** After weir_http_exchange_full() was true: half of what was buffered is sent; go on. */
    void (*on_writable)(weir_http_exchange *exchange, void *user);
    /**
     * There will be no complete response: WEIR_ECLOSED the peer went away or the server is being
     * destroyed; WEIR_EDEADLINE a timeout; WEIR_EPROTOCOL, WEIR_ETOOLARGE the request's body is
     * malformed or over the limit (the peer is answered 400, 408, 413 if nothing was sent);
     * WEIR_ENOMEM. At most once, and the last to be told. Finish the exchange, now or later.
     */
    void (*on_abort)(weir_http_exchange *exchange, int code, void *user);
} weir_http_exchange_events;

/**
 * A request's head is there. Answer now, or keep the exchange, say by weir_http_exchange_handle()
 * what to be told, and answer later. `request` is valid until the exchange is finished.
 */
typedef void (*weir_http_request_fn)(weir_http_exchange *exchange, const weir_http_request *request,
                                     void *user);

/** Start from WEIR_HTTP_SERVER_OPTIONS_INIT, then change what you need. */
typedef struct weir_http_server_options {
    size_t struct_size;              /**< Set by the macro; leave alone. */
    const char *address;             /**< As weir_address_parse(); port 0 = any. Copied. */
    weir_http_request_fn on_request; /**< Required. */
    void *user;                      /**< Passed to on_request; borrowed. */
    uint64_t max_body_bytes;         /**< Over it is 413. */
    uint32_t max_connections;        /**< >= 1; more wait in the backlog until one ends. */
    uint32_t backlog;                /**< Of listen(2), 1..65535; the system may cut it. */
    uint32_t max_header_bytes;       /**< Of a head, 256..1048576; over it is 431. */
    uint32_t max_headers;            /**< 1..10000; over it is 431. */
    uint32_t max_target_bytes;       /**< 1..max_header_bytes; over it is 414. */
    uint32_t high_water;             /**< Bytes buffered until full, 1..1073741824. */
    uint32_t drain_bytes;            /**< Of a body nobody read, dropped to keep the connection. */
    uint32_t header_ms;              /**< From a request's first byte to the end of its head, >= 1;
                                          for a new connection, from accept. */
    uint32_t idle_ms;                /**< Between requests of a connection, >= 1. */
    uint32_t body_ms;                /**< Between two parts of a body that is being read, >= 1. */
    uint32_t request_ms;             /**< From a request's first byte to its last; 0 = no limit. */
    uint32_t write_ms;  /**< For the peer to take anything of what is buffered, >= 1. */
    uint32_t linger_ms; /**< For the peer to read an answer after which we close, >= 1. */
    bool half_close;    /**< A peer that ends its sending still wants its response;
                             otherwise that is an abort (a closed socket looks alike). */
} weir_http_server_options;

#define WEIR_HTTP_SERVER_OPTIONS_INIT                                                              \
    {                                                                                              \
        .struct_size = sizeof(weir_http_server_options), .address = "127.0.0.1:0",                 \
        .on_request = NULL, .user = NULL, .max_body_bytes = WEIR_HTTP_UNLIMITED,                   \
        .max_connections = 10000, .backlog = 511, .max_header_bytes = 16384, .max_headers = 100,   \
        .max_target_bytes = 8192, .high_water = 65536, .drain_bytes = 65536, .header_ms = 10000,   \
        .idle_ms = 60000, .body_ms = 30000, .request_ms = 0, .write_ms = 30000, .linger_ms = 2000, \
        .half_close = false                                                                        \
    }

/**
 * Listen and serve. The environment is the loop's.
 *
 * Requests of a connection are served in order, one at a time; pipelined ones wait. A response to a
 * request whose body was not wholly read closes the connection, unless at most drain_bytes of it
 * are left. Where we close with something unread, the peer gets linger_ms to fetch the answer.
 *
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM, or WEIR_ESYSTEM (errno: EADDRINUSE, EACCES, ...).
 */
WEIR_API WEIR_MUST_CHECK int weir_http_server_create(weir_http_server **out, weir_loop *loop,
                                                     const weir_http_server_options *options);

/**
 * Close all; each exchange not finished is told WEIR_ECLOSED, and is still to be finished by its
 * owner. NULL is allowed; from a callback too. Before the loop is destroyed.
 */
WEIR_API void weir_http_server_destroy(weir_http_server *server);

/** Where it listens, with the port the system chose. */
WEIR_API weir_address weir_http_server_address(const weir_http_server *server);

/** Connections open now, idle and lingering ones included. */
WEIR_API size_t weir_http_server_connections(const weir_http_server *server);

/** Exchanges begun whose response is not wholly sent. */
WEIR_API size_t weir_http_server_exchanges(const weir_http_server *server);

/**
 * Stop accepting, close idle connections, and answer what is running with "Connection: close".
 *
 * @param on_drained  told once, when no connection is left, never from within this call; or NULL.
 */
WEIR_API void weir_http_server_drain(weir_http_server *server, void (*on_drained)(void *user),
                                     void *user);

/** Say what to be told from now on. `events` is borrowed: usually static. */
WEIR_API void weir_http_exchange_handle(weir_http_exchange *exchange,
                                        const weir_http_exchange_events *events, void *user);

/** The request, valid until the exchange is finished. */
WEIR_API const weir_http_request *weir_http_exchange_request(const weir_http_exchange *exchange);

/** Who asks. */
WEIR_API weir_address weir_http_exchange_peer(const weir_http_exchange *exchange);

/**
 * Tell no more of the body until resumed; nothing of it is read meanwhile, so the peer's sending
 * comes to a halt. A handler that leaves on_request without a pause is held to be reading: that is
 * when a request with "Expect: 100-continue" gets its 100, unless it was answered already.
 */
WEIR_API void weir_http_exchange_pause(weir_http_exchange *exchange);
WEIR_API void weir_http_exchange_resume(weir_http_exchange *exchange);

/**
 * Begin the response. Its framing follows body_size: Content-Length; if unknown, chunked for
 * HTTP/1.1 and until the connection's end for HTTP/1.0. The body of an answer to HEAD, of 204 and
 * of 304 is accepted and not sent.
 *
 * @return WEIR_OK; WEIR_EINVAL (status, reason or header malformed, or begun already): nothing is
 *         sent; WEIR_ENOMEM; WEIR_ECLOSED after an abort.
 */
WEIR_API WEIR_MUST_CHECK int weir_http_exchange_start(weir_http_exchange *exchange,
                                                      const weir_http_response *response);

/**
 * Send a part of the body: all of it is taken, what the socket does not accept is copied.
 *
 * @return WEIR_OK; WEIR_EBUSY if the exchange is full: nothing is taken; WEIR_EINVAL if not begun,
 *         or beyond body_size: nothing is taken; WEIR_ENOMEM: nothing is taken; WEIR_ECLOSED after
 *         an abort, which may be told a moment later.
 */
WEIR_API WEIR_MUST_CHECK int weir_http_exchange_write(weir_http_exchange *exchange,
                                                      const void *data, size_t size);

/** At least high_water bytes are waiting for the peer: on_writable will be told. */
WEIR_API bool weir_http_exchange_full(const weir_http_exchange *exchange);

/**
 * The response is complete; the exchange is no longer yours, whatever is returned.
 *
 * @return WEIR_OK; WEIR_EINVAL if nothing was begun (the peer gets a 500) or less than body_size
 *         was written (the connection is cut, so the peer sees it); WEIR_ENOMEM (cut, too);
 *         WEIR_ECLOSED after an abort.
 */
WEIR_API int weir_http_exchange_finish(weir_http_exchange *exchange);

/** Give up: cut the connection, so that the peer cannot take the response for complete. The
    exchange is no longer yours; on_abort is not told. */
WEIR_API void weir_http_exchange_cut(weir_http_exchange *exchange);

/**
 * Start, write and finish in one: a whole response from memory. The exchange is no longer yours,
 * whatever is returned.
 *
 * @param content_type  NULL = none.
 * @return as weir_http_exchange_start() and _finish().
 */
WEIR_API int weir_http_exchange_respond(weir_http_exchange *exchange, int status,
                                        const char *content_type, const void *body, size_t size);

/** The same, with any headers; `body` has response->body_size bytes, which must be known. */
WEIR_API int weir_http_exchange_respond_with(weir_http_exchange *exchange,
                                             const weir_http_response *response, const void *body);

/* ---- Client ---- */

typedef struct weir_http_client weir_http_client;

/** One request and its response, seen from the client. Yours until on_done or cancel. */
typedef struct weir_http_call weir_http_call;

/** How a call failed. */
typedef enum weir_http_failure {
    WEIR_HTTP_NO_FAILURE,
    WEIR_HTTP_CONNECT_FAILED,     /**< WEIR_ESYSTEM: refused, unreachable, no descriptor. */
    WEIR_HTTP_CONNECT_TIMEOUT,    /**< WEIR_EDEADLINE: connect_ms, or the deadline, passed. */
    WEIR_HTTP_CLOSED_EARLY,       /**< WEIR_ECLOSED: closed or reset before the response's head. */
    WEIR_HTTP_SEND_TIMEOUT,       /**< WEIR_EDEADLINE: the peer does not take the request. */
    WEIR_HTTP_RESPONSE_TIMEOUT,   /**< WEIR_EDEADLINE: no head of a response in time. */
    WEIR_HTTP_RESPONSE_MALFORMED, /**< WEIR_EPROTOCOL, or WEIR_ETOOLARGE when over a limit. */
    WEIR_HTTP_BODY_TRUNCATED,     /**< WEIR_ECLOSED: closed or reset within the body. */
    WEIR_HTTP_BODY_TIMEOUT,       /**< WEIR_EDEADLINE: the body stalled, or the deadline passed. */
    WEIR_HTTP_CANCELLED,          /**< WEIR_ECLOSED: the client was destroyed. */
    WEIR_HTTP_NO_MEMORY,          /**< WEIR_ENOMEM. */
} weir_http_failure;

/** How a call ended; valid during on_done. */
typedef struct weir_http_result {
    int code; /**< WEIR_OK, or as said at weir_http_failure. */
    weir_http_failure failure;
    bool maybe_processed; /**< A byte of the request was sent: the peer may have acted on it. */
    bool reused;          /**< It went over a connection that had served before. */
    int system_error;     /**< errno of the failed system call, or 0. */
    const char *reason;   /**< Static English text. */
} weir_http_result;

/** What a caller wants to be told; a NULL member: nothing. */
typedef struct weir_http_call_events {
    /** The final response's head (1xx are skipped); `response` is valid until on_done returns. */
    void (*on_head)(weir_http_call *call, const weir_http_response *response, void *user);
    /** A part of the response's body. */
    void (*on_body)(weir_http_call *call, const void *data, size_t size, void *user);
    /** After weir_http_call_full() was true: half of what was buffered is sent; go on. */
    void (*on_writable)(weir_http_call *call, void *user);
    /**
     * It is over: well, if result->code is WEIR_OK. Exactly once, the last to be told, and never
     * from within weir_http_call_start(); the handle is gone when it returns.
     */
    void (*on_done)(weir_http_call *call, const weir_http_result *result, void *user);
} weir_http_call_events;

/** Start from WEIR_HTTP_CLIENT_OPTIONS_INIT, then change what you need. */
typedef struct weir_http_client_options {
    size_t struct_size;            /**< Set by the macro; leave alone. */
    uint32_t max_idle;             /**< Idle connections kept, over all addresses. */
    uint32_t max_idle_per_address; /**< Idle connections kept to one address; 0 = no keep-alive. */
    uint32_t idle_ms;              /**< Kept idle that long, >= 1. Below the upstream's own. */
    uint32_t connect_ms;           /**< To connect, >= 1. */
    uint32_t head_ms;          /**< From the request's last byte to the response's head, >= 1. */
    uint32_t stall_ms;         /**< Between two parts of a body, either way, >= 1; while the
                                    caller pauses or does not write, nothing is counted. */
    uint32_t max_header_bytes; /**< Of a response's head, 256..1048576. */
    uint32_t max_headers;      /**< 1..10000. */
    uint64_t max_body_bytes;   /**< Of a response. */
    uint32_t high_water;       /**< Bytes buffered until full, 1..1073741824. */
} weir_http_client_options;

#define WEIR_HTTP_CLIENT_OPTIONS_INIT                                                              \
    {                                                                                              \
        .struct_size = sizeof(weir_http_client_options), .max_idle = 1024,                         \
        .max_idle_per_address = 64, .idle_ms = 15000, .connect_ms = 3000, .head_ms = 30000,        \
        .stall_ms = 30000, .max_header_bytes = 16384, .max_headers = 100,                          \
        .max_body_bytes = WEIR_HTTP_UNLIMITED, .high_water = 65536                                 \
    }

/** Start from WEIR_HTTP_CALL_OPTIONS_INIT, then change what you need. */
typedef struct weir_http_call_options {
    size_t struct_size;   /**< Set by the macro; leave alone. */
    uint64_t deadline_ns; /**< For the whole call, on the loop's clock; WEIR_NEVER = none. */
    uint32_t connect_ms;  /**< 0 = the client's, as for the next two. */
    uint32_t head_ms;
    uint32_t stall_ms;
} weir_http_call_options;

#define WEIR_HTTP_CALL_OPTIONS_INIT                                                                \
    {                                                                                              \
        .struct_size = sizeof(weir_http_call_options), .deadline_ns = WEIR_NEVER, .connect_ms = 0, \
        .head_ms = 0, .stall_ms = 0                                                                \
    }

/** Create a client. The environment is the loop's. WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
WEIR_API WEIR_MUST_CHECK int weir_http_client_create(weir_http_client **out, weir_loop *loop,
                                                     const weir_http_client_options *options);

/** Close all; calls in progress are told WEIR_HTTP_CANCELLED. NULL is allowed; from a callback too.
    Before the loop is destroyed. */
WEIR_API void weir_http_client_destroy(weir_http_client *client);

/** Idle connections kept now. */
WEIR_API size_t weir_http_client_idle(const weir_http_client *client);

/**
 * Send a request, over an idle connection to that address if there is one, else over a new one.
 *
 * If a reused connection turns out to be closed before any byte of a response, the request is
 * repeated, once, on a new connection, provided that no byte of it had been sent, or that it is a
 * GET, HEAD, OPTIONS or TRACE without a body (safe methods: RFC 9110, 9.2.1 and RFC 9112, 9.3.1).
 * All else is told as WEIR_HTTP_CLOSED_EARLY. A connection is used again only if the response ended
 * cleanly, did not say "Connection: close", was followed by nothing, and the request was wholly
 * sent.
 *
 * @param out      receives the call; NULL on failure.
 * @param address  as made by weir_address_parse(); copied.
 * @param options  NULL for all defaults; copied.
 * @param request  copied. With a body_size other than 0, _write() and _finish() follow.
 * @param events   borrowed: usually static.
 * @return WEIR_OK: on_done will be told; WEIR_EINVAL (an option, or the request is malformed, or
 *         its method is CONNECT), WEIR_ENOMEM, or WEIR_ECLOSED (the client is being destroyed): it
 *         will not.
 */
WEIR_API WEIR_MUST_CHECK int weir_http_call_start(weir_http_call **out, weir_http_client *client,
                                                  const weir_address *address,
                                                  const weir_http_call_options *options,
                                                  const weir_http_request *request,
                                                  const weir_http_call_events *events, void *user);

/**
 * Send a part of the request's body: all of it is taken, what the socket does not accept is copied.
 *
 * @return WEIR_OK; WEIR_EBUSY if the call is full, WEIR_EINVAL beyond body_size, WEIR_ENOMEM:
 *         nothing is taken; WEIR_ECLOSED if the peer takes no more: wait for on_done.
 */
WEIR_API WEIR_MUST_CHECK int weir_http_call_write(weir_http_call *call, const void *data,
                                                  size_t size);

/** At least high_water bytes are waiting for the peer: on_writable will be told. */
WEIR_API bool weir_http_call_full(const weir_http_call *call);

/**
 * The request's body is complete. Needed only where body_size was not 0.
 *
 * @return WEIR_OK; WEIR_EINVAL if less than body_size was written: write the rest, or cancel;
 *         WEIR_ENOMEM; WEIR_ECLOSED as for write.
 */
WEIR_API int weir_http_call_finish(weir_http_call *call);

/** Tell no more of the response's body until resumed; nothing is read meanwhile. */
WEIR_API void weir_http_call_pause(weir_http_call *call);
WEIR_API void weir_http_call_resume(weir_http_call *call);

/** Give up: the connection is cut, the handle is gone, and nothing more is told. Not after or in
    on_done. */
WEIR_API void weir_http_call_cancel(weir_http_call *call);

WEIR_END_DECLS

#endif
