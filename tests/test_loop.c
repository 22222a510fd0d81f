/* The loop: descriptors, posts, running, nesting, memory; on each of its backends. */
#include "support/loop_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

/* ---- Watches ---- */

static void mark_events(unsigned events, void *user)
{
    trace(*(const char *)user);
    trace((char)('0' + events));
}

static void tells_what_a_descriptor_is_ready_for(void **state)
{
    (void)state;
    weir_loop_watch *watch;
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, f.ends[0], WEIR_LOOP_READABLE,
                                            mark_events, mark('a')),
                     WEIR_OK);
    dispatch();
    assert_string_equal(f.trace, "");
    send_byte(f.ends[1]);
    dispatch();
    dispatch(); /* Level-triggered: not read, so told again. */
    assert_string_equal(f.trace, "a1a1");
    assert_int_equal(weir_loop_watch_set(watch, WEIR_LOOP_READABLE | WEIR_LOOP_WRITABLE), WEIR_OK);
    dispatch();
    assert_string_equal(f.trace, "a1a1a3");
    assert_int_equal(weir_loop_watch_set(watch, WEIR_LOOP_WRITABLE), WEIR_OK);
    dispatch();
    assert_string_equal(f.trace, "a1a1a3a2");
    assert_int_equal(weir_loop_watch_set(watch, 0), WEIR_OK);
    dispatch();
    assert_int_equal(weir_loop_watch_set(watch, 0), WEIR_OK);
    assert_string_equal(f.trace, "a1a1a3a2");
}

static void tells_of_a_hangup_next_to_what_is_waited_for(void **state)
{
    (void)state;
    weir_loop_watch *watch;
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, f.ends[0], WEIR_LOOP_READABLE,
                                            mark_events, mark('a')),
                     WEIR_OK);
    assert_int_equal(close(f.ends[1]), 0);
    f.ends[1] = -1;
    dispatch();
    assert_string_equal(f.trace, "a5");
    assert_int_equal(weir_loop_watch_set(watch, 0), WEIR_OK);
    dispatch();
    assert_string_equal(f.trace, "a5");
    f.ends[1] = dup(f.ends[0]);
}

static weir_loop_watch *pair[2];

static void destroy_both(unsigned events, void *user)
{
    (void)events;
    (void)user;
    trace('d');
    weir_loop_watch_destroy(pair[0]);
    weir_loop_watch_destroy(pair[1]);
}

static void a_watch_destroyed_in_a_callback_is_told_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        send_byte(f.ends[i]);
        assert_int_equal(weir_loop_watch_create(&pair[i], f.loop, f.ends[i], WEIR_LOOP_READABLE,
                                                destroy_both, NULL),
                         WEIR_OK);
    }
    dispatch();
    dispatch();
    assert_string_equal(f.trace, "d");
}

static void silence_both(unsigned events, void *user)
{
    (void)events;
    (void)user;
    trace('s');
    assert_int_equal(weir_loop_watch_set(pair[0], 0), WEIR_OK);
    assert_int_equal(weir_loop_watch_set(pair[1], 0), WEIR_OK);
}

static void a_watch_silenced_in_a_callback_is_told_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        send_byte(f.ends[i]);
        assert_int_equal(weir_loop_watch_create(&pair[i], f.loop, f.ends[i], WEIR_LOOP_READABLE,
                                                silence_both, NULL),
                         WEIR_OK);
    }
    dispatch();
    dispatch();
    assert_string_equal(f.trace, "s");
}

static unsigned told[100];

static void count_event(unsigned events, void *user)
{
    (void)events;
    ++*(unsigned *)user;
}

