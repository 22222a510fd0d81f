/* A server and a client on one loop with a clock that moves when told, raw sockets for what a
 * well-behaved peer would not do, and a trace of what was told. */
#ifndef WEIR_TEST_HTTP_FIXTURE_H
#define WEIR_TEST_HTTP_FIXTURE_H

#include "support/fake_env.h"

#include <weir/http.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS            UINT64_C(1000000)
#define FIXTURE_TEXT  (1 << 16)
#define FIXTURE_STEPS 2000 /* Waits of at most 5 ms each: far more than any test takes. */

typedef struct http_fixture {
    fake_env fake;
    weir_env env;
    weir_loop *loop;
    weir_http_server *server;
    weir_http_client *client;
    weir_address address; /* Of the server. */
    char trace[FIXTURE_TEXT];
    size_t trace_size;
    char got[FIXTURE_TEXT]; /* By the raw socket. */
    size_t got_size;
    bool got_end, got_reset;
} http_fixture;

static http_fixture f;

static inline void say_bytes(const char *data, size_t size)
{
    assert_true(f.trace_size + size < FIXTURE_TEXT);
    memcpy(f.trace + f.trace_size, data, size);
    f.trace_size += size;
    f.trace[f.trace_size] = '\0';
}

static inline void say(const char *text)
{
    say_bytes(text, strlen(text));
}

static inline void say_slice(weir_http_slice slice)
{
    say_bytes(slice.data, slice.size);
}

static inline void say_number(long long number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", number);
    say(text);
}

/* What was told since the last time. */
#define assert_told(expected)                                                                      \
    do {                                                                                           \
        assert_string_equal(f.trace, expected);                                                    \
        f.trace_size = 0;                                                                          \
        f.trace[0] = '\0';                                                                         \
    } while (0)

static inline int fixture_setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    f.fake.now_ns = 1000 * MS;
    f.fake.wall_ns = UINT64_C(784111777) * 1000000000; /* Sun, 06 Nov 1994 08:49:37 GMT. */
    f.fake.random_step = 1;
    f.env = fake_env_hooks(&f.fake);
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.env = &f.env;
    return weir_loop_create(&f.loop, &options);
}

static inline int fixture_teardown(void **state)
{
    (void)state;
    weir_http_client_destroy(f.client);
    weir_http_server_destroy(f.server);
    weir_loop_destroy(f.loop);
    return f.fake.live_bytes == 0 && f.fake.live == 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static inline void serve(const weir_http_server_options *options)
{
    assert_int_equal(weir_http_server_create(&f.server, f.loop, options), WEIR_OK);
    f.address = weir_http_server_address(f.server);
}

/* All that can happen without the clock moving, and nothing else. */
static inline void settle(void)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(weir_loop_dispatch(f.loop), WEIR_OK);
}

#define until(condition)                                                                           \
    do {                                                                                           \
        int steps = 0;                                                                             \
        while (!(condition) && steps++ < FIXTURE_STEPS)                                            \
            assert_int_equal(weir_loop_run_once(f.loop, 5 * MS), WEIR_OK);                         \
        assert_true(condition);                                                                    \
    } while (0)

static inline void advance_ms(uint64_t ms)
{
    settle();
    fake_env_advance_ms(&f.fake, ms);
    settle();
}

/* At most `more` descriptors beyond those that are open; -1 = as many as before. */
static inline void limit_descriptors(int more)
{
    static rlim_t before;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (more >= 0) {
        int const next = dup(STDOUT_FILENO);
        assert_int_equal(close(next), 0);
        before = limit.rlim_cur;
        limit.rlim_cur = (rlim_t)next;
        limit.rlim_cur += (rlim_t)more;
    } else {
        limit.rlim_cur = before;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ---- Raw sockets ---- */

static inline int raw_connect(void)
{
    struct sockaddr_in name;
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_port = htons(f.address.port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int const fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    f.got_size = 0;
    f.got_end = f.got_reset = false;
    return fd;
}

static inline int raw_listen(void)
{
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int const fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    char text[64];
    (void)snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(name.sin_port));
    assert_int_equal(weir_address_parse(&f.address, text), WEIR_OK);
    return fd;
}

static inline int raw_accept(int listener)
{
    int fd = -1;
    for (int i = 0; fd < 0 && i < FIXTURE_STEPS; i++) {
        assert_int_equal(weir_loop_run_once(f.loop, MS), WEIR_OK);
        fd = accept(listener, NULL, NULL);
    }
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    f.got_size = 0;
    f.got_end = f.got_reset = false;
    return fd;
}

static inline void raw_send(int fd, const char *text)
{
    size_t const size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

static inline void raw_close(int fd)
{
    assert_int_equal(close(fd), 0);
}

/* So that the peer sees a reset. */
static inline void raw_reset(int fd)
{
    struct linger const hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    raw_close(fd);
}

static inline void raw_read(int fd)
{
    ssize_t const size = recv(fd, f.got + f.got_size, FIXTURE_TEXT - 1 - f.got_size, 0);
    if (size > 0)
        f.got_size += (size_t)size;
    f.got_end |= size == 0;
    f.got_reset |= size < 0 && errno == ECONNRESET;
    f.got[f.got_size] = '\0';
}

static inline bool raw_has(int fd, const char *text)
{
    raw_read(fd);
    return strstr(f.got, text) != NULL;
}

static inline bool raw_ended(int fd)
{
    raw_read(fd);
    return f.got_end || f.got_reset;
}

/* All that the peer sends until it closes. */
static inline void raw_read_all(int fd)
{
    until(raw_ended(fd));
    assert_false(f.got_reset);
}

#define assert_got(expected)                                                                       \
    do {                                                                                           \
        assert_string_equal(f.got, expected);                                                      \
        f.got_size = 0;                                                                            \
        f.got[0] = '\0';                                                                           \
    } while (0)

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

#endif
