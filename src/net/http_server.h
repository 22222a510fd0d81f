/* The server's parts: http_server.c owns connections, http_exchange.c what happens on one. */
#ifndef WEIR_SRC_HTTP_SERVER_H
#define WEIR_SRC_HTTP_SERVER_H

#include "net/http_conn.h"
#include "net/http_write.h"

typedef enum weir__http_phase {
    WEIR__HTTP_IDLE,     /* Between requests, or within the head of one. */
    WEIR__HTTP_EXCHANGE, /* From the end of a request's head until its response is sent. */
    WEIR__HTTP_LINGER,   /* We have said our last; the peer gets time to read it. */
} weir__http_phase;

/* A connection, and the exchange on it: one at a time. */
struct weir_http_exchange {
    weir__http_conn conn;     /* First: a connection of the server is its exchange. */
    weir_http_server *server; /* NULL once the server is gone. */
    weir_http_exchange *prev, *next;
    weir_address peer;
    const weir_http_exchange_events *events;
    void *user;
    weir__http_phase phase;
    uint64_t since_ns; /* Of the phase; IDLE: of the coming request's first byte, if it came. */
    uint64_t begin_ns; /* Of the request's first byte. */
    uint64_t left;     /* Of a response of known size. */
    bool coming;       /* IDLE: a byte of the next request has come. */
    bool first;        /* IDLE: the connection has not had a request yet. */
    bool owned;        /* By the handler: not finished yet. */
    bool aborted;      /* There will be no response by the handler. */
    bool received;     /* The request, wholly. */
    bool started;      /* The response. */
    bool finished;     /* The response: all of it is queued. */
    bool chunked;      /* The response. */
    bool bodyless;     /* The response, whatever is written. */
    bool continued;    /* 100 (Continue) was sent, or is not wanted. */
    bool last;         /* The connection ends with this response. */
};

struct weir_http_server {
    weir_loop *loop;
    const weir_env *env; /* The loop's. */
    weir_http_server_options options;
    weir__http_limits limits;
    weir_address address;
    int fd; /* -1: listens no more. */
    weir_loop_watch *watch;
    weir_loop_timer *retry; /* After accept() ran out of something. */
    weir_http_exchange *connections;
    size_t connection_count, exchange_count;
    void (*on_drained)(void *user);
    void *drained_user;
    weir__loop_deferred drained; /* Tells on_drained. */
    bool draining;
    uint64_t date_s; /* The second that `date` is of. */
    char date[WEIR__HTTP_DATE_SIZE];
};

extern const weir__http_role weir__http_exchange_role;

const char *weir__http_server_date(weir_http_server *server);
/* A connection was closed: no longer counted, nor in the list. */
void weir__http_server_forget(weir_http_exchange *exchange);
void weir__http_exchange_init(weir_http_exchange *exchange);
/* Ends the connection; a handler that still owns the exchange is told `code`. */
void weir__http_exchange_abort(weir_http_exchange *exchange, int code);

#endif
