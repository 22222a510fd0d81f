/* The ring, and the outbox that tells events from it. */
#include "support/fake_env.h"

#include "base/outbox.h"

static void gives_back_what_went_in_first(void **state)
{
    (void)state;
    fake_env fake = {0};
    weir_env const env = fake_env_hooks(&fake);
    weir__ring ring;
    assert_int_equal(weir__ring_init(&ring, &env, sizeof(int), 3), WEIR_OK);
    int out = 0;
    assert_false(weir__ring_pop(&ring, &out));
    /* Every fill level at every place of the head. */
    int in = 0;
    int expected = 0;
    for (int round = 0; round < 12; round++) {
        int const fill = round % 4;
        for (int i = 0; i < fill; i++, in++)
            assert_true(weir__ring_push(&ring, &in));
        if (fill == 3)
            assert_false(weir__ring_push(&ring, &in));
        for (int i = 0; i < fill; i++, expected++) {
            assert_true(weir__ring_pop(&ring, &out));
            assert_int_equal(out, expected);
        }
        assert_false(weir__ring_pop(&ring, &out));
    }
    weir__ring_free(&ring, &env);
    assert_int_equal(fake.live_bytes, 0);
}

static void no_memory_makes_no_ring(void **state)
{
    (void)state;
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    weir__ring ring;
    assert_int_equal(weir__ring_init(&ring, &env, 8, 4), WEIR_ENOMEM);
    assert_int_equal(weir__ring_init(&ring, &env, 8, SIZE_MAX / 4), WEIR_ENOMEM);
    weir__outbox outbox;
    fake.fail_at = 2;
    assert_int_equal(weir__outbox_init(&outbox, &env, 8, 4), WEIR_ENOMEM);
    assert_int_equal(fake.live_bytes, 0);
}

typedef struct teller {
    fake_env fake;
    weir_env env;
    pthread_mutex_t lock;
    weir__outbox outbox;
    int told[8];
    int count;
    bool nested;
} teller;

static int setup(void **state)
{
    static teller t;
    t = (teller){.count = 0};
    t.env = fake_env_hooks(&t.fake);
    pthread_mutex_init(&t.lock, NULL);
    *state = &t;
    return weir__outbox_init(&t.outbox, &t.env, sizeof(int), 2);
}

static int teardown(void **state)
{
    teller *const t = *state;
    weir__outbox_free(&t->outbox, &t->env);
    pthread_mutex_destroy(&t->lock);
    return t->fake.live_bytes == 0 ? 0 : -1;
}

static void say(teller *t, const int *events, int count);

/* Takes the lock, so one that were still held would hang the test. */
static void tell(const void *event, void *user)
{
    teller *const t = user;
    t->told[t->count++] = *(const int *)event;
    if (!t->nested) {
        t->nested = true;
        say(t, (const int[]){30}, 1);
        assert_int_equal(t->count, 1); /* What a callback adds is told after it returns. */
    }
}

static void say(teller *t, const int *events, int count)
{
    int room;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < count; i++)
        weir__outbox_add(&t->outbox, &events[i]);
    weir__outbox_unlock(&t->outbox, &t->lock, &room, tell, t);
}

static void tells_in_order_and_outside_the_lock(void **state)
{
    teller *const t = *state;
    say(t, NULL, 0);
    assert_int_equal(t->count, 0);
    say(t, (const int[]){10, 20}, 2);
    assert_int_equal(t->count, 3);
    assert_int_equal(t->told[0], 10);
    assert_int_equal(t->told[1], 20);
    assert_int_equal(t->told[2], 30);
    assert_int_equal(t->outbox.dropped, 0);
}

static void drops_and_counts_the_newest_when_full(void **state)
{
    teller *const t = *state;
    t->nested = true;
    say(t, (const int[]){1, 2, 3}, 3);
    assert_int_equal(t->count, 2);
    assert_int_equal(t->told[1], 2);
    assert_int_equal(t->outbox.dropped, 1);
    say(t, (const int[]){4}, 1);
    assert_int_equal(t->told[2], 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_went_in_first),
        cmocka_unit_test(no_memory_makes_no_ring),
        cmocka_unit_test_setup_teardown(tells_in_order_and_outside_the_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(drops_and_counts_the_newest_when_full, setup, teardown),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
