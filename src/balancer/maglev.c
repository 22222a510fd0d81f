#include "balancer/maglev.h"

#include "base/heap.h"
#include "base/xxhash.h"

#include <stdlib.h>
#include <string.h>

typedef struct maglev_filler {
    weir__heap_node turn; /* Due at this round, in the order of the keys. */
    const weir__hashed *member;
    uint32_t owner;
    uint32_t at, skip;     /* Its next entry, and the way to the one after. */
    double weight, target; /* It may take an entry when round * weight >= target. */
} maglev_filler;

bool weir__maglev_fits(uint64_t size)
{
    if (size < 2 || size > WEIR__MAGLEV_MAX_SIZE)
        return false;
    for (uint64_t i = 2; i * i <= size; i++)
        if (size % i == 0)
            return false;
    return true;
}

static int maglev_compare(const void *left, const void *right)
{
    const weir__hashed *const a = ((const maglev_filler *)left)->member;
    const weir__hashed *const b = ((const maglev_filler *)right)->member;
    int const order = memcmp(a->key, b->key, a->key_size < b->key_size ? a->key_size : b->key_size);
    return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static void maglev_take(weir__maglev *table, maglev_filler *filler)
{
    uint32_t at = filler->at;
    while (table->owners[at] != WEIR__NOBODY)
        at = at + filler->skip < table->size ? at + filler->skip : at + filler->skip - table->size;
    table->owners[at] = filler->owner;
    filler->at = at;
}

/* The first round in which it is due again. */
static uint64_t maglev_next_round(const maglev_filler *filler, uint64_t round)
{
    uint64_t next = (uint64_t)(filler->target / filler->weight); /* Never late by a round. */
    if (next <= round)
        next = round + 1;
    while ((double)next * filler->weight < filler->target)
        next++;
    return next;
}

/* Rounds in which nobody is due are skipped: they are many beside a few heavy members. */
static void maglev_fill_by_heap(weir__maglev *table, maglev_filler *fillers, size_t count,
                                double most, weir__heap *turns)
{
    for (size_t i = 0; i < count; i++)
        (void)weir__heap_set_ranked(turns, &fillers[i].turn, 1, i); /* Reserved: cannot fail. */
    for (uint32_t filled = 0; filled < table->size; filled++) {
        weir__heap_node *const first = weir__heap_first(turns);
        maglev_filler *const filler = &fillers[first->order];
        filler->target += most;
        maglev_take(table, filler);
        (void)weir__heap_set_ranked(turns, first, maglev_next_round(filler, first->at_ns),
                                    first->order);
    }
}

/* The same, asking everyone in every round: faster while most of them are due. */
static void maglev_fill_by_rounds(weir__maglev *table, maglev_filler *fillers, size_t count,
                                  double most)
{
    uint32_t filled = 0;
    for (uint64_t round = 1; filled < table->size; round++)
        for (size_t i = 0; i < count && filled < table->size; i++) {
            maglev_filler *const filler = &fillers[i];
            if ((double)round * filler->weight < filler->target)
                continue;
            filler->target += most;
            maglev_take(table, filler);
            filled++;
        }
}

static size_t maglev_prepare(maglev_filler *fillers, const weir__hashed *members, size_t count,
                             uint32_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const weir__hashed *const member = &members[i];
        if (member->weight == 0)
            continue;
        fillers[used++] = (maglev_filler){
            .member = member,
            .owner = (uint32_t)i,
            .at = (uint32_t)(weir__xxhash64(member->key, member->key_size, 0) % size),
            .skip = (uint32_t)(weir__xxhash64(member->key, member->key_size, 1) % (size - 1)) + 1,
        };
    }
    qsort(fillers, used, sizeof *fillers, maglev_compare);
    return used;
}

static int maglev_fill(weir__maglev *table, const weir_env *env, maglev_filler *fillers,
                       size_t used)
{
    uint64_t sum = 0, heaviest = 0;
    for (size_t i = 0; i < used; i++) {
        uint64_t const weight = fillers[i].member->weight;
        sum += weight;
        heaviest = weight > heaviest ? weight : heaviest;
    }
    for (size_t i = 0; i < used; i++)
        fillers[i].weight = fillers[i].member->weight / (double)sum;
    double const most = (double)heaviest / (double)sum;
    if (heaviest * used <= 8 * sum) {
        maglev_fill_by_rounds(table, fillers, used, most);
        return WEIR_OK;
    }
    weir__heap turns;
    weir__heap_init(&turns, env);
    int const result = weir__heap_reserve(&turns, used);
    if (result == WEIR_OK)
        maglev_fill_by_heap(table, fillers, used, most, &turns);
    weir__heap_free(&turns);
    return result;
}

int weir__maglev_build(weir__maglev *table, const weir_env *env, const weir__hashed *members,
                       size_t count, uint32_t size)
{
    size_t const bytes = count * sizeof(maglev_filler);
    *table = (weir__maglev){.owners = NULL};
    maglev_filler *const fillers = weir__alloc(env, bytes);
    if (fillers == NULL)
        return WEIR_ENOMEM;
    size_t const used = maglev_prepare(fillers, members, count, size);
    int result = WEIR_OK;
    if (used > 0) {
        table->owners = weir__alloc(env, size * sizeof *table->owners);
        result = table->owners != NULL ? WEIR_OK : WEIR_ENOMEM;
    }
    if (table->owners != NULL) {
        table->size = size;
        for (uint32_t i = 0; i < size; i++)
            table->owners[i] = WEIR__NOBODY;
        result = maglev_fill(table, env, fillers, used);
    }
    if (result != WEIR_OK)
        weir__maglev_free(table, env);
    weir__free(env, fillers, bytes);
    return result;
}

void weir__maglev_free(weir__maglev *table, const weir_env *env)
{
    weir__free(env, table->owners, table->size * sizeof *table->owners);
    *table = (weir__maglev){.owners = NULL};
}
