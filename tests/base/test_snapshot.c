/* Snapshots: what a reader holds stays, what nobody can hold goes, threads and forks included. */
#include "support/fake_env.h"

#include "base/snapshot.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct number {
    weir__version version;
    int value;
    bool *freed; /* Set when the version is freed. */
} number;

static weir__snapshot snapshot;
static weir_env env;

static void number_free(weir__version *version, void *owner)
{
    assert_ptr_equal(owner, &env);
    number *const n = (number *)version;
    if (n->freed != NULL)
        *n->freed = true;
    weir__free(&env, n, sizeof *n);
}

static weir__version *number_new(int value, bool *freed)
{
    number *const n = weir__alloc(&env, sizeof *n);
    assert_non_null(n);
    n->value = value;
    n->freed = freed;
    return &n->version;
}

static fake_env fake;

static int setup(void **state)
{
    (void)state;
    fake = (fake_env){.now_ns = 0};
    weir_env const hooks = fake_env_hooks(&fake);
    weir__snapshot_init(&snapshot, number_free, &env);
    return weir__env_load(&env, &hooks);
}

static int teardown(void **state)
{
    (void)state;
    weir__snapshot_free(&snapshot);
    return fake.live == 0 ? 0 : -1;
}

static int current_value(void)
{
    return ((number *)weir__snapshot_get(&snapshot))->value;
}

static void there_is_nothing_before_the_first_version(void **state)
{
    (void)state;
    assert_null(weir__snapshot_get(&snapshot));
    weir__snapshot_sweep(&snapshot);
}

static void a_version_nobody_reads_is_freed_when_replaced(void **state)
{
    (void)state;
    bool freed = false;
    weir__snapshot_set(&snapshot, number_new(1, &freed));
    assert_false(freed);
    weir__snapshot_set(&snapshot, number_new(2, NULL));
    assert_true(freed);
    assert_int_equal(current_value(), 2);
}

static void a_version_being_read_stays_until_the_outermost_section_ends(void **state)
{
    (void)state;
    bool freed = false;
    weir__snapshot_set(&snapshot, number_new(1, &freed));
    weir__reader *const outer = weir__read_begin();
    number *const held = weir__snapshot_get(&snapshot);
    weir__reader *const inner = weir__read_begin();
    weir__snapshot_set(&snapshot, number_new(2, NULL));
    assert_int_equal(current_value(), 2);
    weir__read_end(inner);
    weir__snapshot_sweep(&snapshot);
    assert_false(freed);
    assert_int_equal(held->value, 1);
    weir__read_end(outer);
    weir__snapshot_sweep(&snapshot);
    assert_true(freed);
}

static void a_reader_holds_back_only_what_it_may_have_found(void **state)
{
    (void)state;
    bool freed[3] = {false};
    weir__snapshot_set(&snapshot, number_new(0, &freed[0]));
    weir__snapshot_set(&snapshot, number_new(1, &freed[1]));
    assert_true(freed[0]);
    weir__reader *const reader = weir__read_begin();
    weir__snapshot_set(&snapshot, number_new(2, &freed[2]));
    weir__snapshot_set(&snapshot, number_new(3, NULL));
    assert_false(freed[1]);
    weir__read_end(reader);
    weir__reader *const later = weir__read_begin();
    weir__snapshot_sweep(&snapshot);
    assert_true(freed[1] && freed[2]);
    weir__read_end(later);
}

typedef struct visit {
    pthread_barrier_t began, leave;
    bool ends_inside;
} visit;

static void *visitor(void *arg)
{
    visit *const v = arg;
    weir__reader *const reader = weir__read_begin();
    pthread_barrier_wait(&v->began);
    pthread_barrier_wait(&v->leave);
    if (!v->ends_inside)
        weir__read_end(reader);
    return NULL;
}

