/* The heap of deadlines: order, ties, moves and removals against a plain search. */
#include "support/fake_env.h"

#include "base/heap.h"
#include "base/rng.h"

#define NODES 64

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir__heap heap;
    weir__heap_node nodes[NODES];
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {0}};
    f.env = fake_env_hooks(&f.fake);
    weir__heap_init(&f.heap, &f.env);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir__heap_free(&f.heap);
    return f.fake.live_bytes == 0 ? 0 : -1;
}

static void set(int node, uint64_t at_ns)
{
    assert_int_equal(weir__heap_set(&f.heap, &f.nodes[node], at_ns), WEIR_OK);
}

/* Takes the first out and tells which it was; -1 when empty. */
static int pop(void)
{
    weir__heap_node *const first = weir__heap_first(&f.heap);
    if (first == NULL)
        return -1;
    weir__heap_remove(&f.heap, first);
    assert_int_equal(first->place, 0);
    return (int)(first - f.nodes);
}

static void an_empty_heap_is_never_due(void **state)
{
    (void)state;
    assert_null(weir__heap_first(&f.heap));
    assert_true(weir__heap_next_ns(&f.heap) == WEIR_NEVER);
    weir__heap_remove(&f.heap, &f.nodes[0]);
    assert_int_equal(f.heap.count, 0);
}

static void the_earliest_comes_first(void **state)
{
    (void)state;
    set(0, 30);
    set(1, 10);
    set(2, 20);
    assert_true(weir__heap_next_ns(&f.heap) == 10);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 2);
    assert_int_equal(pop(), 0);
    assert_int_equal(pop(), -1);
}

static void equal_times_keep_the_order_in_which_they_were_set(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set(i, 7);
    set(0, 7); /* Set again: now the last. */
    for (int i = 1; i < NODES; i++)
        assert_int_equal(pop(), i);
    assert_int_equal(pop(), 0);
}

static void equal_times_can_be_ranked(void **state)
{
    (void)state;
    static const uint64_t ranks[] = {UINT64_MAX, 3, 1, 2, 0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(weir__heap_set_ranked(&f.heap, &f.nodes[i], 7, ranks[i]), WEIR_OK);
    static const int expected[] = {4, 2, 3, 1, 0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(pop(), expected[i]);
}

static void a_node_can_be_moved_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        set(i, 100 + (uint64_t)i);
    set(9, 1);
    assert_int_equal(weir__heap_first(&f.heap) - f.nodes, 9);
    set(9, 1000);
    assert_int_equal(f.heap.count, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pop(), i);
}

/* Before and after each step the first is what a search over all finds. */
static void any_mix_of_steps_keeps_the_earliest_first(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 3);
    for (int step = 0; step < 20000; step++) {
        int const node = (int)weir__rng_below(&rng, NODES);
        if (weir__rng_below(&rng, 3) > 0)
            set(node, weir__rng_below(&rng, 40));
        else
            weir__heap_remove(&f.heap, &f.nodes[node]);
        const weir__heap_node *first = NULL;
        size_t count = 0;
        for (int i = 0; i < NODES; i++) {
            const weir__heap_node *const at = &f.nodes[i];
            if (at->place == 0)
                continue;
            count++;
            if (first == NULL || at->at_ns < first->at_ns ||
                (at->at_ns == first->at_ns && at->order < first->order))
                first = at;
        }
        assert_int_equal(f.heap.count, count);
        assert_ptr_equal(weir__heap_first(&f.heap), first);
    }
}

static void a_failed_allocation_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        f.fake.fail_at = f.fake.calls + 1;
        if (weir__heap_set(&f.heap, &f.nodes[i], 5)) {
            assert_int_equal(f.nodes[i].place, 0);
            assert_int_equal(f.heap.count, i);
            f.fake.fail_at = 0;
        }
        set(i, 5);
    }
    assert_int_equal(weir__heap_reserve(&f.heap, SIZE_MAX), WEIR_ENOMEM);
    assert_int_equal(weir__heap_reserve(&f.heap, SIZE_MAX / 4), WEIR_ENOMEM);
    assert_int_equal(f.heap.count, NODES);
}

static void reserved_room_cannot_fail(void **state)
{
    (void)state;
    assert_int_equal(weir__heap_reserve(&f.heap, NODES), WEIR_OK);
    f.fake.fail_at = f.fake.calls + 1;
    for (int i = 0; i < NODES; i++)
        set(i, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_heap_is_never_due),
        TEST(the_earliest_comes_first),
        TEST(equal_times_keep_the_order_in_which_they_were_set),
        TEST(equal_times_can_be_ranked),
        TEST(a_node_can_be_moved_both_ways),
        TEST(any_mix_of_steps_keeps_the_earliest_first),
        TEST(a_failed_allocation_changes_nothing),
        TEST(reserved_room_cannot_fail),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
