/* A loop on a chosen backend, on a clock that moves when told, and a trace of what it called. */
#ifndef WEIR_TEST_LOOP_FIXTURE_H
#define WEIR_TEST_LOOP_FIXTURE_H

#include "support/fake_env.h"

#include <weir/loop.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_loop_backend backend;
    weir_loop *loop;
    int ends[2]; /* A connected pair of sockets. */
    char trace[64];
} fixture;

static fixture f;
static weir_loop_backend tested;

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.backend = tested};
    f.fake.now_ns = 1000 * MS;
    f.env = fake_env_hooks(&f.fake);
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.backend = f.backend;
    options.env = &f.env;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, f.ends) != 0)
        return -1;
    return weir_loop_create(&f.loop, &options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_loop_destroy(f.loop);
    (void)close(f.ends[0]);
    (void)close(f.ends[1]);
    return f.fake.live_bytes == 0 && f.fake.live == 0 ? 0 : -1;
}

/* Something to hand to a callback that traces it. */
static inline void *mark(char letter)
{
    static char letters[128];
    letters[(int)letter] = letter;
    return &letters[(int)letter];
}

static inline void trace(char letter)
{
    size_t const size = strlen(f.trace);
    assert_true(size + 1 < sizeof f.trace);
    f.trace[size] = letter;
    f.trace[size + 1] = '\0';
}

static inline void send_byte(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static inline void dispatch(void)
{
    assert_int_equal(weir_loop_dispatch(f.loop), WEIR_OK);
}

static inline void mark_timer(uint64_t now_ns, void *user)
{
    assert_int_equal(now_ns, weir_loop_now_ns(f.loop));
    trace(*(const char *)user);
}

static inline weir_loop_timer *timer_at(uint64_t ms, char letter)
{
    weir_loop_timer *timer;
    assert_int_equal(weir_loop_timer_create(&timer, f.loop, mark_timer, mark(letter)), WEIR_OK);
    weir_loop_timer_set(timer, ms * MS);
    return timer;
}

typedef struct ticker {
    weir_loop_task *task;
    uint64_t next_ns;
    unsigned runs;
    bool wake, destroy;
} ticker;

static inline uint64_t tick(void *self, uint64_t now_ns)
{
    ticker *const t = self;
    assert_int_equal(now_ns, f.fake.now_ns);
    t->runs++;
    if (t->wake)
        weir_loop_task_wake(t->task);
    t->wake = false;
    if (t->destroy)
        weir_loop_task_destroy(t->task);
    return t->next_ns;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Runs the tests on every backend there is here. */
#define RUN_ON_EACH_BACKEND(tests)                                                                 \
    do {                                                                                           \
        weir_loop_backend const backends[] = LOOP_BACKENDS;                                        \
        int failed = 0;                                                                            \
        for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {                          \
            tested = backends[i];                                                                  \
            failed += cmocka_run_group_tests_name(tested == WEIR_LOOP_POLL ? "loop on poll"        \
                                                                           : "loop on epoll",      \
                                                  tests, NULL, NULL);                              \
        }                                                                                          \
        return failed;                                                                             \
    } while (0)

#if defined(__linux__)
#define LOOP_BACKENDS                                                                              \
    {                                                                                              \
        WEIR_LOOP_EPOLL, WEIR_LOOP_POLL                                                            \
    }
#else
#define LOOP_BACKENDS                                                                              \
    {                                                                                              \
        WEIR_LOOP_POLL                                                                             \
    }
#endif

#endif
