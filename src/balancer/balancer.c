#include <weir/balancer.h>

#include "balancer/balancer.h"

#include <string.h>

/* As the breaker's window does: the turn counts on past the end, and a lap is taken off. */
static inline uint32_t balancer_next_turn(weir__level *level)
{
    uint64_t turn = atomic_fetch_add_explicit(&level->turn, 1, memory_order_relaxed);
    if (WEIR__LIKELY(turn < level->turns))
        return (uint32_t)turn;
    do
        turn -= level->turns;
    while (turn >= level->turns);
    if (turn == 0)
        atomic_fetch_sub_explicit(&level->turn, level->turns, memory_order_relaxed);
    return (uint32_t)turn;
}

static inline uint64_t balancer_draw(weir_balancer *balancer)
{
    return weir__mix64(
        atomic_fetch_add_explicit(&balancer->draws, WEIR__GOLDEN, memory_order_relaxed) +
        WEIR__GOLDEN);
}

/* 0 .. bound - 1 out of 32 random bits; its bias is below bound / 2^32. */
static inline uint32_t balancer_below(uint32_t bits, uint32_t bound)
{
    return (uint32_t)((uint64_t)bits * bound >> 32);
}

/* A member drawn by weight, and its index. */
static inline weir__record *balancer_by_weight(const weir__level *level, uint64_t draw,
                                               uint32_t *index)
{
    uint32_t const at = balancer_below((uint32_t)(draw >> 32), level->count);
    const weir__column *const column = &level->columns[at];
    bool const moves = (uint32_t)draw > column->keep;
    *index = at ^ ((at ^ column->alias) & -(uint32_t)moves); /* A branch would be a coin toss. */
    return level->ready[*index];
}

static inline weir__record *balancer_less_loaded(weir_balancer *balancer, const weir__level *level,
                                                 weir_pick_explanation *explain)
{
    uint32_t first;
    uint64_t const draw = balancer_draw(balancer);
    weir__record *const one = balancer_by_weight(level, draw, &first);
    if (level->count == 1)
        return one;
    uint32_t const bits = (uint32_t)(weir__mix64(draw) >> 32);
    uint32_t const among_others = balancer_below(bits, level->count - 1);
    weir__record *const other = level->ready[among_others + (among_others >= first)];
    uint32_t const ours = weir__record_in_flight(one), theirs = weir__record_in_flight(other);
    bool const swap = (uint64_t)ours * other->weight > (uint64_t)theirs * one->weight;
    if (WEIR__UNLIKELY(explain != NULL)) {
        explain->rival = swap ? &one->member : &other->member;
        explain->rival_in_flight = swap ? ours : theirs;
    }
    return swap ? other : one;
}

/* What comes after is known in turns: its line is fetched while this call is made. */
static inline weir__record *balancer_in_turn(weir__level *level)
{
    uint32_t const turn = balancer_next_turn(level);
    uint32_t const next = turn + 1 < level->turns ? turn + 1 : 0;
    if (level->schedule == NULL) {
        WEIR__PREFETCH(level->ready[next]);
        return level->ready[turn];
    }
    WEIR__PREFETCH(level->ready[level->schedule[next]]);
    return level->ready[level->schedule[turn]];
}

static inline weir__record *balancer_propose(weir_balancer *balancer, weir__level *level,
                                             weir_pick_explanation *explain)
{
    uint32_t index;
    if (balancer->algorithm == WEIR_LEAST_REQUEST)
        return balancer_less_loaded(balancer, level, explain);
    if (balancer->algorithm == WEIR_RANDOM)
        return balancer_by_weight(level, balancer_draw(balancer), &index);
    return balancer_in_turn(level);
}

static bool balancer_is_excluded(const weir_pick_options *options, const weir__record *record)
{
    for (size_t i = 0; i < options->excluded_count; i++)
        if (strcmp(options->excluded[i]->id, record->member.id) == 0)
            return true;
    return false;
}

