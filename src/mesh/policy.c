#include "mesh/policy.h"

#include <string.h>

void weir__policy_init(weir__policy *policy, const weir_env *env)
{
    *policy = (weir__policy){
        .env = env,
        .balancer = WEIR_BALANCER_OPTIONS_INIT,
        .limiter = WEIR_LIMITER_OPTIONS_INIT,
        .breaker = WEIR_BREAKER_OPTIONS_INIT,
        .outlier = WEIR_OUTLIER_OPTIONS_INIT,
        .retry = WEIR_RETRY_OPTIONS_INIT,
        .guarded = true,
        .timeout_ns = 15 * WEIR__NS_PER_S,
        .attempt_timeout_ns = WEIR_NEVER,
    };
}

weir_caller_options weir__policy_options(weir__policy *policy)
{
    weir_caller_options options = WEIR_CALLER_OPTIONS_INIT;
    policy->balancer.zone = policy->zone[0] != '\0' ? policy->zone : NULL;
    options.balancer = &policy->balancer;
    options.limiter = policy->limited ? &policy->limiter : NULL;
    options.breaker = policy->guarded ? &policy->breaker : NULL;
    options.outlier = policy->watched ? &policy->outlier : NULL;
    options.retry = policy->retried ? &policy->retry : NULL;
    options.timeout_ns = policy->timeout_ns;
    options.attempt_timeout_ns = policy->attempt_timeout_ns;
    options.env = policy->env;
    return options;
}

static int policy_time(weir__directive *directive, uint64_t *out_ns)
{
    uint32_t ms = 0;
    int const result = weir__directive_ms(directive, &ms);
    if (result == WEIR_OK)
        *out_ns = ms * WEIR__NS_PER_MS;
    return result;
}

static int policy_timeout(weir__directive *directive, weir__policy *policy)
{
    return policy_time(directive, &policy->timeout_ns);
}

static int policy_attempt_timeout(weir__directive *directive, weir__policy *policy)
{
    return policy_time(directive, &policy->attempt_timeout_ns);
}

const weir__policy_directive weir__policy_directives[] = {
    {"balance", weir__policy_balance},
    {"spill", weir__policy_spill},
    {"panic", weir__policy_panic},
    {"zone", weir__policy_zone},
    {"aperture", weir__policy_aperture},
    {"slow_start", weir__policy_slow_start},
    {"recovery", weir__policy_recovery},
    {"reports", weir__policy_reports},
    {"endpoint", weir__policy_endpoint},
    {"outlier", weir__policy_outlier},
    {"limit", weir__policy_limit},
    {"breaker", weir__policy_breaker},
    {"retry", weir__policy_retry},
    {"timeout", policy_timeout},
    {"attempt_timeout", policy_attempt_timeout},
    {NULL, NULL},
};

int weir__policy_take(weir__policy *policy, const char *name, weir_bytes value,
                      weir__complaint *complaint)
{
    char text[WEIR__POLICY_TEXT];
    weir__directive directive = {.complaint = complaint};
    const weir__policy_directive *known = weir__policy_directives;
    while (known->name != NULL && strcmp(known->name, name) != 0)
        known++;
    if (known->name == NULL)
        return WEIR_ENOTFOUND;
    if (strlen(name) + value.size + 2 > sizeof text)
        return weir__complain(complaint, name, "is longer than %d bytes", WEIR__POLICY_TEXT);
    int const result = weir__directive_build(&directive, name, value.data, value.size, text);
    return result == WEIR_OK ? known->read(&directive, policy) : result;
}
