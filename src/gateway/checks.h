/* The gateway's active checks. */
#ifndef WEIR_SRC_GATEWAY_CHECKS_H
#define WEIR_SRC_GATEWAY_CHECKS_H

#include <weir/health.h>
#include <weir/probe_http.h>
#include <weir/probe_tcp.h>

#include "gateway/gateway.h"

typedef struct weir__member_check {
    weir_health *health;
    weir_health_check *check;
    weir_probe_http *http; /* One of these two. */
    weir_probe_tcp *tcp;
    weir__service *service;
    bool flagged;     /* The balancer was told that it is down. */
    bool kept;        /* It stays, while others are made. */
    const char *what; /* How it is checked, as text to be compared. */
    size_t what_size, text_size;
    char member[]; /* Id, then `what`. */
} weir__member_check;

int weir__checks_create(weir_gateway *gateway); /* The checker; on an error, destroy it still. */
void weir__checks_destroy(weir_gateway *gateway);

/*
 * Makes the checks those that the service's directive asks for, of the members that its caller has;
 * what stays the same is kept. WEIR_OK, or as it was: WEIR_ENOMEM, WEIR_EINVAL (it cannot be sent).
 */
int weir__checks_set(weir__service *service, weir_gateway *gateway);
/* Whether such a check can be sent: WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
int weir__checks_try(weir_gateway *gateway, const weir__health_config *config);
void weir__checks_free(const weir_env *env, weir__service *service);
/* A call of a service with checks went well: it may stand for a check. */
void weir__checks_note(const weir__service *service, const weir_attempt *attempt, uint64_t now_ns);
/* That of a member, looked for from a likely place on; or NULL. */
weir__member_check *weir__checks_find(const weir__service *service, const char *member,
                                      size_t likely);

#endif
