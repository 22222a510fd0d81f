#include <weir/gateway.h>

#include "gateway/checks.h"
#include "net/loop.h"

#include <errno.h>
#include <string.h>

void weir__service_release(const weir_env *env, weir__service *service)
{
    if (service == NULL || --service->users > 0)
        return;
    weir__checks_free(env, service);
    weir_loop_task_destroy(service->task);
    weir_caller_destroy(service->caller);
    weir__free(env, service->name, service->text_size);
    weir__free(env, service, sizeof *service);
}

static bool route_covers(const char *route, weir_http_slice path)
{
    size_t const size = strlen(route);
    if (size == 1)
        return true; /* "/" */
    if (path.size < size || memcmp(path.data, route, size) != 0)
        return false;
    return path.size == size || path.data[size] == '/' || path.data[size] == '?';
}

weir__service *weir__gateway_route(const weir_gateway *gateway, weir_http_slice path)
{
    weir__service *best = NULL;
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir__service *const service = gateway->services[i];
        if (route_covers(service->route, path) &&
            (best == NULL || strlen(service->route) > strlen(best->route)))
            best = service;
    }
    return best;
}

/* ---- Services from a configuration ---- */

static weir_caller_options service_options(const weir_env *env, const weir__service_config *config)
{
    weir_caller_options options = WEIR_CALLER_OPTIONS_INIT;
    options.balancer = &config->balancer;
    options.limiter = config->limited ? &config->limiter : NULL;
    options.breaker = config->guarded ? &config->breaker : NULL;
    options.outlier = config->watched ? &config->outlier : NULL;
    options.retry = config->retried ? &config->retry : NULL;
    options.timeout_ns = config->timeout_ns;
    options.attempt_timeout_ns = config->attempt_timeout_ns;
    options.env = env;
    return options;
}

static size_t service_text_bytes(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static char *service_copy_text(char **at, const char *text)
{
    size_t const bytes = service_text_bytes(text);
    char *const copy = bytes > 0 ? memcpy(*at, text, bytes) : NULL;
    *at += bytes;
    return copy;
}

static int service_set_text(const weir_env *env, weir__service *service,
                            const weir__service_config *config)
{
    service->text_size = service_text_bytes(config->name) + service_text_bytes(config->route) +
                         service_text_bytes(config->key.name) +
                         service_text_bytes(config->sticky.name);
    char *text = weir__alloc(env, service->text_size);
    if (text == NULL)
        return WEIR_ENOMEM;
    service->name = service_copy_text(&text, config->name);
    service->route = service_copy_text(&text, config->route);
    service->key.source = config->key.source;
    service->key.name = service_copy_text(&text, config->key.name);
    service->sticky.source = config->sticky.source;
    service->sticky.name = service_copy_text(&text, config->sticky.name);
    return WEIR_OK;
}

static void service_swap_text(weir__service *one, weir__service *other)
{
    weir__service const kept = *one;
    one->name = other->name;
    one->route = other->route;
    one->key = other->key;
    one->sticky = other->sticky;
    one->text_size = other->text_size;
    other->name = kept.name;
    other->route = kept.route;
    other->text_size = kept.text_size;
}

static void service_set_options(weir__service *service, const weir__service_config *config)
{
    service->algorithm = config->balancer.algorithm;
    service->watched = config->watched;
    service->reported = config->balancer.reported_weights;
    service->connect_ms = config->connect_ms;
    service->timeout_ms = (uint32_t)(config->timeout_ns / WEIR__NS_PER_MS);
}

static int service_new(weir__service **out, weir_gateway *gateway,
                       const weir__service_config *config)
{
    const weir_env *const env = &gateway->env;
    weir__service *const service = weir__alloc(env, sizeof *service);
    *out = service;
    if (service == NULL)
        return WEIR_ENOMEM;
    weir_caller_options const options = service_options(env, config);
    service->users = 1;
    service_set_options(service, config);
    int result = service_set_text(env, service, config);
    if (result == WEIR_OK)
        result = weir_caller_create(&service->caller, &options);
    if (result == WEIR_OK)
        result = weir_caller_set_members(service->caller, config->members, config->member_count, 0);
    if (result == WEIR_OK)
        result =
            weir_loop_task_create(&service->task, gateway->loop, weir_caller_task(service->caller));
    return result;
}

static void services_release(const weir_env *env, weir__service **services, size_t count)
{
    for (size_t i = 0; services != NULL && i < count; i++)
        weir__service_release(env, services[i]);
    weir__free(env, services, (count + 1) * sizeof(weir__service *));
}

static weir__service *gateway_find(const weir_gateway *gateway, const weir__service *like)
{
    for (size_t i = 0; i < gateway->service_count; i++)
        if (strcmp(gateway->services[i]->name, like->name) == 0)
            return gateway->services[i];
    return NULL;
}

/* What is wrong with a service, if it is its text. */
static int service_blame(int result, const weir__service_config *config, weir_gateway_error *error)
{
    return result != WEIR_EINVAL
               ? result
               : weir__gateway_fail(error, config->line, "service",
                                    "\"%s\" has values that do not go together; is limit.burst "
                                    "years long?",
                                    config->name);
}

static int service_blame_check(int result, const weir__service_config *config,
                               weir_gateway_error *error)
{
    return result != WEIR_EINVAL
               ? result
               : weir__gateway_fail(error, config->line, "health",
                                    "\"%s\": this method, path or host cannot be sent",
                                    config->name);
}

/* A service each, made anew: what can be wrong with one shows here. */
static int services_new(weir__service ***out, weir_gateway *gateway,
                        const weir_gateway_config *config, weir_gateway_error *error)
{
    weir__service **const services =
        weir__alloc(&gateway->env, (config->service_count + 1) * sizeof(weir__service *));
    int result = services != NULL ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; result == WEIR_OK && i < config->service_count; i++) {
        const weir__service_config *const service = &config->services[i];
        result = service_blame(service_new(&services[i], gateway, service), service, error);
        if (result == WEIR_OK)
            result = service_blame_check(weir__checks_new(services[i], gateway, service,
                                                          gateway_find(gateway, services[i])),
                                         service, error);
    }
    *out = services;
    if (result != WEIR_OK) {
        services_release(&gateway->env, services, config->service_count);
        *out = NULL;
    }
    return result;
}