static void thread_that_reads(void *(*body)(void *), bool ends_inside)
{
    bool freed = false;
    visit v = {.ends_inside = ends_inside};
    pthread_t thread;
    assert_int_equal(pthread_barrier_init(&v.began, NULL, 2), 0);
    assert_int_equal(pthread_barrier_init(&v.leave, NULL, 2), 0);
    weir__snapshot_set(&snapshot, number_new(1, &freed));
    assert_int_equal(pthread_create(&thread, NULL, body, &v), 0);
    pthread_barrier_wait(&v.began);
    weir__snapshot_set(&snapshot, number_new(2, NULL));
    assert_false(freed);
    pthread_barrier_wait(&v.leave);
    assert_int_equal(pthread_join(thread, NULL), 0);
    weir__snapshot_sweep(&snapshot);
    assert_true(freed);
    pthread_barrier_destroy(&v.began);
    pthread_barrier_destroy(&v.leave);
}

static void a_reader_in_another_thread_is_waited_for(void **state)
{
    (void)state;
    thread_that_reads(visitor, false);
}

static void a_thread_that_is_gone_holds_nothing(void **state)
{
    (void)state;
    thread_that_reads(visitor, true);
}

/* In the child, the reader of the other thread is gone: it must neither hold nor be touched. */
static void a_child_knows_of_its_own_thread_alone(void **state)
{
    (void)state;
    visit v = {.ends_inside = false};
    pthread_t thread;
    bool freed = false;
    assert_int_equal(pthread_barrier_init(&v.began, NULL, 2), 0);
    assert_int_equal(pthread_barrier_init(&v.leave, NULL, 2), 0);
    weir__snapshot_set(&snapshot, number_new(1, &freed));
    assert_int_equal(pthread_create(&thread, NULL, visitor, &v), 0);
    pthread_barrier_wait(&v.began);
    weir__reader *const reader = weir__read_begin();
    pid_t const child = fork();
    if (child == 0) {
        weir__snapshot_set(&snapshot, number_new(2, NULL));
        bool const held = !freed;
        weir__read_end(reader);
        weir__snapshot_sweep(&snapshot);
        _exit(held && freed ? 0 : 1);
    }
    weir__read_end(reader);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pthread_barrier_wait(&v.leave);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&v.began);
    pthread_barrier_destroy(&v.leave);
}

static void a_mark_is_passed_when_earlier_sections_are_over(void **state)
{
    (void)state;
    weir__reader *const reader = weir__read_begin();
    uint64_t const mark = weir__grace_mark();
    assert_true(weir__grace_horizon() < mark);
    weir__read_end(reader);
    weir__reader *const later = weir__read_begin();
    assert_true(weir__grace_horizon() >= mark);
    weir__read_end(later);
}

/* As on a system without membarrier(2), or in a sandbox that has taken it away. */
static void without_membarrier_readers_hold_versions_alike(void **state)
{
    bool const before = atomic_exchange(&weir__reader_fences, true);
    a_version_being_read_stays_until_the_outermost_section_ends(state);
    thread_that_reads(visitor, false);
    atomic_store(&weir__reader_fences, before);
}

static void *stray_visitor(void *arg)
{
    weir__reader_self.state = WEIR__READER_STRAY; /* As if there were no room for its key. */
    weir__reader *const outer = weir__read_begin();
    weir__reader *const inner = weir__read_begin();
    weir__read_end(inner);
    visit *const v = arg;
    pthread_barrier_wait(&v->began);
    pthread_barrier_wait(&v->leave);
    weir__read_end(outer);
    return NULL;
}

static void a_thread_whose_end_cannot_be_watched_is_waited_for_too(void **state)
{
    (void)state;
    thread_that_reads(stray_visitor, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there_is_nothing_before_the_first_version),
        TEST(a_version_nobody_reads_is_freed_when_replaced),
        TEST(a_version_being_read_stays_until_the_outermost_section_ends),
        TEST(a_reader_holds_back_only_what_it_may_have_found),
        TEST(a_reader_in_another_thread_is_waited_for),
        TEST(a_thread_that_is_gone_holds_nothing),
        TEST(a_child_knows_of_its_own_thread_alone),
        TEST(without_membarrier_readers_hold_versions_alike),
        TEST(a_thread_whose_end_cannot_be_watched_is_waited_for_too),
        TEST(a_mark_is_passed_when_earlier_sections_are_over),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
