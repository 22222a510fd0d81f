#include "net/http_conn.h"

#include "net/http_write.h"
#include "net/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is shorter waits for the end of the iteration, to leave together with what follows. */
#define WEIR__HTTP_COALESCE_BYTES 16384
/* A queue that grew larger is freed when empty: many idle connections stay cheap. */
#define WEIR__HTTP_KEEP_BYTES 32768

void weir__http_conn_enter(weir__http_conn *conn)
{
    conn->busy++;
}

void weir__http_conn_leave(weir__http_conn *conn)
{
    if (--conn->busy == 0 && conn->doomed)
        conn->role->release(conn);
}

void weir__http_conn_doom(weir__http_conn *conn)
{
    conn->doomed = true;
    if (conn->busy == 0)
        conn->role->release(conn);
}

void weir__http_conn_touch(weir__http_conn *conn)
{
    if (!conn->closed)
        weir__loop_defer(conn->loop, &conn->deferred);
}

void weir__http_conn_resume(weir__http_conn *conn)
{
    if (!conn->paused)
        return;
    conn->paused = false;
    conn->read_ns = weir_loop_now_ns(conn->loop);
    weir__http_conn_touch(conn);
}

/* ---- What is waited for ---- */

static void http_conn_break(weir__http_conn *conn, int error)
{
    conn->blocked = false;
    conn->mute = true;
    conn->write_error = error;
    weir__http_conn_touch(conn);
}

static void http_conn_watch(weir__http_conn *conn, unsigned events)
{
    if (events == conn->events)
        return;
    conn->events = events;
    if (weir_loop_watch_set(conn->watch, events) != WEIR_OK)
        http_conn_break(conn, errno); /* Out of kernel memory: it would never be told again. */
}

/* Nothing can be done with more input now. */
static bool http_conn_deaf(const weir__http_conn *conn)
{
    return conn->eof || conn->paused || (conn->held && conn->rest.size > 0);
}

/*
 * Reading is switched off only when something comes that is not wanted yet, and writing only when
 * the queue is empty: a request and its answer usually change nothing here.
 */
static void http_conn_rearm(weir__http_conn *conn)
{
    unsigned events = conn->events & WEIR_LOOP_READABLE;
    if (!http_conn_deaf(conn))
        events = WEIR_LOOP_READABLE;
    if (conn->eof)
        events = 0;
    if (conn->blocked)
        events |= WEIR_LOOP_WRITABLE;
    http_conn_watch(conn, events);
}

static void http_conn_set_timer(weir__http_conn *conn)
{
    if (conn->deadline_ns < conn->timer_ns) {
        conn->timer_ns = conn->deadline_ns;
        weir_loop_timer_set(conn->timer, conn->timer_ns);
    }
}

static void http_conn_settle(weir__http_conn *conn)
{
    if (!conn->closed)
        conn->role->settle(conn);
    if (conn->closed)
        return;
    if (conn->discarding)
        weir__http_bytes_free(&conn->rest, conn->env);
    if (!conn->held && !conn->paused && conn->rest.size > 0)
        weir__http_conn_touch(conn);
    if (conn->out.size == 0 && conn->out.capacity > WEIR__HTTP_KEEP_BYTES)
        weir__http_bytes_free(&conn->out, conn->env);
    if (!conn->connecting)
        http_conn_rearm(conn);
    http_conn_set_timer(conn);
}

/* ---- Sending ---- */

/* One system call: the queue, then the parts. Returns how many bytes of all went, or -1. */
static ssize_t http_conn_send(weir__http_conn *conn, const weir_http_slice *parts, int count)
{
    struct iovec vectors[4];
    int used = 0;
    if (conn->out.size > 0)
        vectors[used++] = (struct iovec){weir__http_bytes_front(&conn->out), conn->out.size};
    for (int i = 0; i < count; i++) {
        memcpy(&vectors[used].iov_base, &parts[i].data, sizeof(void *)); /* It is only read. */
        vectors[used++].iov_len = parts[i].size;
    }
    ssize_t const sent = weir__socket_write(conn->fd, vectors, used);
    if (sent > 0) {
        conn->sent += (uint64_t)sent;
        conn->write_ns = weir_loop_now_ns(conn->loop);
    } else if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        http_conn_break(conn, errno);
        return -1;
    }
    return sent > 0 ? sent : 0;
}

static void http_conn_block(weir__http_conn *conn)
{
    conn->blocked = true;
    conn->write_ns = weir_loop_now_ns(conn->loop);
}

