/* Numbers of threads: each has its own, the lowest that is free, and gives it back when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/shard.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CROWD 20

static pthread_barrier_t together;

static void *take(void *number)
{
    *(uint32_t *)number = weir__shard_get();
    return NULL;
}

static void *take_together(void *number)
{
    (void)take(number);
    (void)pthread_barrier_wait(&together);
    assert_int_equal(weir__shard_get(), *(uint32_t *)number);
    return NULL;
}

static uint32_t of_another_thread(void)
{
    uint32_t number = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, take, &number), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return number;
}

static void threads_at_once_have_the_lowest_numbers_each_its_own(void **state)
{
    (void)state;
    pthread_t threads[CROWD];
    uint32_t numbers[CROWD];
    bool seen[CROWD + 2] = {false};
    seen[weir__shard_get()] = true;
    assert_int_equal(pthread_barrier_init(&together, NULL, CROWD), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_together, &numbers[i]), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&together);
    for (int i = 0; i < CROWD; i++) {
        assert_in_range(numbers[i], 1, CROWD + 1);
        assert_false(seen[numbers[i]]);
        seen[numbers[i]] = true;
    }
}

static void a_number_goes_to_a_later_thread(void **state)
{
    (void)state;
    (void)weir__shard_get();
    uint32_t const first = of_another_thread();
    assert_int_not_equal(first, weir__shard_get());
    for (int i = 0; i < 100; i++)
        assert_int_equal(of_another_thread(), first);
}

static pthread_key_t late;
static uint32_t late_number;

static void ask_late(void *again)
{
    late_number = weir__shard_get();
    if (again == &late) /* Once more, when all others have run. */
        (void)pthread_setspecific(late, &late_number);
}

static void *ask_at_the_end(void *unused)
{
    (void)pthread_setspecific(late, &late);
    (void)weir__shard_get();
    return unused;
}

static void a_thread_that_is_about_to_end_has_none_any_more(void **state)
{
    (void)state;
    pthread_t thread;
    (void)weir__shard_get();
    assert_int_equal(pthread_key_create(&late, ask_late), 0);
    assert_int_equal(pthread_create(&thread, NULL, ask_at_the_end, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)pthread_key_delete(late);
    assert_int_equal(late_number, WEIR__SHARD_NONE);
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *hold(void *number)
{
    (void)take(number);
    (void)pthread_barrier_wait(&together);
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    return NULL;
}

/* ThreadSanitizer does not let a child of many threads have any. */
#if defined(__SANITIZE_THREAD__)
#define CHILD_THREADS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_THREADS 0
#endif
#endif
#if !defined(CHILD_THREADS)
#define CHILD_THREADS 1
#endif

static int check_child(uint32_t own, uint32_t other)
{
    bool const kept = weir__shard_get() == own;
    return kept && (!CHILD_THREADS || of_another_thread() == other) ? 0 : 1;
}

static void a_child_has_the_numbers_of_all_threads_but_its_own(void **state)
{
    (void)state;
    pthread_t thread;
    uint32_t const own = weir__shard_get();
    uint32_t other = 0;
    int status = -1;
    assert_int_equal(pthread_barrier_init(&together, NULL, 2), 0);
    pthread_mutex_lock(&held);
    assert_int_equal(pthread_create(&thread, NULL, hold, &other), 0);
    (void)pthread_barrier_wait(&together);
    (void)fflush(NULL);
    pid_t const child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(check_child(own, other));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_not_equal(of_another_thread(), other); /* Here, it is still taken. */
    pthread_mutex_unlock(&held);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)pthread_barrier_destroy(&together);
}

#define MANY (WEIR__SHARDS + 3)

static void there_are_only_so_many(void **state)
{
    (void)state;
    static pthread_t threads[MANY];
    static uint32_t numbers[MANY];
    pthread_attr_t small;
    unsigned none = 0, started = 0;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 128 << 10), 0);
    assert_int_equal(pthread_barrier_init(&together, NULL, 2), 0);
    pthread_mutex_lock(&held);
    for (; started < MANY; started++) {
        if (pthread_create(&threads[started], &small, hold, &numbers[started]) != 0)
            break; /* This machine does not allow so many. */
        (void)pthread_barrier_wait(&together);
    }
    pthread_mutex_unlock(&held);
    for (unsigned i = 0; i < started; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        none += numbers[i] == WEIR__SHARD_NONE;
    }
    (void)pthread_barrier_destroy(&together);
    (void)pthread_attr_destroy(&small);
    assert_int_equal(none, started == MANY ? 4 : 0); /* This thread has one, too. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_at_once_have_the_lowest_numbers_each_its_own),
        cmocka_unit_test(a_number_goes_to_a_later_thread),
        cmocka_unit_test(a_thread_that_is_about_to_end_has_none_any_more),
        cmocka_unit_test(a_child_has_the_numbers_of_all_threads_but_its_own),
        cmocka_unit_test(there_are_only_so_many),
    };
    return cmocka_run_group_tests_name("shard", tests, NULL, NULL);
}
