/* The gateway's own parts: services (gateway.c), requests (proxy.c), active
   checks (checks.c), pages (report.c). */
#ifndef WEIR_SRC_GATEWAY_GATEWAY_H
#define WEIR_SRC_GATEWAY_GATEWAY_H

#include <weir/gateway.h>

#include <weir/caller.h>
#include <weir/health.h>

#include "base/rng.h"
#include "base/text.h"
#include "gateway/config.h"

#define WEIR__STATUSES        600 /* Answers are counted by status, below this. */
#define WEIR__CLIENT_GONE     499 /* Counted as nginx does: the client left first. */
#define WEIR__DURATION_BOUNDS 11

/* Answers given, by status and by time taken. */
typedef struct weir__answers {
    uint64_t by_status[WEIR__STATUSES];
    uint64_t by_duration[WEIR__DURATION_BOUNDS + 1]; /* The last has no bound. */
    uint64_t duration_ns;                            /* In all. */
} weir__answers;

struct weir__member_check;

typedef struct weir__service {
    char *name, *route; /* One allocation, name first, that has the names in keys, too. */
    size_t text_size;
    weir__key_config key, sticky;
    weir_caller *caller;
    weir_loop_task *task;              /* The caller's. */
    weir_balancer_algorithm algorithm; /* For the status page, */
    bool watched;                      /* as whether there is outlier detection. */
    bool reported;                     /* Members tell their load. */
    uint32_t connect_ms, timeout_ms;
    uint64_t users;                     /* The gateway's table, and requests in progress. */
    struct weir__member_check **checks; /* One a member, or none; in checks.h. */
    size_t check_count;
    bool checks_owe; /* A flag found no memory. */
    weir__answers answers;
} weir__service;

struct weir_gateway {
    weir_env env;
    weir_loop *loop;
    weir_http_server *proxy, *admin;
    weir_http_client *client;
    weir_http_client *prober; /* Of the active checks. */
    weir_health *health;
    weir_loop_task *health_task;
    uint64_t checks_made;
    weir_http_request_fn on_admin;
    void *user;
    weir__service **services;
    size_t service_count;
    weir__text fixed; /* The lines before the first service, which cannot change. */
    weir__rng rng;
    weir__answers unrouted;
    uint64_t in_progress;
    bool draining;
};

/* user: the gateway. */
void weir__gateway_on_request(weir_http_exchange *exchange, const weir_http_request *request,
                              void *user);
void weir__gateway_on_admin(weir_http_exchange *exchange, const weir_http_request *request,
                            void *user);
void weir__service_release(const weir_env *env, weir__service *service);

/* The longest route that covers the path, or NULL. */
weir__service *weir__gateway_route(const weir_gateway *gateway, weir_http_slice path);

/* The pages of the admin address; weir__text_ok() tells. */
void weir__gateway_status(weir_gateway *gateway, weir__text *out);
void weir__gateway_metrics(weir_gateway *gateway, weir__text *out);
extern const uint32_t weir__duration_bounds_ms[WEIR__DURATION_BOUNDS];

#endif
