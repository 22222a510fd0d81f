#include "health/wheel.h"

#define WHEEL_BITS     6
#define WHEEL_MASK     UINT64_C(63)
#define WHEEL_PREFETCH 2 /* Lines of an owner that will be looked at. */
#define WHEEL_MAX_MS   ((UINT64_C(1) << (WHEEL_BITS * WEIR__WHEEL_LEVELS)) - 1)

static void wheel_clear(weir__wheel_node *node, uint32_t id)
{
    *node = (weir__wheel_node){.prev = id, .next = id, .slot = WEIR__WHEEL_FIXED};
}

int weir__wheel_init(weir__wheel *wheel, const weir_env *env, uint64_t now_ms)
{
    *wheel = (weir__wheel){.env = env, .reached_ms = now_ms};
    wheel->nodes = weir__alloc(env, WEIR__WHEEL_FIXED * sizeof *wheel->nodes);
    if (wheel->nodes == NULL)
        return WEIR_ENOMEM;
    wheel->count = wheel->capacity = WEIR__WHEEL_FIXED;
    for (uint32_t id = 0; id < WEIR__WHEEL_FIXED; id++)
        wheel_clear(&wheel->nodes[id], id);
    return WEIR_OK;
}

void weir__wheel_free(weir__wheel *wheel)
{
    weir__free(wheel->env, wheel->nodes, wheel->capacity * sizeof *wheel->nodes);
}

int weir__wheel_reserve(weir__wheel *wheel)
{
    if (wheel->count < wheel->capacity || wheel->nodes[WEIR__WHEEL_FREE].next != WEIR__WHEEL_FREE)
        return WEIR_OK;
    uint32_t const capacity = wheel->capacity + wheel->capacity / 2;
    void *const nodes =
        weir__resize(wheel->env, wheel->nodes, wheel->capacity * sizeof *wheel->nodes,
                     capacity * sizeof *wheel->nodes);
    if (nodes == NULL)
        return WEIR_ENOMEM;
    wheel->nodes = nodes;
    wheel->capacity = capacity;
    return WEIR_OK;
}

/* ---- Lists ---- */

void weir__wheel_append(weir__wheel *wheel, uint32_t list, uint32_t id)
{
    weir__wheel_node *const nodes = wheel->nodes;
    uint32_t const last = nodes[list].prev;
    nodes[id].prev = last;
    nodes[id].next = list;
    nodes[last].next = id;
    nodes[list].prev = id;
}

static void wheel_unlink(weir__wheel_node *nodes, uint32_t id)
{
    uint32_t const prev = nodes[id].prev, next = nodes[id].next;
    nodes[prev].next = next;
    nodes[next].prev = prev;
    nodes[id].prev = nodes[id].next = id;
}

void *weir__wheel_first(const weir__wheel *wheel, uint32_t list)
{
    uint32_t const first = wheel->nodes[list].next;
    return first != list ? wheel->nodes[first].owner : NULL;
}

uint32_t weir__wheel_add(weir__wheel *wheel, void *owner)
{
    uint32_t id = wheel->nodes[WEIR__WHEEL_FREE].next;
    if (id != WEIR__WHEEL_FREE)
        wheel_unlink(wheel->nodes, id);
    else
        id = wheel->count++;
    wheel_clear(&wheel->nodes[id], id);
    wheel->nodes[id].owner = owner;
    return id;
}

void weir__wheel_drop(weir__wheel *wheel, uint32_t id)
{
    weir__wheel_remove(wheel, id);
    wheel->nodes[id].owner = NULL;
    weir__wheel_append(wheel, WEIR__WHEEL_FREE, id);
}

/* ---- Times ---- */

