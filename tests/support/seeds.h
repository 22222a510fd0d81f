/*
 * Runs a property in many worlds, one a seed. WEIR_SEEDS=n runs n of them; when one fails, its
 * seed is printed, and WEIR_SEED=n replays that one alone.
 */
#ifndef WEIR_TEST_SEEDS_H
#define WEIR_TEST_SEEDS_H

#include "support/fake_env.h"

#include <inttypes.h>
#include <stdlib.h>

static uint64_t seeds_current;

static inline void seeds_check(bool holds, const char *what, const char *file, int line)
{
    if (!holds)
        fail_msg("%s:%d: %s; replay with WEIR_SEED=%" PRIu64, file, line, what, seeds_current);
}

/* For use at any depth of a property. */
#define SEED_CHECK(condition) seeds_check(condition, #condition, __FILE__, __LINE__)

static inline void seeds_run(uint64_t count, void (*property)(uint64_t seed))
{
    const char *const only = getenv("WEIR_SEED");
    const char *const many = getenv("WEIR_SEEDS");
    uint64_t first = 1;
    if (only != NULL) {
        first = strtoull(only, NULL, 10);
        count = 1;
    } else if (many != NULL) {
        count = strtoull(many, NULL, 10);
    }
    for (seeds_current = first; seeds_current - first < count; seeds_current++)
        property(seeds_current);
}

#endif
