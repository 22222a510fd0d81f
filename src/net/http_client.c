#include <weir/http.h>

#include "net/http_client.h"
#include "net/http_write.h"
#include "net/socket.h"

#include <unistd.h>

/* ---- Pools ---- */

static void http_client_key(char key[WEIR__HTTP_POOL_KEY_SIZE], const weir_address *address)
{
    key[0] = (char)address->family;
    key[1] = (char)(address->port >> 8);
    key[2] = (char)(address->port & 0xff);
    memcpy(key + 3, address->ip, sizeof address->ip);
}

/* The pool of an address, made if there is none; NULL: out of memory. */
static weir__http_pool *http_client_pool(weir_http_client *client, const weir_address *address)
{
    char key[WEIR__HTTP_POOL_KEY_SIZE];
    http_client_key(key, address);
    weir__http_pool *pool = weir__map_get(&client->pools, key, sizeof key);
    if (pool != NULL)
        return pool;
    pool = weir__alloc(client->env, sizeof *pool);
    if (pool == NULL)
        return NULL;
    memcpy(pool->key, key, sizeof key);
    pool->address = *address;
    weir_address_format(address, pool->host);
    if (weir__map_put(&client->pools, pool->key, sizeof pool->key, pool) != WEIR_OK) {
        weir__free(client->env, pool, sizeof *pool);
        return NULL;
    }
    return pool;
}

static void http_client_drop_pool(weir_http_client *client, weir__http_pool *pool)
{
    if (pool->connection_count > 0)
        return;
    (void)weir__map_remove(&client->pools, pool->key, sizeof pool->key);
    weir__free(client->env, pool, sizeof *pool);
}

bool weir__http_client_keep(weir_http_call *call)
{
    weir_http_client *const client = call->client;
    weir__http_pool *const pool = call->pool;
    if (client->dying || client->idle_count >= client->options.max_idle ||
        pool->idle_count >= client->options.max_idle_per_address)
        return false;
    call->idle_prev = NULL;
    call->idle_next = pool->idle;
    if (call->idle_next != NULL)
        call->idle_next->idle_prev = call;
    pool->idle = call;
    pool->idle_count++;
    client->idle_count++;
    return true;
}

void weir__http_client_take(weir_http_call *call)
{
    if (call->idle_prev != NULL)
        call->idle_prev->idle_next = call->idle_next;
    else
        call->pool->idle = call->idle_next;
    if (call->idle_next != NULL)
        call->idle_next->idle_prev = call->idle_prev;
    call->pool->idle_count--;
    call->client->idle_count--;
}

/* ---- Connections ---- */

static void http_client_link(weir_http_client *client, weir__http_pool *pool, weir_http_call *call)
{
    call->client = client;
    call->pool = pool;
    call->next = client->connections;
    if (call->next != NULL)
        call->next->prev = call;
    client->connections = call;
    pool->connection_count++;
}

void weir__http_client_forget(weir_http_call *call)
{
    weir_http_client *const client = call->client;
    if (call->state == WEIR__HTTP_CALL_IDLE)
        weir__http_client_take(call);
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        client->connections = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    call->pool->connection_count--;
    http_client_drop_pool(client, call->pool);
    call->client = NULL;
}

/* A connection that begins to connect, with the request prepared. */
static int http_client_connect(weir_http_client *client, weir__http_pool *pool,
                               const weir_http_request *request, weir_http_call **out)
{
    weir_http_call *const call = weir__alloc(client->env, sizeof *call);
    if (call == NULL)
        return WEIR_ENOMEM;
    call->pool = pool;
    call->conn.env = client->env;
    call->conn.high_water = client->options.high_water;
    weir__http_parser_init(&call->conn.parser, client->env, true, &client->limits);
    int result = weir__http_call_prepare(call, request);
    if (result == WEIR_OK) {
        int const fd = weir__socket_connect(&pool->address);
        result = weir__http_conn_open(&call->conn, client->loop, &weir__http_call_role, fd, true);
    }
    if (result != WEIR_OK) {
        weir__http_bytes_free(&call->head, client->env);
        weir__http_bytes_free(&call->conn.out, client->env);
        weir__free(client->env, call, sizeof *call);
        return result == WEIR_ESYSTEM ? WEIR_ENOMEM : result; /* The kernel's, for the watch. */
    }
    call->state = WEIR__HTTP_CALL_CONNECT;
    call->reused = false;
    http_client_link(client, pool, call);
    *out = call;
    return WEIR_OK;
}

