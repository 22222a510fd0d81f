#include "metrics/metrics.h"

#define BUCKETS_FRACTION  50 /* Lower bits of a double are not asked for: quarter octaves. */
#define BUCKETS_MAX_CELLS 1024

static uint64_t buckets_key(double bound, uint32_t shift)
{
    return weir__real_bits(bound + 0.0) >> shift;
}

void weir__buckets_plan(weir__buckets *buckets, const double *bounds, uint32_t count)
{
    *buckets = (weir__buckets){.bounds = bounds, .count = count, .shift = BUCKETS_FRACTION};
    if (count == 0) {
        buckets->cells = 1;
        return;
    }
    double const first = bounds[0] == 0 && count > 1 ? bounds[1] : bounds[0];
    for (;; buckets->shift++) {
        uint64_t const key = buckets_key(first, buckets->shift);
        buckets->least = key > 0 ? key - 1 : 0; /* One cell for all that is less. */
        uint64_t const last = buckets_key(bounds[count - 1], buckets->shift);
        if (last - buckets->least + 2 <= BUCKETS_MAX_CELLS) {
            buckets->cells = (uint32_t)(last - buckets->least) + 2;
            return;
        }
    }
}

/* Which cell a bound is in. */
static uint64_t buckets_cell(const weir__buckets *buckets, uint32_t bound)
{
    uint64_t const key = buckets_key(buckets->bounds[bound], buckets->shift);
    return key > buckets->least ? key - buckets->least : 0;
}

void weir__buckets_fill(weir__buckets *buckets, const double *bounds, uint16_t *first)
{
    uint32_t bound = 0;
    buckets->bounds = bounds;
    buckets->first = first;
    for (uint32_t cell = 0; cell < buckets->cells; cell++) {
        first[cell] = (uint16_t)bound;
        while (bound < buckets->count && buckets_cell(buckets, bound) == cell)
            bound++;
        if (bound - first[cell] > buckets->steps)
            buckets->steps = bound - first[cell];
    }
}