#if defined(__GNUC__)
static unsigned wheel_lowest(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

static unsigned wheel_highest(uint64_t bits)
{
    return 63 - (unsigned)__builtin_clzll(bits);
}
#else
static unsigned wheel_lowest(uint64_t bits)
{
    unsigned bit = 0;
    for (; (bits & 1) == 0; bits >>= 1)
        bit++;
    return bit;
}

static unsigned wheel_highest(uint64_t bits)
{
    unsigned bit = 0;
    while ((bits >>= 1) != 0)
        bit++;
    return bit;
}
#endif

/* All later times share the higher digits with `reached_ms`, so slots never wrap around. */
static void wheel_put(weir__wheel *wheel, uint32_t id)
{
    weir__wheel_node *const node = &wheel->nodes[id];
    if (node->at_ms <= wheel->reached_ms) {
        weir__wheel_append(wheel, WEIR__WHEEL_DUE, id);
        return;
    }
    /* The level whose digit, to the base of 64, is the first in which the two times differ. */
    unsigned const level = wheel_highest(wheel->reached_ms ^ node->at_ms) / WHEEL_BITS;
    unsigned const digit = (unsigned)(node->at_ms >> (WHEEL_BITS * level) & WHEEL_MASK);
    uint64_t const bit = UINT64_C(1) << digit;
    node->slot = level * 64 + digit;
    weir__wheel_node *const slot = &wheel->nodes[node->slot];
    if ((wheel->occupied[level] & bit) == 0 || node->at_ms < slot->at_ms)
        slot->at_ms = node->at_ms;
    wheel->occupied[level] |= bit;
    weir__wheel_append(wheel, node->slot, id);
}

void weir__wheel_remove(weir__wheel *wheel, uint32_t id)
{
    weir__wheel_node *const nodes = wheel->nodes;
    uint32_t const slot = nodes[id].slot;
    wheel_unlink(nodes, id);
    nodes[id].slot = WEIR__WHEEL_FIXED;
    if (slot != WEIR__WHEEL_FIXED && nodes[slot].next == slot)
        wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

void weir__wheel_set(weir__wheel *wheel, uint32_t id, uint64_t at_ms)
{
    if (weir__wheel_holds(wheel, id))
        weir__wheel_remove(wheel, id);
    wheel->nodes[id].at_ms = at_ms < WHEEL_MAX_MS ? at_ms : WHEEL_MAX_MS;
    wheel_put(wheel, id);
}

/* The first slot in time, or WEIR__WHEEL_FIXED: that of the lowest level that is not empty. */
static unsigned wheel_first_slot(const weir__wheel *wheel)
{
    for (unsigned level = 0; level < WEIR__WHEEL_LEVELS; level++)
        if (wheel->occupied[level] != 0)
            return level * 64 + wheel_lowest(wheel->occupied[level]);
    return WEIR__WHEEL_FIXED;
}

/* Nodes of a reached slot are due, or go to the levels below. */
static void wheel_open(weir__wheel *wheel, unsigned slot)
{
    weir__wheel_node *const nodes = wheel->nodes;
    wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    uint32_t id = nodes[slot].next;
    nodes[slot].prev = nodes[slot].next = slot;
    while (id != slot) {
        uint32_t const next = nodes[id].next;
        WEIR__PREFETCH(&nodes[next]);
        nodes[id].slot = WEIR__WHEEL_FIXED;
        wheel_put(wheel, id);
        id = next;
    }
}

void *weir__wheel_take(weir__wheel *wheel, uint64_t now_ms, uint64_t *next_ms)
{
    weir__wheel_node *const nodes = wheel->nodes;
    uint32_t id;
    while ((id = nodes[WEIR__WHEEL_DUE].next) == WEIR__WHEEL_DUE) {
        unsigned const slot = wheel_first_slot(wheel);
        *next_ms = slot != WEIR__WHEEL_FIXED ? nodes[slot].at_ms : WEIR_NEVER;
        if (*next_ms > now_ms)
            return NULL;
        wheel->reached_ms = nodes[slot].at_ms;
        wheel_open(wheel, slot);
    }
    wheel_unlink(nodes, id);
    const unsigned char *const next = nodes[nodes[WEIR__WHEEL_DUE].next].owner;
    for (size_t line = 0; next != NULL && line < WHEEL_PREFETCH; line++)
        WEIR__PREFETCH(next + line * WEIR__CACHE_LINE);
    return nodes[id].owner;
}

uint64_t weir__wheel_next_ms(const weir__wheel *wheel)
{
    if (wheel->nodes[WEIR__WHEEL_DUE].next != WEIR__WHEEL_DUE)
        return wheel->reached_ms;
    unsigned const slot = wheel_first_slot(wheel);
    return slot != WEIR__WHEEL_FIXED ? wheel->nodes[slot].at_ms : WEIR_NEVER;
}
