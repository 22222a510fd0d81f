#include <weir/http.h>

#include "net/http_server.h"
#include "net/socket.h"

#include <errno.h>
#include <unistd.h>

#define WEIR__HTTP_ACCEPT_BATCH    16  /* A wake-up: others want their turn, too. */
#define WEIR__HTTP_ACCEPT_RETRY_MS 100 /* After descriptors or memory ran out. */

const char *weir__http_server_date(weir_http_server *server)
{
    uint64_t const wall_ns = weir__wall_ns(server->env);
    if (server->date[0] == '\0' || wall_ns / WEIR__NS_PER_S != server->date_s) {
        server->date_s = wall_ns / WEIR__NS_PER_S;
        weir__http_write_date(server->date, wall_ns);
    }
    return server->date;
}

/* ---- Connections ---- */

static void http_server_tell_drained(weir__loop_deferred *deferred)
{
    weir_http_server *const server =
        (weir_http_server *)(void *)((char *)deferred - offsetof(weir_http_server, drained));
    void (*const fn)(void *user) = server->on_drained;
    server->on_drained = NULL;
    if (fn != NULL)
        fn(server->drained_user);
}

static void http_server_check_drained(weir_http_server *server)
{
    if (server->draining && server->connection_count == 0)
        weir__loop_defer(server->loop, &server->drained);
}

/* Listening goes on while there is room. */
static void http_server_listen(weir_http_server *server)
{
    bool const room = server->connection_count < server->options.max_connections;
    if (server->watch != NULL)
        (void)weir_loop_watch_set(server->watch, room ? WEIR_LOOP_READABLE : 0);
}

void weir__http_server_forget(weir_http_exchange *exchange)
{
    weir_http_server *const server = exchange->server;
    if (exchange->prev != NULL)
        exchange->prev->next = exchange->next;
    else
        server->connections = exchange->next;
    if (exchange->next != NULL)
        exchange->next->prev = exchange->prev;
    server->connection_count--;
    server->exchange_count -= exchange->phase == WEIR__HTTP_EXCHANGE;
    exchange->server = NULL;
    http_server_listen(server);
    http_server_check_drained(server);
}

static int http_server_add(weir_http_server *server, int fd, const weir_address *peer)
{
    weir_http_exchange *const exchange = weir__alloc(server->env, sizeof *exchange);
    if (exchange == NULL) {
        (void)close(fd);
        return WEIR_ENOMEM;
    }
    weir__http_parser_init(&exchange->conn.parser, server->env, false, &server->limits);
    exchange->conn.high_water = server->options.high_water;
    int const result =
        weir__http_conn_open(&exchange->conn, server->loop, &weir__http_exchange_role, fd, false);
    if (result != WEIR_OK) {
        weir__free(server->env, exchange, sizeof *exchange);
        return result;
    }
    weir__http_exchange_init(exchange);
    exchange->peer = *peer;
    exchange->server = server;
    exchange->next = server->connections;
    if (exchange->next != NULL)
        exchange->next->prev = exchange;
    server->connections = exchange;
    server->connection_count++;
    weir__http_conn_touch(&exchange->conn); /* To set its deadline. */
    return WEIR_OK;
}

static void http_server_retry(uint64_t now_ns, void *user)
{
    (void)now_ns;
    http_server_listen(user);
}

/* What does not concern the listener, but the connection that was to be accepted. */
static bool http_server_passing(int error)
{
    return error == ECONNABORTED || error == EPROTO || error == EPERM;
}

static void http_server_accept(unsigned events, void *user)
{
    (void)events;
    weir_http_server *const server = user;
    for (int i = 0; i < WEIR__HTTP_ACCEPT_BATCH; i++) {
        if (server->connection_count == server->options.max_connections)
            break;
        weir_address peer;
        int const fd = weir__socket_accept(server->fd, &peer);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (fd < 0 && http_server_passing(errno))
            continue;
        if (fd < 0 || http_server_add(server, fd, &peer) != WEIR_OK) {
            (void)weir_loop_watch_set(server->watch, 0);
            weir_loop_timer_set(server->retry,
                                weir__add_ns(weir_loop_now_ns(server->loop),
                                             WEIR__HTTP_ACCEPT_RETRY_MS * WEIR__NS_PER_MS));
            return;
        }
    }
    http_server_listen(server);
}