static void more_descriptors_than_a_batch_all_get_their_turn(void **state)
{
    (void)state;
    memset(told, 0, sizeof told);
    weir_loop_watch *watches[100];
    int fds[100];
    send_byte(f.ends[1]);
    for (int i = 0; i < 100; i++) {
        fds[i] = dup(f.ends[0]);
        assert_true(fds[i] >= 0);
        assert_int_equal(weir_loop_watch_create(&watches[i], f.loop, fds[i], WEIR_LOOP_READABLE,
                                                count_event, &told[i]),
                         WEIR_OK);
    }
    for (int i = 0; i < 4; i++)
        dispatch();
    for (int i = 0; i < 100; i++) {
        assert_true(told[i] > 0);
        weir_loop_watch_destroy(watches[i]);
        assert_int_equal(close(fds[i]), 0);
    }
}

static void watches_refuse_what_they_cannot_wait_for(void **state)
{
    (void)state;
    weir_loop_watch *watch = NULL;
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, -1, WEIR_LOOP_READABLE, count_event,
                                            f.trace),
                     WEIR_EINVAL);
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, f.ends[0], WEIR_LOOP_HANGUP,
                                            count_event, NULL),
                     WEIR_EINVAL);
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, f.ends[0], 0, NULL, NULL), WEIR_EINVAL);
    assert_null(watch);
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, f.ends[0], 0, count_event, NULL),
                     WEIR_OK);
    assert_int_equal(weir_loop_watch_set(watch, 8), WEIR_EINVAL);
    weir_loop_watch_destroy(watch);
    weir_loop_watch_destroy(NULL);
    if (f.backend == WEIR_LOOP_EPOLL) { /* A regular file is always ready: epoll has no such. */
        char path[] = "/tmp/weir-loop-XXXXXX";
        int const file = mkstemp(path);
        assert_true(file >= 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(weir_loop_watch_create(&watch, f.loop, file, WEIR_LOOP_READABLE,
                                                count_event, NULL),
                         WEIR_ESYSTEM);
        assert_null(watch);
        assert_int_equal(close(file), 0);
    }
}

/* ---- Posts, run, stop ---- */

static void mark_post(void *user)
{
    trace(*(const char *)user);
    if (*(const char *)user == 'p')
        assert_int_equal(weir_loop_post(f.loop, mark_post, mark('q')), WEIR_OK);
}