static int http_client_reuse(weir_http_call *call, const weir_http_request *request)
{
    int const result = weir__http_call_prepare(call, request);
    if (result != WEIR_OK)
        return result;
    weir__http_client_take(call);
    call->state = WEIR__HTTP_CALL_WAIT;
    call->reused = true;
    return WEIR_OK;
}

static void http_client_inherit(weir_http_call_options *options,
                                const weir_http_client_options *client)
{
    if (options->connect_ms == 0)
        options->connect_ms = client->connect_ms;
    if (options->head_ms == 0)
        options->head_ms = client->head_ms;
    if (options->stall_ms == 0)
        options->stall_ms = client->stall_ms;
}

int weir_http_call_start(weir_http_call **out, weir_http_client *client,
                         const weir_address *address, const weir_http_call_options *options,
                         const weir_http_request *request, const weir_http_call_events *events,
                         void *user)
{
    *out = NULL;
    weir_http_call_options loaded = WEIR_HTTP_CALL_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size) != WEIR_OK)
        return WEIR_EINVAL;
    if (client->dying)
        return WEIR_ECLOSED;
    if ((address->family != 4 && address->family != 6) || events == NULL)
        return WEIR_EINVAL;
    weir__http_pool *const pool = http_client_pool(client, address);
    if (pool == NULL)
        return WEIR_ENOMEM;
    weir_http_call *call = pool->idle;
    int const result = call != NULL ? http_client_reuse(call, request)
                                    : http_client_connect(client, pool, request, &call);
    if (result != WEIR_OK) {
        http_client_drop_pool(client, pool);
        return result;
    }
    http_client_inherit(&loaded, &client->options);
    call->options = loaded;
    call->events = events;
    call->user = user;
    weir__http_conn_touch(&call->conn);
    *out = call;
    return WEIR_OK;
}

/* ---- Life ---- */

static bool http_client_options_valid(const weir_http_client_options *o)
{
    return o->idle_ms >= 1 && o->connect_ms >= 1 && o->head_ms >= 1 && o->stall_ms >= 1 &&
           o->max_header_bytes >= 256 && o->max_header_bytes <= 1048576 && o->max_headers >= 1 &&
           o->max_headers <= 10000 && o->high_water >= 1 && o->high_water <= 1073741824;
}

int weir_http_client_create(weir_http_client **out, weir_loop *loop,
                            const weir_http_client_options *options)
{
    *out = NULL;
    weir_http_client_options loaded = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    if (loop == NULL ||
        (options != NULL &&
         weir__options_load(&loaded, sizeof loaded, options, options->struct_size) != WEIR_OK) ||
        !http_client_options_valid(&loaded))
        return WEIR_EINVAL;
    const weir_env *const env = weir__loop_env(loop);
    weir_http_client *const client = weir__alloc(env, sizeof *client);
    if (client == NULL)
        return WEIR_ENOMEM;
    *client = (weir_http_client){.loop = loop, .env = env, .options = loaded};
    client->limits = (weir__http_limits){.header_bytes = loaded.max_header_bytes,
                                         .headers = loaded.max_headers,
                                         .body_bytes = loaded.max_body_bytes};
    weir__map_init(&client->pools, env);
    *out = client;
    return WEIR_OK;
}

void weir_http_client_destroy(weir_http_client *client)
{
    if (client == NULL)
        return;
    client->dying = true;
    while (client->connections != NULL) {
        weir_http_call *const call = client->connections;
        if (call->state == WEIR__HTTP_CALL_IDLE || call->state == WEIR__HTTP_CALL_OVER)
            weir__http_call_close(call);
        else
            weir__http_call_fail(call, WEIR_HTTP_CANCELLED, WEIR_ECLOSED, "client destroyed", 0);
    }
    weir__map_free(&client->pools);
    weir__free(client->env, client, sizeof *client);
}

size_t weir_http_client_idle(const weir_http_client *client)
{
    return client->idle_count;
}