/* ---- Life ---- */

static bool http_server_options_valid(const weir_http_server_options *o)
{
    return o->on_request != NULL && o->max_connections >= 1 && o->backlog >= 1 &&
           o->backlog <= 65535 && o->max_header_bytes >= 256 && o->max_header_bytes <= 1048576 &&
           o->max_headers >= 1 && o->max_headers <= 10000 && o->max_target_bytes >= 1 &&
           o->max_target_bytes <= o->max_header_bytes && o->high_water >= 1 &&
           o->high_water <= 1073741824 && o->header_ms >= 1 && o->idle_ms >= 1 && o->body_ms >= 1 &&
           o->write_ms >= 1 && o->linger_ms >= 1;
}

static int http_server_open(weir_http_server *server)
{
    server->fd = weir__socket_listen(&server->address, (int)server->options.backlog);
    if (server->fd < 0)
        return WEIR_ESYSTEM;
    int const result =
        weir_loop_timer_create(&server->retry, server->loop, http_server_retry, server);
    if (result != WEIR_OK)
        return result;
    return weir_loop_watch_create(&server->watch, server->loop, server->fd, WEIR_LOOP_READABLE,
                                  http_server_accept, server);
}

int weir_http_server_create(weir_http_server **out, weir_loop *loop,
                            const weir_http_server_options *options)
{
    *out = NULL;
    weir_http_server_options loaded = WEIR_HTTP_SERVER_OPTIONS_INIT;
    weir_address address;
    if (options == NULL || loop == NULL ||
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size) != WEIR_OK ||
        !http_server_options_valid(&loaded) ||
        weir_address_parse(&address, loaded.address) != WEIR_OK)
        return WEIR_EINVAL;
    const weir_env *const env = weir__loop_env(loop);
    weir_http_server *const server = weir__alloc(env, sizeof *server);
    if (server == NULL)
        return WEIR_ENOMEM;
    loaded.address = NULL; /* The caller's; ours is the copy. */
    *server = (weir_http_server){.loop = loop, .env = env, .options = loaded, .address = address};
    server->limits = (weir__http_limits){.header_bytes = loaded.max_header_bytes,
                                         .headers = loaded.max_headers,
                                         .target_bytes = loaded.max_target_bytes,
                                         .body_bytes = loaded.max_body_bytes};
    server->drained.fn = http_server_tell_drained;
    int const result = http_server_open(server);
    if (result != WEIR_OK) {
        int const error = errno;
        weir_http_server_destroy(server);
        errno = error;
        return result;
    }
    *out = server;
    return WEIR_OK;
}

static void http_server_unlisten(weir_http_server *server)
{
    weir_loop_watch_destroy(server->watch);
    weir_loop_timer_destroy(server->retry);
    server->watch = NULL;
    server->retry = NULL;
    if (server->fd >= 0)
        (void)close(server->fd);
    server->fd = -1;
}

void weir_http_server_destroy(weir_http_server *server)
{
    if (server == NULL)
        return;
    http_server_unlisten(server);
    server->draining = false; /* Nobody waits for that any more. */
    while (server->connections != NULL)
        weir__http_exchange_abort(server->connections, WEIR_ECLOSED);
    weir__loop_undefer(&server->drained);
    weir__free(server->env, server, sizeof *server);
}

void weir_http_server_drain(weir_http_server *server, void (*on_drained)(void *user), void *user)
{
    server->on_drained = on_drained;
    server->drained_user = user;
    server->draining = true;
    http_server_unlisten(server);
    for (weir_http_exchange *e = server->connections; e != NULL; e = e->next)
        weir__http_conn_touch(&e->conn); /* Idle ones close themselves. */
    http_server_check_drained(server);
}

weir_address weir_http_server_address(const weir_http_server *server)
{
    return server->address;
}

size_t weir_http_server_connections(const weir_http_server *server)
{
    return server->connection_count;
}

size_t weir_http_server_exchanges(const weir_http_server *server)
{
    return server->exchange_count;
}
