/* What the directives of a service say: the options of its caller. */
#ifndef WEIR_SRC_MESH_POLICY_H
#define WEIR_SRC_MESH_POLICY_H

#include <weir/caller.h>
#include <weir/kv.h>

#include "base/directive.h"

#define WEIR__POLICY_TEXT   4096 /* Bytes of a directive and its value, with a NUL. */
#define WEIR__POLICY_STRING 256

typedef struct weir__policy {
    const weir_env *env; /* Borrowed. */
    weir_balancer_options balancer;
    weir_limiter_options limiter;
    weir_breaker_options breaker;
    weir_outlier_options outlier;
    weir_retry_options retry;
    bool limited, guarded, watched, retried;
    uint64_t timeout_ns, attempt_timeout_ns;
    char zone[WEIR__POLICY_STRING];     /* Empty = none. */
    char endpoint[WEIR__POLICY_STRING]; /* Of instances, to be called; empty = their own address. */
} weir__policy;

typedef struct weir__policy_directive {
    const char *name;
    int (*read)(weir__directive *directive, weir__policy *policy);
} weir__policy_directive;

/* All of them; the one behind the last has no name. */
extern const weir__policy_directive weir__policy_directives[];

void weir__policy_init(weir__policy *policy, const weir_env *env);
/* WEIR_OK; WEIR_EINVAL, with the complaint; WEIR_ENOTFOUND: no such directive; WEIR_ENOMEM. */
int weir__policy_take(weir__policy *policy, const char *name, weir_bytes value,
                      weir__complaint *complaint);
/* Borrows from the policy. */
weir_caller_options weir__policy_options(weir__policy *policy);

/* In policy_balance.c. */
int weir__policy_balance(weir__directive *directive, weir__policy *policy);
int weir__policy_spill(weir__directive *directive, weir__policy *policy);
int weir__policy_panic(weir__directive *directive, weir__policy *policy);
int weir__policy_zone(weir__directive *directive, weir__policy *policy);
int weir__policy_aperture(weir__directive *directive, weir__policy *policy);
int weir__policy_slow_start(weir__directive *directive, weir__policy *policy);
int weir__policy_recovery(weir__directive *directive, weir__policy *policy);
int weir__policy_reports(weir__directive *directive, weir__policy *policy);
int weir__policy_endpoint(weir__directive *directive, weir__policy *policy);
/* In policy_outlier.c. */
int weir__policy_outlier(weir__directive *directive, weir__policy *policy);
/* In policy_guard.c. */
int weir__policy_limit(weir__directive *directive, weir__policy *policy);
int weir__policy_breaker(weir__directive *directive, weir__policy *policy);
int weir__policy_retry(weir__directive *directive, weir__policy *policy);

#endif
