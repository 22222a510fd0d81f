/*
 * DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
 * relative-error guarantees", VLDB 2019): bins of which each is gamma = (1 + a) / (1 - a) times as
 * high as the one before. When the values need more bins than there are, the lowest are joined.
 */
#include "metrics/metrics.h"

int32_t weir__sketch_index(const weir_metrics_family *family, double value)
{
    double const at = weir__log2(value) * family->multiplier;
    int32_t const cut = (int32_t)at; /* Toward 0. */
    return at > cut ? cut + 1 : cut;
}

/* Between gamma^(i - 1) and gamma^i, as far from the one as from the other, relative to them. */
double weir__sketch_value(const weir_metrics_family *family, int64_t index)
{
    /* One step lower first: at the upper end of doubles, gamma^i may be none. */
    double const lower = weir__exp2((double)(index - 1) / family->multiplier);
    return lower * (2.0 * family->gamma / (family->gamma + 1.0));
}

/* All below `low` goes into it. */
static void sketch_join(weir__word *words, uint32_t places, int64_t low, pthread_mutex_t *lock)
{
    int64_t const from = weir__ring_index(weir__word_get(&words[WEIR__CELL_LOW]));
    int64_t const high = weir__ring_index(weir__word_get(&words[WEIR__CELL_HIGH]));
    uint64_t joined = 0;
    weir__ring_move_begin(words, lock);
    for (int64_t i = from; i < low && i <= high; i++) {
        weir__word *const place = &words[weir__ring_place(i, places)];
        joined += weir__word_get(place);
        weir__word_set(place, 0);
    }
    if (high < low)
        weir__word_set(&words[WEIR__CELL_HIGH], weir__ring_end(low));
    weir__word_set(&words[WEIR__CELL_LOW], weir__ring_end(low));
    weir__word_add(&words[weir__ring_place(low, places)], joined);
    weir__ring_move_end(words, lock);
}

void weir__sketch_put(weir__word *words, uint32_t places, int64_t index, uint64_t n,
                      pthread_mutex_t *lock)
{
    uint64_t const end = weir__word_get(&words[WEIR__CELL_LOW]);
    if (end != 0) {
        int64_t const low = weir__ring_index(end);
        int64_t const least =
            weir__ring_index(weir__word_get(&words[WEIR__CELL_HIGH])) - places + 1;
        if (index < least)
            index = least;
        else if (index - places + 1 > low)
            sketch_join(words, places, index - places + 1, lock);
    }
    weir__ring_add(words, places, index, n);
}
