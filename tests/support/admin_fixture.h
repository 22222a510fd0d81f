/* An admin before a config and a registry on one store, behind a server; and a client on a raw
 * socket. The clock moves when told; the space, the admin and the server each have their memory. */
#ifndef WEIR_TEST_ADMIN_FIXTURE_H
#define WEIR_TEST_ADMIN_FIXTURE_H

#include "support/http_fixture.h"
#include "support/slow_kv.h"

#include <weir/admin.h>
#include <weir/store.h>

typedef struct admin_fixture {
    fake_env memory; /* Of the admin... */
    fake_env space;  /* ...and of what is below it. */
    weir_store *store;
    slow_kv slow;
    weir_kv kv;
    weir_config *config;
    weir_registry *registry;
    weir_admin_options options;
    weir_admin *admin;
    bool guarded;  /* Requests are asked for their token. */
    bool sees_all; /* The host answers before the admin does. */
    int status;    /* Of the last answer... */
    const char *body;
} admin_fixture;

static admin_fixture a;

static inline void serve_admin(weir_http_exchange *exchange, const weir_http_request *request,
                               void *user)
{
    (void)user;
    if (a.guarded && !weir_admin_allows(a.admin, exchange, request))
        return;
    if (!weir_admin_handle(a.admin, exchange, request))
        (void)weir_http_exchange_respond(exchange, 200, NULL, "the host's", 10);
}

static inline void create_space(void)
{
    weir_env const env = fake_env_hooks(&a.space);
    weir_store_options store = WEIR_STORE_OPTIONS_INIT;
    weir_config_options config = WEIR_CONFIG_OPTIONS_INIT;
    weir_registry_options registry = WEIR_REGISTRY_OPTIONS_INIT;
    store.env = config.env = registry.env = &env;
    store.history = 32;
    config.kv = registry.kv = &a.kv;
    config.history = 3;
    assert_int_equal(weir_store_create(&a.store, &store, NULL), WEIR_OK);
    a.slow = (slow_kv){.under = weir_store_kv(a.store), .quick = true};
    a.kv = slow_kv_of(&a.slow);
    assert_int_equal(weir_config_create(&a.config, &config), WEIR_OK);
    assert_int_equal(weir_registry_create(&a.registry, &registry), WEIR_OK);
}

static inline void create_admin(void)
{
    weir_env const env = fake_env_hooks(&a.memory);
    a.options.env = &env;
    assert_int_equal(weir_admin_create(&a.admin, &a.options), WEIR_OK);
}

static inline void serve_with(uint32_t high_water)
{
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = serve_admin;
    options.high_water = high_water;
    serve(&options);
}

static inline int admin_setup(void **state)
{
    int const code = fixture_setup(state);
    a = (admin_fixture){.space = {.random_step = 1, .now_ns = 1000 * MS, .wall_ns = 5000 * MS}};
    a.memory = a.space;
    create_space();
    a.options = (weir_admin_options)WEIR_ADMIN_OPTIONS_INIT;
    a.options.config = a.config;
    a.options.registry = a.registry;
    a.options.max_body_bytes = 1000;
    create_admin();
    serve_with(65536);
    return code;
}

static inline int admin_teardown(void **state)
{
    weir_admin_destroy(a.admin);
    weir_config_destroy(a.config);
    weir_registry_destroy(a.registry);
    slow_kv_drain(&a.slow);
    weir_store_destroy(a.store);
    int const code = fixture_teardown(state);
    return a.memory.live == 0 && a.memory.live_bytes == 0 && a.space.live == 0 ? code : -1;
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, admin_setup, admin_teardown)

/* ---- The client ---- */

/* Sends a request; `headers` are whole lines. Returns the socket. */
static inline int begin_request(const char *method, const char *target, const char *headers,
                                const char *body)
{
    char text[4096];
    int const fd = raw_connect();
    int const size = body != NULL ? snprintf(text, sizeof text,
                                             "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                             "Content-Length: %zu\r\n%s\r\n%s",
                                             method, target, strlen(body), headers, body)
                                  : snprintf(text, sizeof text,
                                             "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                             "%s\r\n",
                                             method, target, headers);
    assert_in_range(size, 1, sizeof text - 1);
    raw_send(fd, text);
    return fd;
}

/* The whole answer: its status, 0 if the connection was cut before, and its body. */
static inline int end_request(int fd)
{
    until(raw_ended(fd));
    raw_close(fd);
    const char *const end = strstr(f.got, "\r\n\r\n");
    a.status = 0;
    a.body = end != NULL ? end + 4 : "";
    (void)sscanf(f.got, "HTTP/1.1 %d", &a.status);
    return a.status;
}

static inline int ask_with(const char *method, const char *target, const char *headers,
                           const char *body)
{
    return end_request(begin_request(method, target, headers, body));
}

static inline int ask(const char *method, const char *target, const char *body)
{
    return ask_with(method, target, "", body);
}

static inline int get(const char *target)
{
    return ask("GET", target, NULL);
}

static inline int put(const char *target, const char *body)
{
    return ask("PUT", target, body);
}

#define assert_body(expected) assert_string_equal(a.body, expected)

/* The last answer has this header. */
#define assert_header(line)                                                                        \
    do {                                                                                           \
        if (strstr(f.got, "\r\n" line "\r\n") == NULL)                                             \
            fail_msg("no %s in:\n%s", line, f.got);                                                \
    } while (0)

#define assert_no_header(name) assert_null(strstr(f.got, "\r\n" name ":"))

#endif
