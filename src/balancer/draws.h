/* Draws by weight, and the less loaded of two: the part of draws.c that picks go through most. */
#ifndef WEIR_SRC_BALANCER_DRAWS_H
#define WEIR_SRC_BALANCER_DRAWS_H

#include "balancer/balancer.h"

/* Of 2^32 draws of this column, how many stay, and where the others go. */
typedef struct weir__column {
    uint32_t keep, alias;
} weir__column;

/* Walker's alias table; a level whose members weigh the same has none. */
typedef struct weir__columns {
    weir__plan head;
    weir__column columns[];
} weir__columns;

static inline uint32_t weir__draw_by_weight(const weir__level *level, uint64_t draw)
{
    uint32_t const at = weir__below((uint32_t)(draw >> 32), level->count);
    if (level->plan == NULL)
        return at;
    const weir__column *const column = &((const weir__columns *)level->plan)->columns[at];
    bool const moves = (uint32_t)draw > column->keep;
    return at ^ ((at ^ column->alias) & -(uint32_t)moves); /* A branch would be a coin toss. */
}

/* Of one drawn by weight and another drawn evenly, the one with less in flight per weight. */
static inline weir__record *weir__draw_pair(weir_balancer *balancer, const weir__level *level,
                                            weir__record **rival)
{
    uint64_t const draw = weir__balancer_draw(balancer);
    uint32_t const first = weir__draw_by_weight(level, draw);
    uint32_t const among = weir__below((uint32_t)(weir__mix64(draw) >> 32), level->count - 1);
    weir__record *const one = level->ready[first];
    weir__record *const other = level->ready[among + (among >= first)];
    uint64_t const ours = weir__record_in_flight(one), theirs = weir__record_in_flight(other);
    bool const swap = ours * weir__record_share(other) > theirs * weir__record_share(one);
    *rival = swap ? one : other;
    return swap ? other : one;
}

#endif
