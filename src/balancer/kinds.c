#include "balancer/balancer.h"

#include <string.h>

const weir__kind *const weir__kinds[WEIR__KIND_COUNT] = {
    [WEIR_ROUND_ROBIN] = &weir__kind_round_robin,
    [WEIR_SMOOTH_WEIGHTED] = &weir__kind_smooth_weighted,
    [WEIR_RANDOM] = &weir__kind_random,
    [WEIR_LEAST_REQUEST] = &weir__kind_least_request,
    [WEIR_EARLIEST_DEADLINE] = &weir__kind_earliest_deadline,
    [WEIR_STATIC_STRIDE] = &weir__kind_static_stride,
    [WEIR_LEAST_CONNECTIONS] = &weir__kind_least_connections,
    [WEIR_PEAK_EWMA] = &weir__kind_peak_ewma,
    [WEIR_LOCALITY_AWARE] = &weir__kind_locality_aware,
    [WEIR_KETAMA] = &weir__kind_ketama,
    [WEIR_MAGLEV] = &weir__kind_maglev,
    [WEIR_RENDEZVOUS] = &weir__kind_rendezvous,
    [WEIR_JUMP] = &weir__kind_jump,
    [WEIR_FIRST] = &weir__kind_first,
};

const char *weir_balancer_algorithm_name(weir_balancer_algorithm algorithm)
{
    bool const known = (int)algorithm >= 0 && (int)algorithm < WEIR__KIND_COUNT;
    return known ? weir__kinds[algorithm]->name : "unknown";
}

int weir_balancer_algorithm_find(const char *name, size_t size, weir_balancer_algorithm *algorithm)
{
    for (int i = 0; i < WEIR__KIND_COUNT; i++)
        if (strlen(weir__kinds[i]->name) == size && memcmp(weir__kinds[i]->name, name, size) == 0) {
            *algorithm = (weir_balancer_algorithm)i;
            return WEIR_OK;
        }
    return WEIR_ENOTFOUND;
}
