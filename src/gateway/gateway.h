/* The gateway's own parts: what it stands on (center.c), services (services.c), requests (proxy.c),
 * active checks (checks.c), what is counted (metrics.c), pages (report.c). */
#ifndef WEIR_SRC_GATEWAY_GATEWAY_H
#define WEIR_SRC_GATEWAY_GATEWAY_H

#include <weir/gateway.h>

#include <weir/admin.h>
#include <weir/health.h>
#include <weir/instrument.h>
#include <weir/store.h>

#include "base/map.h"
#include "base/rng.h"
#include "base/text.h"
#include "gateway/config.h"
#include "gateway/extras.h"

#define WEIR__CLIENT_GONE 499 /* Told as nginx does: the client left first. */

struct weir__member_check;

typedef struct weir__service {
    weir_mesh_service *mesh;
    weir_caller *caller; /* Its. */
    weir__extras extras;
    uint64_t users;                     /* The gateway's table, and requests in progress. */
    struct weir__member_check **checks; /* One a member, or none; in checks.h. */
    size_t check_count;
    bool checks_due;  /* Members, or how they are checked, have changed. */
    bool checks_owe;  /* A flag found no memory. */
    bool route_taken; /* Told: another service has its route. */
} weir__service;

struct weir_gateway {
    weir_env env;
    weir_loop *loop;
    weir_gateway_options options;
    /* What it stands on. */
    weir_store *store;
    weir_config *config;
    weir_registry *registry;
    weir_mesh *mesh;
    weir_admin *api;
    weir_loop_task *store_task, *config_task, *registry_task, *api_task, *task;
    int published; /* What became of the latest publication. */
    uint64_t problems;
    /* What has changed, and is not yet seen to. */
    weir_config_watcher *watch; /* NULL: to be started anew. */
    weir__text dirty;           /* Names of services, each with its NUL; */
    bool all_dirty;             /* or all of them. */
    bool put;                   /* The latest run has put all in force. */

    weir_http_server *proxy, *admin;
    weir_http_client *client;
    weir_http_client *prober; /* Of the active checks. */
    weir_health *health;
    weir_loop_task *health_task;
    uint64_t checks_made;
    weir__service **services; /* Sorted by name. */
    size_t service_count, service_capacity;
    weir__map routes; /* Services by route. */
    size_t longest_route;
    bool routes_due;  /* To be built anew. */
    weir__text fixed; /* The lines before the first service, which cannot change. */
    weir__rng rng;
    weir_metrics *metrics;
    weir_instrument *instrument;
    uint64_t in_progress;
    bool draining;
};

#define WEIR__GATEWAY_PREFIX     "services/"
#define WEIR__GATEWAY_ADMIN_BODY (UINT64_C(16) << 20) /* A configuration as one document. */

static inline const char *weir__service_name(const weir__service *service)
{
    return weir_mesh_service_name(service->mesh);
}

/* center.c: what it stands on. On an error, destroy it still. */
int weir__center_create(weir_gateway *gateway, const weir__conf_globals *globals,
                        weir_gateway_error *error);
void weir__center_destroy(weir_gateway *gateway);
/* Makes the config center say what the file says; then it is in force. */
int weir__center_publish(weir_gateway *gateway, const weir_gateway_config *config,
                         weir_gateway_error *error);
void weir__center_wake(weir_gateway *gateway);
/* Tells of it, and counts it. */
void weir__gateway_problem(weir_gateway *gateway, const char *name, const char *message);

/* services.c. */
int weir__services_check(const char *directive, weir_bytes value, weir_mesh_error *error,
                         void *user);
void weir__services_on_event(const weir_mesh_event *event, void *user);
/* Puts changes in force; when to do so again. */
uint64_t weir__services_run(void *self, uint64_t now_ns);
/* The same, now. WEIR_OK, or WEIR_ENOMEM: what is left will be tried again. */
int weir__services_settle(weir_gateway *gateway);
void weir__services_free(weir_gateway *gateway);

/* user: the gateway. */
void weir__gateway_on_request(weir_http_exchange *exchange, const weir_http_request *request,
                              void *user);
void weir__gateway_on_admin(weir_http_exchange *exchange, const weir_http_request *request,
                            void *user);
void weir__service_release(weir_gateway *gateway, weir__service *service);

/* The service with the longest route that covers the path, or NULL. O(segments). */
weir__service *weir__gateway_route(const weir_gateway *gateway, weir_http_slice path);

/* metrics.c. On an error, destroy it still. */
int weir__gateway_metrics_create(weir_gateway *gateway);
void weir__gateway_metrics_destroy(weir_gateway *gateway);

#endif