static void http_conn_flush(weir__http_conn *conn)
{
    if (conn->out.size > 0 && !conn->blocked && !conn->connecting && !conn->mute) {
        ssize_t const sent = http_conn_send(conn, NULL, 0);
        if (sent < 0)
            return;
        weir__http_bytes_take(&conn->out, (size_t)sent);
        if (conn->out.size > 0)
            http_conn_block(conn);
    }
    if (conn->full && conn->out.size <= conn->high_water / 2) {
        conn->full = false;
        conn->role->drained(conn);
    }
}

int weir__http_conn_write(weir__http_conn *conn, const weir_http_slice *parts, int count)
{
    if (conn->closed || conn->mute)
        return WEIR_ECLOSED;
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].size;
    if (weir__http_bytes_reserve(&conn->out, conn->env, size) != WEIR_OK)
        return WEIR_ENOMEM;
    size_t const all = conn->out.size + size;
    ssize_t sent = 0;
    if (all >= WEIR__HTTP_COALESCE_BYTES && !conn->blocked && !conn->connecting) {
        sent = http_conn_send(conn, parts, count);
        if (sent < 0)
            return WEIR_ECLOSED;
        if ((size_t)sent < all)
            http_conn_block(conn);
    }
    size_t skip = (size_t)sent;
    size_t const queued = skip < conn->out.size ? skip : conn->out.size;
    weir__http_bytes_take(&conn->out, queued);
    skip -= queued;
    for (int i = 0; i < count; i++) {
        size_t const part = skip < parts[i].size ? skip : parts[i].size;
        weir__http_bytes_add(&conn->out, parts[i].data + part, parts[i].size - part);
        skip -= part;
    }
    conn->full |= weir__http_conn_full(conn);
    weir__http_conn_touch(conn);
    return WEIR_OK;
}

int weir__http_conn_write_body(weir__http_conn *conn, bool chunked, const void *data, size_t size)
{
    if (!chunked) {
        weir_http_slice const whole = {data, size};
        return weir__http_conn_write(conn, &whole, 1);
    }
    char head[WEIR__HTTP_CHUNK_HEAD_SIZE];
    weir_http_slice const parts[] = {{head, weir__http_write_chunk_head(head, size)},
                                     {data, size},
                                     {"\r\n", 2}};
    return weir__http_conn_write(conn, parts, 3);
}

/* ---- Receiving ---- */

static void http_conn_pump(weir__http_conn *conn, weir_http_slice *in)
{
    while (!conn->closed && !conn->held && !conn->paused && !conn->discarding) {
        weir__http_event const event = weir__http_parser_next(&conn->parser, in);
        if (event == WEIR__HTTP_MORE)
            break;
        conn->role->parsed(conn, event);
        if (event == WEIR__HTTP_FAILED)
            break;
    }
}

static void http_conn_pump_rest(weir__http_conn *conn)
{
    if (conn->rest.size == 0 || conn->held || conn->paused)
        return;
    weir_http_slice in = {weir__http_bytes_front(&conn->rest), conn->rest.size};
    http_conn_pump(conn, &in);
    if (!conn->closed)
        weir__http_bytes_take(&conn->rest, conn->rest.size - in.size);
    if (conn->rest.size == 0)
        weir__http_bytes_free(&conn->rest, conn->env);
}

/* What stands behind `rest` keeps its order. */
static void http_conn_keep(weir__http_conn *conn, weir_http_slice in)
{
    if (conn->closed || conn->discarding || in.size == 0)
        return;
    if (weir__http_bytes_reserve(&conn->rest, conn->env, in.size) == WEIR_OK)
        weir__http_bytes_add(&conn->rest, in.data, in.size);
    else
        conn->role->ended(conn, ENOMEM);
}

static void http_conn_read(weir__http_conn *conn)
{
    char *const scratch = weir__loop_scratch(conn->loop);
    ssize_t const got = weir__socket_read(conn->fd, scratch, WEIR__LOOP_SCRATCH_SIZE);
    if (got > 0) {
        conn->read_ns = weir_loop_now_ns(conn->loop);
        weir_http_slice in = {scratch, (size_t)got};
        if (conn->rest.size == 0)
            http_conn_pump(conn, &in);
        http_conn_keep(conn, in);
    } else if (got == 0) {
        conn->eof = true;
        conn->role->ended(conn, 0);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        conn->role->ended(conn, errno);
    }
}

/* ---- What the loop tells ---- */