static void posts_are_called_in_order(void **state)
{
    (void)state;
    assert_int_equal(weir_loop_post(f.loop, mark_post, mark('p')), WEIR_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(weir_loop_post(f.loop, mark_post, mark('-')), WEIR_OK);
    dispatch();
    assert_string_equal(f.trace, "p----------------------------------------");
    dispatch(); /* What a posted call posts comes behind all that were there. */
    assert_int_equal(f.trace[41], 'q');
    dispatch();
    assert_int_equal(f.trace[42], '\0');
}

static void stop_it(uint64_t now_ns, void *user)
{
    (void)now_ns;
    (void)user;
    assert_int_equal(weir_loop_dispatch(f.loop), WEIR_EBUSY);
    assert_int_equal(weir_loop_run(f.loop), WEIR_EBUSY);
    weir_loop_stop(f.loop);
}

static void runs_until_stopped(void **state)
{
    (void)state;
    weir_loop_timer *timer;
    assert_int_equal(weir_loop_timer_create(&timer, f.loop, stop_it, NULL), WEIR_OK);
    weir_loop_timer_set(timer, 0);
    assert_int_equal(weir_loop_run(f.loop), WEIR_OK);
    weir_loop_stop(f.loop); /* Before the run: it ends at once. */
    assert_int_equal(weir_loop_run(f.loop), WEIR_OK);
    (void)timer_at(1, 't');
    weir_loop_timer_set(timer, 0);
    assert_int_equal(weir_loop_run(f.loop), WEIR_OK); /* A stop counts once. */
    assert_string_equal(f.trace, "t");
}

static void run_once_waits_no_longer_than_told(void **state)
{
    (void)state;
    (void)timer_at(5000, 'a'); /* Far away, on a clock that stands still. */
    assert_int_equal(weir_loop_run_once(f.loop, 1), WEIR_OK);
    assert_string_equal(f.trace, "");
    f.fake.now_ns = 5000 * MS; /* Due: no wait at all, whatever the limit. */
    assert_int_equal(weir_loop_run_once(f.loop, WEIR_NEVER), WEIR_OK);
    assert_string_equal(f.trace, "a");
    send_byte(f.ends[1]);
    weir_loop_watch *watch;
    assert_int_equal(weir_loop_watch_create(&watch, f.loop, f.ends[0], WEIR_LOOP_READABLE,
                                            mark_events, mark('w')),
                     WEIR_OK);
    assert_int_equal(weir_loop_run_once(f.loop, WEIR_NEVER), WEIR_OK);
    assert_string_equal(f.trace, "aw1");
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal_number)
{
    (void)signal_number;
    alarms++;
}

static void a_signal_only_ends_the_wait(void **state)
{
    (void)state;
    alarms = 0;
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = count_alarm;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    struct itimerval const soon = {.it_value = {.tv_usec = 1000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    while (alarms == 0)
        assert_int_equal(weir_loop_run_once(f.loop, 10000 * MS), WEIR_OK);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static pthread_t ran_on;

static void remember_thread(void *user)
{
    ran_on = pthread_self();
    weir_loop_stop(user);
}

static void runs_on_a_thread_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(weir_loop_join(f.loop), WEIR_EINVAL);
    for (int i = 0; i < 2; i++) { /* And once more. */
        assert_int_equal(weir_loop_start(f.loop), WEIR_OK);
        assert_int_equal(weir_loop_start(f.loop), WEIR_EBUSY);
        assert_int_equal(weir_loop_post(f.loop, remember_thread, f.loop), WEIR_OK);
        assert_int_equal(weir_loop_join(f.loop), WEIR_OK);
        assert_false(pthread_equal(ran_on, pthread_self()));
    }
    assert_int_equal(weir_loop_start(f.loop), WEIR_OK);
    weir_loop_stop(f.loop);
    assert_int_equal(weir_loop_join(f.loop), WEIR_OK);
}

/* ---- Nesting ---- */

static void its_descriptor_tells_when_to_dispatch(void **state)
{
    (void)state;
    int const fd = weir_loop_fd(f.loop);
    if (f.backend == WEIR_LOOP_POLL) {
        assert_int_equal(fd, -1);
        return;
    }
    struct pollfd outer = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&outer, 1, 0), 0);
    assert_int_equal(weir_loop_post(f.loop, mark_post, mark('n')), WEIR_OK);
    assert_int_equal(poll(&outer, 1, 0), 1);
    dispatch();
    assert_string_equal(f.trace, "n");
    assert_int_equal(poll(&outer, 1, 0), 0);
    (void)timer_at(1001, 't');
    assert_int_equal(weir_loop_next_ns(f.loop), 1001 * MS);
}

static void dispatch_inner(unsigned events, void *user)
{
    (void)events;
    assert_int_equal(weir_loop_dispatch(user), WEIR_OK);
}

static void nests_in_another_loop(void **state)
{
    (void)state;
    if (f.backend == WEIR_LOOP_POLL)
        return;
    weir_loop *outer;
    weir_loop_watch *watch;
    assert_int_equal(weir_loop_create(&outer, NULL), WEIR_OK);
    assert_int_equal(weir_loop_watch_create(&watch, outer, weir_loop_fd(f.loop), WEIR_LOOP_READABLE,
                                            dispatch_inner, f.loop),
                     WEIR_OK);
    assert_int_equal(weir_loop_post(f.loop, mark_post, mark('i')), WEIR_OK);
    assert_int_equal(weir_loop_run_once(outer, WEIR_NEVER), WEIR_OK);
    assert_string_equal(f.trace, "i");
    weir_loop_destroy(outer); /* With its watch. */
}

/* ---- Creation and memory ---- */

static void create_refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_loop *loop;
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.backend = (weir_loop_backend)7;
    assert_int_equal(weir_loop_create(&loop, &options), WEIR_EINVAL);
    assert_null(loop);
    options = (weir_loop_options){0};
    assert_int_equal(weir_loop_create(&loop, &options), WEIR_EINVAL);
    options = (weir_loop_options)WEIR_LOOP_OPTIONS_INIT;
    weir_env bad = WEIR_ENV_INIT;
    bad.struct_size = 1;
    options.env = &bad;
    assert_int_equal(weir_loop_create(&loop, &options), WEIR_EINVAL);
    weir_loop_destroy(NULL);
}