/* The old service takes the new one's text and options, and its place. */
static int service_adopt(const weir_env *env, weir__service *old, weir__service *made,
                         const weir__service_config *config)
{
    weir_caller_options const options = service_options(env, config);
    int result = weir_caller_update(old->caller, &options);
    if (result == WEIR_OK)
        result = weir_caller_set_members(old->caller, config->members, config->member_count, 0);
    if (result == WEIR_OK)
        result = weir__checks_unflag(old, made, config);
    if (result != WEIR_OK)
        return result;
    weir__checks_move(old, made, config);
    service_swap_text(old, made);
    service_set_options(old, config);
    old->users++;
    weir__service_release(env, made);
    return WEIR_OK;
}

/* ---- The gateway ---- */

/* What cannot change while it runs, as one text to be compared. */
static int gateway_fixed(weir__text *out, const weir_gateway_config *config)
{
    weir__text_format(out, "proxy %s admin %s max_header %u max_body %llu idle %u header %u",
                      config->proxy, config->admin, config->max_header,
                      (unsigned long long)config->max_body, config->idle_ms, config->header_ms);
    return weir__text_ok(out) ? WEIR_OK : WEIR_ENOMEM;
}

static int gateway_listen(weir_gateway *gateway, weir_http_server **out, const char *field,
                          const weir_http_server_options *options, weir_gateway_error *error)
{
    int const result = weir_http_server_create(out, gateway->loop, options);
    if (result == WEIR_ESYSTEM) {
        int const why = errno;
        char text[96] = "";
        (void)strerror_r(why, text, sizeof text);
        (void)weir__gateway_fail(error, 0, field, "cannot listen on %s: %s", options->address,
                                 text);
        errno = why;
    } else if (result == WEIR_EINVAL) {
        (void)weir__gateway_fail(error, 0, field, "cannot listen on %s", options->address);
    }
    return result;
}

static int gateway_listen_both(weir_gateway *gateway, const weir_gateway_config *config,
                               weir_gateway_error *error)
{
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.address = config->proxy;
    options.on_request = weir__gateway_on_request;
    options.user = gateway;
    options.max_header_bytes = config->max_header;
    if (options.max_target_bytes > config->max_header)
        options.max_target_bytes = config->max_header;
    options.max_body_bytes = config->max_body;
    options.idle_ms = config->idle_ms;
    options.header_ms = config->header_ms;
    int const result = gateway_listen(gateway, &gateway->proxy, "proxy", &options, error);
    if (result != WEIR_OK)
        return result;
    weir_http_server_options admin = WEIR_HTTP_SERVER_OPTIONS_INIT;
    admin.address = config->admin;
    admin.on_request = weir__gateway_on_admin;
    admin.user = gateway;
    admin.max_body_bytes = 65536;
    return gateway_listen(gateway, &gateway->admin, "admin", &admin, error);
}

