/* Members for hash tables: keys "<prefix><number>", weight 1. */
#ifndef WEIR_TEST_HASHED_MEMBERS_H
#define WEIR_TEST_HASHED_MEMBERS_H

#include "support/fake_env.h"

#include "balancer/hashed.h"

#include <stdio.h>
#include <string.h>

#define HASHED_MEMBERS_MAX 1024

typedef struct hashed_members {
    weir__hashed of[HASHED_MEMBERS_MAX];
    char keys[HASHED_MEMBERS_MAX][24];
} hashed_members;

static inline void hashed_members_fill(hashed_members *members, const char *prefix, unsigned first,
                                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(members->keys[i], sizeof members->keys[i], "%s%u", prefix,
                       first + (unsigned)i);
        members->of[i] = (weir__hashed){.key = members->keys[i],
                                        .key_size = strlen(members->keys[i]),
                                        .weight = 1};
    }
}

#endif