/* Counts the call in, unless the member must not or cannot take it; result tells which. */
static inline int balancer_take(weir__record *record, const weir_pick_options *options)
{
    if (WEIR__UNLIKELY(atomic_load_explicit(&record->flags, memory_order_relaxed) != 0))
        return WEIR_EDOWN;
    if (WEIR__UNLIKELY(options->excluded_count > 0) && balancer_is_excluded(options, record))
        return WEIR_ENOTFOUND;
    atomic_fetch_add_explicit(&record->calls, 1, memory_order_relaxed);
    if (WEIR__LIKELY(record->max_in_flight == 0) ||
        weir__record_in_flight(record) <= record->max_in_flight)
        return WEIR_OK;
    atomic_fetch_sub_explicit(&record->calls, 1, memory_order_release);
    return WEIR_ESATURATED;
}

typedef struct balancer_search {
    const weir_pick_options *options;
    size_t excluded, saturated;
} balancer_search;

static inline bool balancer_try(balancer_search *search, weir__record *record)
{
    int const result = balancer_take(record, search->options);
    search->excluded += result == WEIR_ENOTFOUND;
    search->saturated += result == WEIR_ESATURATED;
    return result == WEIR_OK;
}

/* The algorithm has its say a few times; then all are asked in order, from where it stands. */
static weir__record *balancer_search_level(weir_balancer *balancer, weir__level *level,
                                           balancer_search *search)
{
    weir_pick_explanation *const explain = search->options->explain;
    size_t const tries = 1 + search->options->excluded_count;
    for (size_t i = 0; i < tries; i++) {
        weir__record *const record = balancer_propose(balancer, level, explain);
        if (WEIR__LIKELY(balancer_try(search, record)))
            return record;
    }
    search->excluded = search->saturated = 0;
    uint32_t const from = balancer_below((uint32_t)balancer_draw(balancer), level->count);
    for (uint32_t i = 0; i < level->count; i++) {
        uint32_t const at = from + i < level->count ? from + i : from + i - level->count;
        if (balancer_try(search, level->ready[at]))
            return level->ready[at];
    }
    return NULL;
}

static int balancer_choose(weir_balancer *balancer, const weir__table *table,
                           balancer_search *search, weir__record **chosen)
{
    size_t saturated = 0;
    for (size_t i = 0; i < table->level_count; i++) {
        *chosen = balancer_search_level(balancer, &table->levels[i], search);
        if (*chosen != NULL)
            return WEIR_OK;
        saturated += search->saturated;
    }
    if (table->count == 0)
        return WEIR_EEMPTY;
    return saturated > 0 ? WEIR_ESATURATED : WEIR_EDOWN;
}

static void balancer_explain(const weir_balancer *balancer, const weir__table *table,
                             const balancer_search *search, int result, weir__record *chosen)
{
    weir_pick_explanation *const explain = search->options->explain;
    explain->algorithm = balancer->algorithm;
    explain->result = result;
    explain->version = table->members_version;
    explain->members = table->count;
    explain->flagged = table->count - table->ready_count;
    explain->excluded = search->excluded;
    explain->saturated = search->saturated;
    if (chosen == NULL)
        return;
    explain->chosen = &chosen->member;
    explain->priority = chosen->member.priority;
    explain->chosen_in_flight = weir__record_in_flight(chosen) - 1;
}

int weir_balancer_pick(weir_balancer *balancer, const weir_pick_options *options, weir_pick *pick)
{
    static const weir_pick_options none = {.excluded = NULL};
    balancer_search search = {.options = options != NULL ? options : &none};
    weir__record *chosen = NULL;
    if (search.options->explain != NULL)
        *search.options->explain = (weir_pick_explanation){.result = WEIR_OK};
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    int result = WEIR_OK;
    if (WEIR__LIKELY(table->level_count > 0))
        chosen = balancer_propose(balancer, &table->levels[0], search.options->explain);
    if (WEIR__UNLIKELY(chosen == NULL || !balancer_try(&search, chosen)))
        result = balancer_choose(balancer, table, &search, &chosen);
    if (WEIR__UNLIKELY(search.options->explain != NULL))
        balancer_explain(balancer, table, &search, result, chosen);
    weir__read_end(reader);
    pick->member = chosen != NULL ? &chosen->member : NULL;
    pick->token = chosen;
    return result;
}

