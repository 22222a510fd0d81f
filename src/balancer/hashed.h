/* What hash tables are made of. */
#ifndef WEIR_SRC_BALANCER_HASHED_H
#define WEIR_SRC_BALANCER_HASHED_H

#include "base/env.h"

/* A member, as the hash kinds see it; borrowed while a table is built. */
typedef struct weir__hashed {
    const char *key; /* Unique among the members. */
    size_t key_size;
    uint32_t weight; /* 0 = none of the table is its. */
} weir__hashed;

/* No member. */
#define WEIR__NOBODY UINT32_MAX

#endif