static void http_conn_readable(weir__http_conn *conn, unsigned events)
{
    if (!http_conn_deaf(conn))
        http_conn_read(conn);
    else if (events & WEIR_LOOP_HANGUP)
        conn->role->ended(conn, ECONNRESET); /* Nobody reads, and the peer is gone altogether. */
    else
        http_conn_watch(conn, conn->events & ~(unsigned)WEIR_LOOP_READABLE);
}

static void http_conn_ready(unsigned events, void *user)
{
    weir__http_conn *const conn = user;
    weir__http_conn_enter(conn);
    if (conn->connecting) {
        conn->connecting = false;
        http_conn_watch(conn, WEIR_LOOP_READABLE);
        conn->role->connected(conn, weir__socket_error(conn->fd));
    } else {
        if (events & WEIR_LOOP_WRITABLE) {
            conn->blocked = false;
            http_conn_flush(conn);
        }
        if (!conn->closed && (events & (WEIR_LOOP_READABLE | WEIR_LOOP_HANGUP)))
            http_conn_readable(conn, events);
    }
    http_conn_settle(conn);
    weir__http_conn_leave(conn);
}

static void http_conn_deferred(weir__loop_deferred *deferred)
{
    weir__http_conn *const conn =
        (weir__http_conn *)(void *)((char *)deferred - offsetof(weir__http_conn, deferred));
    weir__http_conn_enter(conn);
    http_conn_pump_rest(conn);
    if (!conn->closed)
        http_conn_flush(conn);
    if (!conn->closed && conn->write_error != 0) {
        int const error = conn->write_error;
        conn->write_error = 0;
        conn->role->unwritable(conn, error);
    }
    http_conn_settle(conn);
    weir__http_conn_leave(conn);
}

static void http_conn_timer(uint64_t now_ns, void *user)
{
    weir__http_conn *const conn = user;
    weir__http_conn_enter(conn);
    conn->timer_ns = WEIR_NEVER;
    if (now_ns >= conn->deadline_ns)
        conn->role->due(conn);
    http_conn_settle(conn);
    weir__http_conn_leave(conn);
}

/* ---- Life ---- */

int weir__http_conn_open(weir__http_conn *conn, weir_loop *loop, const weir__http_role *role,
                         int fd, bool connecting)
{
    conn->role = role;
    conn->loop = loop;
    conn->env = weir__loop_env(loop);
    conn->fd = -1;
    conn->deferred.fn = http_conn_deferred;
    conn->deadline_ns = conn->timer_ns = WEIR_NEVER;
    int const error = errno;
    int result = weir_loop_timer_create(&conn->timer, loop, http_conn_timer, conn);
    errno = error;
    if (result == WEIR_OK)
        result = weir__http_conn_attach(conn, fd, connecting);
    else if (fd >= 0)
        (void)close(fd);
    if (result != WEIR_OK)
        weir__http_conn_close(conn);
    return result;
}

static void http_conn_detach(weir__http_conn *conn)
{
    weir_loop_watch_destroy(conn->watch);
    conn->watch = NULL;
    if (conn->fd >= 0)
        (void)close(conn->fd);
    conn->fd = -1;
}

int weir__http_conn_attach(weir__http_conn *conn, int fd, bool connecting)
{
    int const error = errno;
    if (conn->watch != NULL)
        http_conn_detach(conn);
    conn->fd = fd;
    conn->connecting = connecting;
    conn->eof = conn->mute = conn->blocked = false;
    conn->write_error = 0;
    conn->read_ns = conn->write_ns = weir_loop_now_ns(conn->loop);
    conn->events = connecting ? WEIR_LOOP_WRITABLE : WEIR_LOOP_READABLE;
    if (fd < 0) {
        conn->write_error = error;
        weir__http_conn_touch(conn);
        return WEIR_OK;
    }
    return weir_loop_watch_create(&conn->watch, conn->loop, fd, conn->events, http_conn_ready,
                                  conn);
}

void weir__http_conn_close(weir__http_conn *conn)
{
    conn->closed = true;
    weir__loop_undefer(&conn->deferred);
    http_conn_detach(conn);
    weir_loop_timer_destroy(conn->timer);
    conn->timer = NULL;
    weir__http_bytes_free(&conn->out, conn->env);
}

void weir__http_conn_free(weir__http_conn *conn)
{
    weir__http_bytes_free(&conn->rest, conn->env);
    weir__http_parser_free(&conn->parser);
}

void weir__http_conn_shutdown(weir__http_conn *conn)
{
    conn->mute = true;
    (void)shutdown(conn->fd, SHUT_WR);
}
