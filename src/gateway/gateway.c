#include <weir/gateway.h>

#include "gateway/checks.h"
#include "net/loop.h"

#include <errno.h>
#include <string.h>

/* What cannot change while it runs, as one text to be compared. */
static int gateway_fixed(weir__text *out, const weir_gateway_config *config)
{
    const weir__conf_globals *const g = &config->globals;
    weir__text_format(out, "proxy %s admin %s max_header %u max_body %llu idle %u header %u",
                      g->proxy, g->admin, g->max_header, (unsigned long long)g->max_body,
                      g->idle_ms, g->header_ms);
    weir__text_format(out, " data %s environment %s label %s", g->data != NULL ? g->data : "",
                      g->environment != NULL ? g->environment : "",
                      g->label != NULL ? g->label : "");
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

static int gateway_listen_both(weir_gateway *gateway, const weir__conf_globals *globals,
                               weir_gateway_error *error)
{
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.address = globals->proxy;
    options.on_request = weir__gateway_on_request;
    options.user = gateway;
    options.max_header_bytes = globals->max_header;
    if (options.max_target_bytes > globals->max_header)
        options.max_target_bytes = globals->max_header;
    options.max_body_bytes = globals->max_body;
    options.idle_ms = globals->idle_ms;
    options.header_ms = globals->header_ms;
    int const result = gateway_listen(gateway, &gateway->proxy, "proxy", &options, error);
    if (result != WEIR_OK)
        return result;
    weir_http_server_options admin = WEIR_HTTP_SERVER_OPTIONS_INIT;
    admin.address = globals->admin;
    admin.on_request = weir__gateway_on_admin;
    admin.user = gateway;
    admin.max_body_bytes = WEIR__GATEWAY_ADMIN_BODY;
    return gateway_listen(gateway, &gateway->admin, "admin", &admin, error);
}

static int gateway_init(weir_gateway *gateway, const weir_gateway_config *config,
                        weir_gateway_error *error)
{
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    client.high_water +=
        2 * config->globals.max_header; /* A head, and what is kept of a body, fit at once. */
    weir__text_init(&gateway->fixed, &gateway->env);
    weir__text_init(&gateway->dirty, &gateway->env);
    weir__map_init(&gateway->routes, &gateway->env);
    int result = gateway_fixed(&gateway->fixed, config);
    if (result == WEIR_OK)
        result = weir__gateway_metrics_create(gateway);
    if (result == WEIR_OK)
        result = weir__checks_create(gateway);
    if (result == WEIR_OK)
        result = weir__center_create(gateway, &config->globals, error);
    if (result == WEIR_OK)
        result = weir_http_client_create(&gateway->client, gateway->loop, &client);
    if (result == WEIR_OK)
        result = weir__center_publish(gateway, config, error);
    if (result == WEIR_OK)
        result = weir__services_settle(gateway);
    return result == WEIR_OK ? gateway_listen_both(gateway, &config->globals, error) : result;
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
    gateway->options = loaded;
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
    weir__services_free(gateway);
    weir__checks_destroy(gateway);
    weir__center_destroy(gateway);
    weir__gateway_metrics_destroy(gateway);
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
    *error = (weir_gateway_error){.line = 0};
    int result = gateway_check_fixed(gateway, config, error);
    if (result == WEIR_OK)
        result = weir__center_publish(gateway, config, error);
    if (result == WEIR_OK)
        result = weir_admin_set_token(gateway->api, config->globals.token);
    return result == WEIR_OK ? weir__services_settle(gateway) : result;
}

weir_config *weir_gateway_get_config(const weir_gateway *gateway)
{
    return gateway->config;
}

weir_registry *weir_gateway_get_registry(const weir_gateway *gateway)
{
    return gateway->registry;
}

weir_mesh *weir_gateway_get_mesh(const weir_gateway *gateway)
{
    return gateway->mesh;
}

weir_metrics *weir_gateway_get_metrics(const weir_gateway *gateway)
{
    return gateway->metrics;
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
