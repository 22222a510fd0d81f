#include "demo.h"

#include <stdio.h>
#include <string.h>

static void answer(weir_http_exchange *exchange, int status, const char *text)
{
    (void)weir_http_exchange_respond(exchange, status, "text/plain", text, strlen(text));
}

static void on_request(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    const struct demo_upstream *const upstream = user;
    bool const check = weir_http_equals(request->path, "/healthz");
    if (upstream->sick)
        answer(exchange, check ? 503 : 500, "sick\n");
    else if (check)
        answer(exchange, 200, "well\n");
    else
        answer(exchange, 200, upstream->greeting);
}

int demo_start(demo *d, weir_loop *loop)
{
    memset(d, 0, sizeof *d);
    for (int i = 0; i < DEMO_COUNT; i++) {
        weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
        options.on_request = on_request;
        options.user = &d->upstreams[i];
        int const result = weir_http_server_create(&d->servers[i], loop, &options);
        if (result != WEIR_OK)
            return result;
        weir_address const address = weir_http_server_address(d->servers[i]);
        weir_address_format(&address, d->addresses[i]);
        (void)snprintf(d->upstreams[i].greeting, sizeof d->upstreams[i].greeting,
                       "hello from upstream %d\n", i + 1);
    }
    return WEIR_OK;
}

void demo_stop(demo *d)
{
    for (int i = 0; i < DEMO_COUNT; i++)
        weir_http_server_destroy(d->servers[i]);
}

const char *demo_variable(const demo *d, const char *name)
{
    static const char *const names[DEMO_COUNT] = {"DEMO_1", "DEMO_2", "DEMO_3"};
    for (int i = 0; i < DEMO_COUNT; i++)
        if (strcmp(name, names[i]) == 0)
            return d->addresses[i];
    return NULL;
}

unsigned demo_port(const demo *d)
{
    return weir_http_server_address(d->servers[0]).port;
}

void demo_on_admin(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    demo *const d = user;
    struct demo_upstream *const last = &d->upstreams[DEMO_COUNT - 1];
    bool const sick = weir_http_equals(request->path, "/demo/sick");
    if (!sick && !weir_http_equals(request->path, "/demo/well")) {
        answer(exchange, 404, "no such page\n");
    } else if (!weir_http_equals(request->method, "POST")) {
        answer(exchange, 405, "POST it\n");
    } else {
        last->sick = sick;
        answer(exchange, 200, sick ? "upstream 3 is sick\n" : "upstream 3 is well\n");
    }
}
