/* A world under the test's thumb: clocks that move when told, an allocator that counts and can
 * fail, known randomness, and a sleep that moves the clock. Pass fake_env_hooks() wherever a
 * weir_env goes. */
#ifndef WEIR_TEST_FAKE_ENV_H
#define WEIR_TEST_FAKE_ENV_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <weir/base.h>

typedef struct fake_env {
    uint64_t now_ns;
    uint64_t wall_ns;
    uint64_t random; /* The next value; each draw adds random_step. */
    uint64_t random_step;
    uint64_t slept_ns; /* In all. */
    size_t live_bytes;
    unsigned live;    /* Allocations not yet freed. */
    unsigned calls;   /* Allocations asked for so far. */
    unsigned fail_at; /* The n-th one fails; 0 = none. */
} fake_env;

static uint64_t fake_now_ns(void *user)
{
    return ((fake_env *)user)->now_ns;
}

static uint64_t fake_wall_ns(void *user)
{
    return ((fake_env *)user)->wall_ns;
}

static uint64_t fake_random(void *user)
{
    fake_env *fake = user;
    uint64_t const drawn = fake->random;
    fake->random += fake->random_step;
    return drawn;
}

static void fake_sleep_ns(uint64_t ns, void *user)
{
    fake_env *fake = user;
    fake->now_ns += ns;
    fake->slept_ns += ns;
}

static void *fake_realloc(void *ptr, size_t old_size, size_t new_size, void *user)
{
    fake_env *fake = user;
    if (new_size > 0 && ++fake->calls == fake->fail_at)
        return NULL;
    fake->live_bytes += new_size - old_size;
    fake->live += (ptr == NULL && new_size > 0);
    fake->live -= (ptr != NULL && new_size == 0);
    if (new_size > 0)
        return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static inline weir_env fake_env_hooks(fake_env *fake)
{
    weir_env env = WEIR_ENV_INIT;
    env.realloc_fn = fake_realloc;
    env.now_ns = fake_now_ns;
    env.wall_ns = fake_wall_ns;
    env.random = fake_random;
    env.sleep_ns = fake_sleep_ns;
    env.user = fake;
    return env;
}

static inline void fake_env_advance_ms(fake_env *fake, uint64_t ms)
{
    fake->now_ns += ms * 1000000;
}

#endif
