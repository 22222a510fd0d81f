/* What the four kinds promise alike: an order of choices, complete, and memory that is accounted. */
#include "support/hashed_members.h"

#include "balancer/hashing.h"

static const weir__hash_kind kinds[] = {WEIR__HASH_KETAMA, WEIR__HASH_MAGLEV, WEIR__HASH_RENDEZVOUS,
                                        WEIR__HASH_JUMP};
#define KINDS (sizeof kinds / sizeof *kinds)

static const weir__hash_sizes sizes = {.maglev = 251,
                                       .ketama_min = 0,
                                       .ketama_max = WEIR__KETAMA_MAX_SIZE};
static hashed_members members;
static fake_env fake;

static weir__hashing build(weir__hash_kind kind, size_t count)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__hashing hashing;
    assert_int_equal(weir__hashing_build(&hashing, &env, kind, &sizes, members.of, count), WEIR_OK);
    return hashing;
}

static void drop(weir__hashing *hashing)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__hashing_free(hashing, &env);
}

static void a_walk_begins_with_the_first_choice(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 20);
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir__hashing hashing = build(kinds[kind], 20);
        for (uint64_t hash = 0; hash < 1000; hash++) {
            weir__walk walk = weir__walk_begin(hash);
            assert_int_equal(weir__walk_next(&hashing, &walk), weir__hashing_first(&hashing, hash));
        }
        drop(&hashing);
    }
    assert_int_equal(fake.live_bytes, 0);
}

/* Whatever the kind finds: who has no point, no entry or no bucket is asked in the end. */
static void a_walk_asks_everyone_and_ends(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 300);
    members.of[1].usable = false;
    members.of[2].weight = 0;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir__hashing hashing = build(kinds[kind], 300);
        for (uint64_t hash = 0; hash < 100; hash++) {
            bool asked[300] = {false};
            size_t steps = 0, distinct = 0;
            weir__walk walk = weir__walk_begin(hash);
            for (uint32_t at; (at = weir__walk_next(&hashing, &walk)) != WEIR__NOBODY; steps++) {
                distinct += !asked[at];
                asked[at] = true;
            }
            assert_int_equal(distinct, 300);
            assert_true(steps <= 300 + WEIR__WALK_CHOICES);
            assert_int_equal(weir__walk_next(&hashing, &walk), WEIR__NOBODY);
        }
        drop(&hashing);
    }
}

/* Among ten, the first two different choices of 1,000 hashes make pairs of all sorts. */
static void the_second_choices_of_one_member_are_spread(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 10);
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir__hashing hashing = build(kinds[kind], 10);
        unsigned seconds[10] = {0}, from_4 = 0;
        for (uint64_t i = 0; i < 2000; i++) {
            uint64_t const hash = i * UINT64_C(0x9e3779b97f4a7c15);
            weir__walk walk = weir__walk_begin(hash);
            uint32_t second, first = weir__walk_next(&hashing, &walk);
            do
                second = weir__walk_next(&hashing, &walk);
            while (second == first);
            from_4 += first == 4;
            seconds[second] += first == 4;
        }
        for (uint32_t i = 0; i < 10; i++)
            assert_true(i == 4 ? seconds[i] == 0 : seconds[i] > 0 && seconds[i] < from_4 / 3);
        drop(&hashing);
    }
}

/* Where a table keeps what is not lost, the second choice is the first without the first. */
static void the_second_choice_is_who_would_serve_without_the_first(void **state)
{
    (void)state;
    static const weir__hash_kind faithful[] = {WEIR__HASH_KETAMA, WEIR__HASH_RENDEZVOUS};
    hashed_members_fill(&members, "m", 0, 20);
    for (size_t kind = 0; kind < 2; kind++) {
        weir__hashing all = build(faithful[kind], 20);
        members.of[3].usable = false;
        weir__hashing without = build(faithful[kind], 20);
        members.of[3].usable = true;
        for (uint64_t i = 0; i < 1000; i++) {
            uint64_t const hash = i * UINT64_C(0x9e3779b97f4a7c15);
            weir__walk walk = weir__walk_begin(hash);
            if (weir__walk_next(&all, &walk) == 3)
                assert_int_equal(weir__walk_next(&all, &walk), weir__hashing_first(&without, hash));
        }
        drop(&all);
        drop(&without);
    }
}

static void no_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 10);
    for (unsigned weighted = 0; weighted < 2; weighted++, members.of[0].weight = 2)
        for (size_t kind = 0; kind < KINDS; kind++) {
            int result = WEIR_ENOMEM;
            for (unsigned fail_at = 1; result != WEIR_OK; fail_at++) {
                fake = (fake_env){.fail_at = fail_at};
                weir_env const env = fake_env_hooks(&fake);
                weir__hashing hashing;
                result = weir__hashing_build(&hashing, &env, kinds[kind], &sizes, members.of, 10);
                assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
                assert_true(result == WEIR_OK ? fail_at > 1 : fake.live == 0);
                weir__hashing_free(&hashing, &env);
                assert_int_equal(fake.live_bytes, 0);
            }
        }
}

static void nothing_can_be_freed(void **state)
{
    (void)state;
    weir__hashing nothing = {.count = 0};
    drop(&nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_begins_with_the_first_choice),
        cmocka_unit_test(a_walk_asks_everyone_and_ends),
        cmocka_unit_test(the_second_choices_of_one_member_are_spread),
        cmocka_unit_test(the_second_choice_is_who_would_serve_without_the_first),
        cmocka_unit_test(no_memory_is_an_error_and_no_leak),
        cmocka_unit_test(nothing_can_be_freed),
    };
    return cmocka_run_group_tests_name("hashing", tests, NULL, NULL);
}
