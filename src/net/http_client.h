/* The client's parts: http_client.c keeps connections, http_call.c does what happens on one. */
#ifndef WEIR_SRC_HTTP_CLIENT_H
#define WEIR_SRC_HTTP_CLIENT_H

#include "base/map.h"
#include "net/http_conn.h"

#define WEIR__HTTP_POOL_KEY_SIZE 19 /* Family, port, IP. */

/* What goes to one address. There is one as long as there is a connection. */
typedef struct weir__http_pool {
    char key[WEIR__HTTP_POOL_KEY_SIZE];
    char host[WEIR_ADDRESS_TEXT_SIZE];
    weir_address address;
    weir_http_call *idle; /* Those that were used last come first. */
    size_t idle_count, connection_count;
} weir__http_pool;

typedef enum weir__http_call_state {
    WEIR__HTTP_CALL_IDLE, /* No call on this connection. */
    WEIR__HTTP_CALL_CONNECT,
    WEIR__HTTP_CALL_WAIT, /* For the head of the response. */
    WEIR__HTTP_CALL_BODY,
    WEIR__HTTP_CALL_OVER, /* Told, or cancelled. */
} weir__http_call_state;

/* A connection, and the call on it: one at a time. A call that is repeated on a new connection
   keeps its struct, and gets another socket. */
struct weir_http_call {
    weir__http_conn conn;     /* First: a connection of the client is its call. */
    weir_http_client *client; /* NULL once closed. */
    weir__http_pool *pool;
    weir_http_call *prev, *next;           /* All of the client. */
    weir_http_call *idle_prev, *idle_next; /* Those of the pool that are idle. */
    const weir_http_call_events *events;
    void *user;
    weir_http_call_options options;
    weir__http_bytes head; /* The request's head, for a repetition. */
    uint64_t left;         /* Of the request's body. */
    uint64_t since_ns;     /* IDLE, CONNECT: when it began. */
    weir__http_call_state state;
    bool safe;     /* The method. */
    bool bodyless; /* The request. */
    bool to_head;  /* The request is a HEAD. */
    bool chunked;  /* The request. */
    bool finished; /* The request: all of it is queued. */
    bool reused;   /* The connection had served before. */
    bool repeated;
    bool begun;       /* A byte of a response has come. */
    bool sent_before; /* By the attempt that was repeated. */
};

struct weir_http_client {
    weir_loop *loop;
    const weir_env *env; /* The loop's. */
    weir_http_client_options options;
    weir__http_limits limits;
    weir__map pools;
    weir_http_call *connections;
    size_t idle_count;
    bool dying;
};

extern const weir__http_role weir__http_call_role;

/* Keeps an idle connection; false: it is not wanted. */
bool weir__http_client_keep(weir_http_call *call);
/* Out of the idle ones, and back to work. */
void weir__http_client_take(weir_http_call *call);
/* The connection was closed: out of all lists. */
void weir__http_client_forget(weir_http_call *call);
/* Ends it without success: on_done is told. */
void weir__http_call_fail(weir_http_call *call, weir_http_failure failure, int code,
                          const char *reason, int system_error);
/* Closes a connection whose call is over, or that has none. */
void weir__http_call_close(weir_http_call *call);
/* A request on a connection, idle or new; nothing is changed on failure. */
int weir__http_call_prepare(weir_http_call *call, const weir_http_request *request);

#endif