/* Samples that race may be lost: it is an average, and no lock is worth it. */
static void balancer_average(weir__record *record, uint64_t latency_ns)
{
    uint64_t const old = atomic_load_explicit(&record->latency_ns, memory_order_relaxed);
    uint64_t const next =
        old == 0 ? latency_ns : old - old / 8 + latency_ns / 8 + (latency_ns % 8 > old % 8);
    atomic_store_explicit(&record->latency_ns, next, memory_order_relaxed);
}

int weir_balancer_done(weir_balancer *balancer, weir_pick *pick, weir_outcome outcome,
                       uint64_t latency_ns)
{
    (void)balancer;
    weir__record *const record = pick->token;
    if (record == NULL)
        return WEIR_EINVAL;
    *pick = (weir_pick){.member = NULL};
    if (WEIR__UNLIKELY(outcome == WEIR_FAILURE || outcome == WEIR_TIMEOUT))
        atomic_fetch_add_explicit(&record->failures, 1, memory_order_relaxed);
    if (outcome != WEIR_IGNORED && outcome != WEIR_CANCELLED)
        balancer_average(record, latency_ns);
    uint64_t const completed = outcome == WEIR_CANCELLED ? 0 : UINT64_C(1) << WEIR__IN_FLIGHT_BITS;
    /* The last touch: from here on the record may be freed. */
    uint64_t const before =
        atomic_fetch_add_explicit(&record->calls, completed - 1, memory_order_release);
    if (WEIR__LIKELY((before & WEIR__IN_FLIGHT_MASK) != 0))
        return WEIR_OK;
    atomic_fetch_sub_explicit(&record->calls, completed - 1, memory_order_release);
    return WEIR_EINVAL; /* A copy of the pick had been given back. */
}

void weir_balancer_visit(weir_balancer *balancer, weir_member_visit_fn visit, void *user)
{
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    for (size_t i = 0; i < table->count; i++) {
        weir_member_stats stats;
        weir__record_stats(table->records[i], &stats);
        visit(&table->records[i]->member, &stats, user);
    }
    weir__read_end(reader);
}

int weir_balancer_get_stats(weir_balancer *balancer, const char *id, weir_member_stats *stats)
{
    pthread_mutex_lock(&balancer->lock);
    weir__record *const record = weir__map_get(&balancer->by_id, id, strlen(id));
    if (record != NULL)
        weir__record_stats(record, stats);
    pthread_mutex_unlock(&balancer->lock);
    return record != NULL ? WEIR_OK : WEIR_ENOTFOUND;
}

/* Lock held. A table over the same records with what their flags say now. */
static int balancer_rebuild(weir_balancer *balancer)
{
    const weir__table *const old = weir__snapshot_get(&balancer->table);
    weir__table *const next =
        weir__table_new(balancer, old->records, old->count, old->members_version);
    if (next == NULL)
        return WEIR_ENOMEM;
    weir__snapshot_set(&balancer->table, &next->version);
    weir__records_sweep(balancer);
    return WEIR_OK;
}

int weir_balancer_set_flags(weir_balancer *balancer, const char *id, uint32_t set, uint32_t clear)
{
    if ((set & clear) != 0)
        return WEIR_EINVAL;
    int result = WEIR_ENOTFOUND;
    pthread_mutex_lock(&balancer->lock);
    weir__record *const record = weir__map_get(&balancer->by_id, id, strlen(id));
    if (record != NULL) {
        uint32_t const old = atomic_load(&record->flags), now = (old | set) & ~clear;
        atomic_store(&record->flags, now);
        result = (old == 0) != (now == 0) ? balancer_rebuild(balancer) : WEIR_OK;
        if (result != WEIR_OK)
            atomic_store(&record->flags, old);
    }
    pthread_mutex_unlock(&balancer->lock);
    return result;
}

int weir_balancer_mark_down(weir_balancer *balancer, const char *id)
{
    return weir_balancer_set_flags(balancer, id, WEIR_MEMBER_DOWN, 0);
}

int weir_balancer_mark_up(weir_balancer *balancer, const char *id)
{
    return weir_balancer_set_flags(balancer, id, 0, WEIR_MEMBER_DOWN);
}