static int gateway_init(weir_gateway *gateway, const weir_gateway_config *config,
                        weir_gateway_error *error)
{
    weir__text fixed;
    weir__text_init(&fixed, &gateway->env);
    int result = gateway_fixed(&fixed, config);
    gateway->fixed = fixed;
    if (result == WEIR_OK)
        result = weir__checks_create(gateway);
    if (result == WEIR_OK)
        result = services_new(&gateway->services, gateway, config, error);
    if (result != WEIR_OK)
        return result;
    gateway->service_count = config->service_count;
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    client.high_water +=
        2 * config->max_header; /* A head, and what is kept of a body, fit at once. */
    result = weir_http_client_create(&gateway->client, gateway->loop, &client);
    return result == WEIR_OK ? gateway_listen_both(gateway, config, error) : result;
}

int weir_gateway_create(weir_gateway **out, weir_loop *loop, const weir_gateway_config *config,
                        const weir_gateway_options *options, weir_gateway_error *error)
{
    *out = NULL;
    *error = (weir_gateway_error){.line = 0};
    weir_gateway_options loaded = WEIR_GATEWAY_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return weir__gateway_fail(error, 0, "options", "are of an unknown version");
    const weir_env *const env = weir__loop_env(loop);
    weir_gateway *const gateway = weir__alloc(env, sizeof *gateway);
    if (gateway == NULL)
        return WEIR_ENOMEM;
    gateway->env = *env;
    gateway->loop = loop;
    gateway->on_admin = loaded.on_admin;
    gateway->user = loaded.user;
    weir__rng_seed(&gateway->rng, weir__random(env));
    int const result = gateway_init(gateway, config, error);
    if (result == WEIR_OK)
        *out = gateway;
    else
        weir_gateway_destroy(gateway);
    return result;
}

void weir_gateway_destroy(weir_gateway *gateway)
{
    if (gateway == NULL)
        return;
    weir_env const env = gateway->env;
    weir_http_server_destroy(gateway->proxy); /* Requests in progress are aborted by this. */
    weir_http_server_destroy(gateway->admin);
    weir_http_client_destroy(gateway->client);
    services_release(&env, gateway->services, gateway->service_count);
    weir__checks_destroy(gateway);
    weir__text_free(&gateway->fixed);
    weir__free(&env, gateway, sizeof *gateway);
}

static int gateway_check_fixed(const weir_gateway *gateway, const weir_gateway_config *config,
                               weir_gateway_error *error)
{
    weir__text fixed;
    weir__text_init(&fixed, &gateway->env);
    int result = gateway_fixed(&fixed, config);
    if (result == WEIR_OK && strcmp(fixed.data, gateway->fixed.data) != 0)
        result = weir__gateway_fail(error, 0, "proxy",
                                    "what stands before the first service cannot change while it "
                                    "runs: start anew");
    weir__text_free(&fixed);
    return result;
}

int weir_gateway_update(weir_gateway *gateway, const weir_gateway_config *config,
                        weir_gateway_error *error)
{
    weir__service **services;
    *error = (weir_gateway_error){.line = 0};
    int result = gateway_check_fixed(gateway, config, error);
    if (result == WEIR_OK)
        result = services_new(&services, gateway, config, error);
    if (result != WEIR_OK)
        return result;
    for (size_t i = 0; result == WEIR_OK && i < config->service_count; i++) {
        weir__service *const old = gateway_find(gateway, services[i]);
        if (old == NULL)
            continue;
        result = service_adopt(&gateway->env, old, services[i], &config->services[i]);
        if (result == WEIR_OK)
            services[i] = old;
    }
    if (result != WEIR_OK) {
        services_release(&gateway->env, services, config->service_count);
        return result;
    }
    services_release(&gateway->env, gateway->services, gateway->service_count);
    gateway->services = services;
    gateway->service_count = config->service_count;
    return WEIR_OK;
}

void weir_gateway_drain(weir_gateway *gateway, void (*on_drained)(void *user), void *user)
{
    gateway->draining = true;
    weir_http_server_drain(gateway->proxy, on_drained, user);
}

weir_address weir_gateway_address(const weir_gateway *gateway)
{
    return weir_http_server_address(gateway->proxy);
}

weir_address weir_gateway_admin_address(const weir_gateway *gateway)
{
    return weir_http_server_address(gateway->admin);
}
