/*
 * The admin's own parts: life and tokens (admin.c), targets (target.c), requests and their answers
 * (call.c), what goes where (route.c), the pages of the config (values.c) and of the registry
 * (services.c), and streams (stream.c).
 */
#ifndef WEIR_SRC_ADMIN_ADMIN_H
#define WEIR_SRC_ADMIN_ADMIN_H

#include <weir/admin.h>

#include "admin/target.h"
#include "base/text.h"

typedef struct weir__admin_call weir__admin_call;

struct weir_admin {
    weir_env env;
    weir_config *config;
    weir_registry *registry;
    uint64_t max_body_bytes;
    uint32_t max_streams;
    uint64_t alive_ns, due_ns;
    unsigned char token[WEIR_ADMIN_MAX_TOKEN]; /* Zeros behind its end. */
    size_t token_size;
    weir__admin_call *calls;
    size_t streams;
};

/* What a method does at a place. */
typedef struct weir__admin_route {
    const char *method; /* GET serves HEAD, too. */
    /* Answers, now or later. The call may be gone when it returns. */
    void (*run)(weir__admin_call *call);
    weir__admin_place place;
    uint32_t needs;  /* A bit of a parameter, that makes the difference; or 0. */
    uint32_t allows; /* Bits of those that may be given, too. */
    bool body;       /* It is read before `run`. */
    bool compares;   /* If-Match, and If-None-Match: *. */
} weir__admin_route;

/* A request, until it is answered. */
struct weir__admin_call {
    weir__admin_call *next, **link;
    weir_admin *admin;
    weir_env env;
    weir_http_exchange *exchange; /* NULL: answered, or the client is gone. */
    const weir__admin_route *route;
    weir__admin_target target; /* Its strings are in `room`. */
    weir__text text;           /* The body; of a stream, the lines that are to be sent. */
    bool held;                 /* Somebody comes back to it: it is not freed before. */
    bool compare;              /* With `version`. */
    uint64_t version;
    /* Of a stream: */
    bool stream, begun, spoke;
    bool last;  /* It ends once `text` is sent. */
    bool stuck; /* It is to be resumed, and memory was lacking. */
    weir_config_watcher *watcher;
    weir_registry_watch *watch;
    size_t size;
    char room[];
};

/* Whether it is this machine: 127.0.0.0/8 or ::1, as IPv4 in IPv6 too. */
bool weir__admin_is_local(const weir_address *peer);

/* ---- call.c ---- */

int weir__admin_call_start(weir_admin *admin, weir_http_exchange *exchange,
                           const weir_http_request *request);
/* The call is over: it is freed, or will be by who holds it. The exchange is no longer its own. */
void weir__admin_end(weir__admin_call *call);
void weir__admin_cut(weir__admin_call *call);
/* Who held it does not any more. False: it was over, and is gone. */
bool weir__admin_let_go(weir__admin_call *call);
bool weir__admin_is_head(const weir__admin_call *call);
/* Header fields beside Content-Type. */
void weir__admin_answer(weir__admin_call *call, int status, const char *type,
                        const weir_http_header *headers, size_t count, const void *body,
                        size_t size);
/* The whole of a text, which is freed; or 500, if memory was lacking. */
void weir__admin_answer_json(weir__admin_call *call, weir__text *text);
/* One line of text. */
void weir__admin_refuse(weir__admin_call *call, int status, const char *format, ...)
    WEIR__PRINTF(3, 4);
void weir__admin_refuse_with(weir__admin_call *call, int status, const weir_http_header *header,
                             const char *message);
/* By a result code; `field` begins the line. */
void weir__admin_fail(weir__admin_call *call, int code, const char *field);
/* Of a parameter that is given: a number from `min` on. False: it is none, and was refused. */
bool weir__admin_number(weir__admin_call *call, weir__admin_param param, uint64_t min,
                        uint64_t *out);

/* ---- route.c ---- */

const weir__admin_route *weir__admin_route_find(const weir__admin_target *target,
                                                weir_http_slice method);
/* The value of Allow; "" = there is no such page. */
#define WEIR__ADMIN_METHODS_SIZE 32
void weir__admin_route_methods(weir__admin_place place, char *out);
bool weir__admin_same(weir_http_slice text, const char *str); /* Byte by byte. */

/* ---- The pages: each is a route's `run` ---- */

void weir__admin_export(weir__admin_call *call);
void weir__admin_import(weir__admin_call *call);
void weir__admin_get_value(weir__admin_call *call);
void weir__admin_get_version(weir__admin_call *call);
void weir__admin_get_history(weir__admin_call *call);
void weir__admin_change_value(weir__admin_call *call); /* PUT, DELETE */
void weir__admin_post_value(weir__admin_call *call);

void weir__admin_get_services(weir__admin_call *call);
void weir__admin_get_service(weir__admin_call *call);
void weir__admin_get_instance(weir__admin_call *call);
void weir__admin_register(weir__admin_call *call);
void weir__admin_deregister(weir__admin_call *call);
void weir__admin_heartbeat(weir__admin_call *call);
void weir__admin_put_status(weir__admin_call *call); /* And override. */
void weir__admin_drain(weir__admin_call *call);
/* Appends an instance as JSON. False: memory was lacking. */
bool weir__admin_write_instance(weir__text *out, const weir_instance *instance);

/* ---- stream.c ---- */

void weir__admin_watch_config(weir__admin_call *call);
void weir__admin_watch_services(weir__admin_call *call);
void weir__admin_stream_writable(weir__admin_call *call);
void weir__admin_stream_run(weir__admin_call *call); /* Now and then. */

#endif