static void create_tells_when_there_are_no_descriptors(void **state)
{
    (void)state;
    struct rlimit limit, before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int const next = dup(STDOUT_FILENO);
    assert_int_equal(close(next), 0);
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.backend = f.backend;
    options.env = &f.env;
    for (int more = 0; more < 2; more++) { /* It takes two. */
        weir_loop *loop;
        limit = before;
        limit.rlim_cur = (rlim_t)next;
        limit.rlim_cur += (rlim_t)more;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(weir_loop_create(&loop, &options), WEIR_ESYSTEM);
        assert_int_equal(errno, EMFILE);
        assert_null(loop);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
}

/* All that allocates, once; the first failure of any is the result. */
static int use_everything(const weir_env *env)
{
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.backend = f.backend;
    options.env = env;
    weir_loop *loop;
    weir_loop_watch *watch = NULL;
    weir_loop_timer *timer = NULL;
    weir_loop_task *task = NULL;
    ticker t = {.next_ns = WEIR_NEVER};
    int result = weir_loop_create(&loop, &options);
    if (result != WEIR_OK) {
        assert_null(loop);
        return result;
    }
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dup(f.ends[0]);
        if (result == WEIR_OK)
            result =
                weir_loop_watch_create(&watch, loop, fds[i], WEIR_LOOP_READABLE, count_event, NULL);
    }
    if (result == WEIR_OK)
        result = weir_loop_timer_create(&timer, loop, mark_timer, NULL);
    if (result == WEIR_OK)
        result = weir_loop_task_create(&task, loop, (weir_task){tick, &t});
    for (int i = 0; result == WEIR_OK && i < 40; i++)
        result = weir_loop_post(loop, mark_post, NULL);
    if (result == WEIR_OK)
        assert_true(watch != NULL && timer != NULL && task != NULL);
    weir_loop_destroy(loop); /* With all that is on it. */
    for (int i = 0; i < 20; i++)
        (void)close(fds[i]);
    return result;
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    int result;
    while ((result = use_everything(&env)) == WEIR_ENOMEM) {
        assert_int_equal(fake.live_bytes, 0);
        assert_int_equal(fake.live, 0);
        fake.calls = 0;
        assert_true(++fake.fail_at < 100);
    }
    assert_int_equal(result, WEIR_OK);
    assert_int_equal(fake.live_bytes, 0);
    assert_true(fake.fail_at > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_what_a_descriptor_is_ready_for),
        TEST(tells_of_a_hangup_next_to_what_is_waited_for),
        TEST(a_watch_destroyed_in_a_callback_is_told_no_more),
        TEST(a_watch_silenced_in_a_callback_is_told_no_more),
        TEST(more_descriptors_than_a_batch_all_get_their_turn),
        TEST(watches_refuse_what_they_cannot_wait_for),
        TEST(posts_are_called_in_order),
        TEST(runs_until_stopped),
        TEST(run_once_waits_no_longer_than_told),
        TEST(a_signal_only_ends_the_wait),
        TEST(runs_on_a_thread_of_its_own),
        TEST(its_descriptor_tells_when_to_dispatch),
        TEST(nests_in_another_loop),
        TEST(create_refuses_options_out_of_range),
        TEST(create_tells_when_there_are_no_descriptors),
        TEST(survives_every_failed_allocation),
    };
    RUN_ON_EACH_BACKEND(tests);
}
