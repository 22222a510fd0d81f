#include <weir/probe_tcp.h>

#include "base/search.h"
#include "net/loop.h"
#include "net/socket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PROBE_TCP_SEND_MAX 65536

struct weir_probe_tcp {
    weir_loop *loop;
    weir_address address;
    weir__search search;
    uint32_t max_bytes;
    size_t send_size;

    weir_health *health;
    weir_health_token token;
    weir_loop_watch *watch; /* While it waits. */
    int fd;                 /* Of the run under way, or -1. */
    bool connected;
    size_t sent;
    uint32_t got;
    char send[];
};

static bool probe_tcp_options_valid(const weir_probe_tcp_options *o)
{
    return o->address != NULL && o->send_size <= PROBE_TCP_SEND_MAX &&
           (o->send_size == 0 || o->send != NULL) && o->expect_size <= WEIR__SEARCH_MAX &&
           (o->expect_size == 0 || o->expect != NULL) && o->max_bytes >= 1 &&
           o->max_bytes <= UINT32_C(1) << 24;
}

int weir_probe_tcp_create(weir_probe_tcp **out, weir_loop *loop,
                          const weir_probe_tcp_options *options)
{
    *out = NULL;
    weir_address address;
    weir_probe_tcp_options o = WEIR_PROBE_TCP_OPTIONS_INIT;
    if (weir__options_load(&o, sizeof o, options, options->struct_size) ||
        !probe_tcp_options_valid(&o) || weir_address_parse(&address, o.address))
        return WEIR_EINVAL;
    weir_probe_tcp *const probe = weir__alloc(weir__loop_env(loop), sizeof *probe + o.send_size);
    if (probe == NULL)
        return WEIR_ENOMEM;
    probe->loop = loop;
    probe->address = address;
    probe->max_bytes = o.max_bytes;
    probe->send_size = o.send_size;
    probe->fd = -1;
    weir__search_init(&probe->search, o.expect, o.expect_size);
    if (o.send_size > 0)
        memcpy(probe->send, o.send, o.send_size);
    *out = probe;
    return WEIR_OK;
}

static void probe_tcp_give_up(weir_probe_tcp *probe)
{
    weir_loop_watch_destroy(probe->watch);
    probe->watch = NULL;
    if (probe->fd >= 0)
        (void)close(probe->fd);
    probe->fd = -1;
}

void weir_probe_tcp_destroy(weir_probe_tcp *probe)
{
    if (probe == NULL)
        return;
    probe_tcp_give_up(probe);
    weir__free(weir__loop_env(probe->loop), probe, sizeof *probe + probe->send_size);
}

/* Want of ours says nothing of theirs. */
static weir_health_result probe_tcp_error(int error, const char *note)
{
    bool const ours = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
                      error == EADDRNOTAVAIL;
    return (weir_health_result){.verdict = ours ? WEIR_HEALTH_ABSTAIN : WEIR_HEALTH_FAIL,
                                .figure = error,
                                .note = note};
}

static bool probe_tcp_would_wait(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN;
}

/* Each step fills in the result, or leaves it pending: it has to wait. */

static void probe_tcp_send(weir_probe_tcp *probe, weir_health_result *result)
{
    while (probe->sent < probe->send_size) {
        struct iovec part = {probe->send + probe->sent, probe->send_size - probe->sent};
        ssize_t const sent = weir__socket_write(probe->fd, &part, 1);
        if (sent < 0) {
            if (!probe_tcp_would_wait())
                *result = probe_tcp_error(errno, "cannot send");
            return;
        }
        probe->sent += (size_t)sent;
    }
}

static void probe_tcp_receive(weir_probe_tcp *probe, weir_health_result *result)
{
    char *const data = weir__loop_scratch(probe->loop);
    for (;;) {
        size_t const room = probe->max_bytes - probe->got;
        ssize_t const got =
            weir__socket_read(probe->fd, data,
                              room < WEIR__LOOP_SCRATCH_SIZE ? room : WEIR__LOOP_SCRATCH_SIZE);
        if (got < 0 && probe_tcp_would_wait())
            return;
        if (got <= 0) {
            *result = got < 0 ? probe_tcp_error(errno, "cannot receive")
                              : probe_tcp_error(0, "closed before what is expected came");
            return;
        }
        probe->got += (uint32_t)got;
        if (weir__search_feed(&probe->search, data, (size_t)got)) {
            result->verdict = WEIR_HEALTH_PASS;
            return;
        }
        if (probe->got == probe->max_bytes) {
            *result = probe_tcp_error(0, "what is expected did not come");
            return;
        }
    }
}

/* As far as it goes now. */
static void probe_tcp_step(weir_probe_tcp *probe, weir_health_result *result)
{
    if (!probe->connected) {
        int const error = weir__socket_error(probe->fd);
        if (error != 0) {
            *result = probe_tcp_error(error, "cannot connect");
            return;
        }
        probe->connected = true;
    }
    probe_tcp_send(probe, result);
    if (result->verdict != WEIR_HEALTH_PENDING || probe->sent < probe->send_size)
        return;
    if (probe->search.size == 0)
        result->verdict = WEIR_HEALTH_PASS;
    else
        probe_tcp_receive(probe, result);
}

static void probe_tcp_on_ready(unsigned events, void *user)
{
    (void)events;
    weir_probe_tcp *const probe = user;
    weir_health_result result = WEIR_HEALTH_RESULT_INIT;
    probe_tcp_step(probe, &result);
    if (result.verdict == WEIR_HEALTH_PENDING) {
        (void)weir_loop_watch_set(probe->watch, probe->sent < probe->send_size
                                                    ? WEIR_LOOP_WRITABLE
                                                    : WEIR_LOOP_READABLE);
        return;
    }
    probe_tcp_give_up(probe);
    (void)weir_health_done(probe->health, probe->token, &result);
}

void weir_probe_tcp_start(const weir_health_run *run, weir_health_result *result, void *user)
{
    weir_probe_tcp *const probe = user;
    probe_tcp_give_up(probe);
    weir__search_restart(&probe->search);
    probe->health = run->health;
    probe->token = run->token;
    probe->connected = false;
    probe->sent = 0;
    probe->got = 0;
    probe->fd = weir__socket_connect_briefly(&probe->address);
    if (probe->fd < 0) {
        *result = probe_tcp_error(errno, "cannot connect");
        return;
    }
    int const code = weir_loop_watch_create(&probe->watch, probe->loop, probe->fd,
                                            WEIR_LOOP_WRITABLE, probe_tcp_on_ready, probe);
    if (code == WEIR_OK)
        return;
    probe_tcp_give_up(probe);
    result->verdict = WEIR_HEALTH_ABSTAIN;
    result->note = weir_strerror(code);
}

void weir_probe_tcp_cancel(const weir_health_run *run, void *user)
{
    weir_probe_tcp *const probe = user;
    if (probe->token.run == run->token.run)
        probe_tcp_give_up(probe);
}
