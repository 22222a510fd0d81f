#include <weir/balancer.h>

#include "balancer/draws.h"

#include "base/xxhash.h"

#include <string.h>

/* weir_pick.marks */
#define PICK_COUNTED 1u /* In balancer.in_flight. */
#define PICK_TIMED   2u /* There is a time. */
#define PICK_SUMMED  4u /* In record.begun_sum_ns and .begun_calls. */

bool weir__excluded(const weir_pick_options *options, const weir__record *record)
{
    for (size_t i = 0; i < options->excluded_count; i++)
        if (strcmp(options->excluded[i]->id, record->member.id) == 0)
            return true;
    return false;
}

/* What a pick came to, beside its member. */
typedef struct balancer_course {
    const weir__set *set;
    weir__level *level;
    bool bounded; /* load_factor_percent applies. */
    bool sticky, throttled;
    size_t excluded, saturated, overloaded;
} balancer_course;

/*
 * Above its share of all calls in flight, this one included: ceil(all * weight / weights * factor).
 */
static bool balancer_overloaded(weir_balancer *balancer, const weir__level *level,
                                const weir__choice *choice, weir__record *record)
{
    uint64_t const all = atomic_load_explicit(&balancer->in_flight, memory_order_relaxed) + 1;
    double const bound =
        (double)all * weir__record_share(record) * choice->config->options.load_factor_percent;
    double const others = weir__record_in_flight(record) - 1.0; /* Our call is counted in. */
    return others * (double)level->share_sum * 100 >= bound;    /* Exact below 2^53. */
}

/* Counts the call in, unless the member is full; then false. */
static inline bool balancer_count_in(weir__record *record)
{
    atomic_fetch_add(&record->calls, 1);
    if (WEIR__LIKELY(record->max_in_flight == 0) ||
        weir__record_in_flight_of_all(record) <= record->max_in_flight)
        return true;
    atomic_fetch_sub_explicit(&record->calls, 1, memory_order_release);
    return false;
}

/* Counts the call in, unless the member must not or cannot take it. */
static bool balancer_try(weir_balancer *balancer, const weir__level *level,
                         const weir__choice *choice, balancer_course *course, weir__record *record)
{
    uint32_t const flags = atomic_load_explicit(&record->flags, memory_order_relaxed);
    if ((flags & ~level->tolerated) != 0)
        return false;
    if (weir__excluded(choice->options, record)) {
        course->excluded++;
        return false;
    }
    if (!balancer_count_in(record)) {
        course->saturated++;
        return false;
    }
    if (!course->bounded || !balancer_overloaded(balancer, level, choice, record))
        return true;
    atomic_fetch_sub_explicit(&record->calls, 1, memory_order_release);
    course->overloaded++;
    return false;
}

/* The algorithm has its say a few times; then all are asked in turn. */
static weir__record *balancer_search(weir_balancer *balancer, weir__choice *choice,
                                     balancer_course *course)
{
    const weir__kind *const kind = choice->config->kind;
    weir__level *const level = course->level;
    size_t const excluded = course->excluded, saturated = course->saturated;
    size_t const tries = kind->tries + choice->options->excluded_count;
    for (choice->attempt = 0; choice->attempt < tries; choice->attempt++) {
        weir__record *const record = kind->propose(balancer, level, choice);
        if (balancer_try(balancer, level, choice, course, record))
            return record;
    }
    course->excluded = excluded; /* Each is looked at once more. */
    course->saturated = saturated;
    course->overloaded = 0;
    uint64_t const draw = kind->hashed ? weir__mix64(choice->hash) : weir__balancer_draw(balancer);
    uint32_t const from = kind->in_order ? 0 : weir__below((uint32_t)(draw >> 32), level->count);
    for (uint32_t i = 0; i < level->count; i++) {
        uint32_t const at = from + i < level->count ? from + i : from + i - level->count;
        if (balancer_try(balancer, level, choice, course, level->ready[at]))
            return level->ready[at];
    }
    return NULL;
}

/* A bound on loads never sends calls to another level: where all are above it, it gives way. */
static weir__record *balancer_search_level(weir_balancer *balancer, weir__choice *choice,
                                           balancer_course *course)
{
    bool const bounded = course->bounded;
    weir__record *chosen = balancer_search(balancer, choice, course);
    if (chosen == NULL && course->overloaded > 0) {
        course->bounded = false;
        chosen = balancer_search(balancer, choice, course);
        course->bounded = bounded;
    }
    return chosen;
}

/* The level whose turn it is: by key, so that a key keeps its level, or by chance. */
static weir__level *balancer_level(weir_balancer *balancer, const weir__set *set,
                                   const weir__choice *choice)
{
    if (WEIR__LIKELY(set->levels[0].upto == UINT32_MAX))
        return &set->levels[0];
    uint64_t const draw = choice->config->kind->hashed ? weir__mix64(choice->hash + WEIR__GOLDEN)
                                                       : weir__balancer_draw(balancer);
    weir__level *level = set->levels;
    while ((uint32_t)(draw >> 32) > level->upto)
        level++;
    return level;
}

/* The level drawn, then all others in order of priority. */
static weir__record *balancer_search_set(weir_balancer *balancer, weir__choice *choice,
                                         balancer_course *course)
{
    weir__level *const drawn = course->level = balancer_level(balancer, course->set, choice);
    weir__record *chosen = balancer_search_level(balancer, choice, course);
    for (uint32_t i = 0; chosen == NULL && i < course->set->level_count; i++) {
        course->level = &course->set->levels[i];
        if (course->level != drawn)
            chosen = balancer_search_level(balancer, choice, course);
    }
    return chosen;
}

/* Member that the call asked for, in whatever level, if it is still to be had. */
static weir__record *balancer_stick(weir_balancer *balancer, const weir__table *table,
                                    const weir__choice *choice)
{
    static const weir__level anywhere = {.tolerated = WEIR_MEMBER_DRAIN};
    balancer_course alone = {.bounded = false};
    const char *const id = choice->options->sticky;
    weir__record *const record =
        id != NULL ? weir__map_get(&table->roster->by_id, id, strlen(id)) : NULL;
    if (record == NULL || !balancer_try(balancer, &anywhere, choice, &alone, record))
        return NULL;
    return record;
}

static bool balancer_throttles(weir_balancer *balancer, const weir__table *table)
{
    return table->usable > 0 && table->admit != UINT32_MAX &&
           (uint32_t)weir__balancer_draw(balancer) >= table->admit;
}

/* The set, level and member for a pick that may ask for anything. */
static int balancer_choose(weir_balancer *balancer, const weir__table *table, weir__choice *choice,
                           balancer_course *course, weir__record **chosen)
{
    int result = WEIR_EDOWN;
    *chosen = balancer_stick(balancer, table, choice);
    course->sticky = *chosen != NULL;
    if (course->sticky)
        return WEIR_OK;
    if (table->roster->count == 0)
        return WEIR_EEMPTY;
    if (choice->options->label_count > 0)
        course->set = weir__subset_find(table, choice->options, &result);
    if (course->set == NULL)
        return result;
    course->throttled = balancer_throttles(balancer, table);
    if (course->throttled)
        return WEIR_ESATURATED;
    if (course->set->level_count == 0)
        return WEIR_EDOWN;
    *chosen = balancer_search_set(balancer, choice, course);
    if (*chosen != NULL)
        return WEIR_OK;
    return course->saturated > 0 ? WEIR_ESATURATED : WEIR_EDOWN;
}

static void balancer_explain_set(weir_pick_explanation *explain, const weir__set *set)
{
    size_t usable = 0;
    for (uint32_t i = 0; i < set->level_count; i++)
        usable += set->levels[i].usable;
    explain->members = set->members;
    explain->flagged = set->members - usable;
}

static void balancer_explain(const weir__table *table, const weir__choice *choice,
                             const balancer_course *course, int result, weir__record *chosen)
{
    weir_pick_explanation *const explain = choice->options->explain;
    explain->algorithm = choice->config->options.algorithm;
    explain->result = result;
    explain->version = table->roster->version;
    explain->excluded = course->excluded;
    explain->saturated = course->saturated;
    explain->overloaded = course->overloaded;
    explain->sticky = course->sticky;
    explain->throttled = course->throttled;
    if (course->set != NULL)
        balancer_explain_set(explain, course->set);
    if (chosen == NULL)
        return;
    explain->chosen = &chosen->member;
    explain->priority = chosen->member.priority;
    explain->chosen_in_flight = weir__record_in_flight(chosen) - 1;
    explain->local = course->level != NULL && course->level->local;
    explain->panicking = course->level != NULL && course->level->tolerated != 0;
}

/* The load of a record changed: wherever it is in the table, the plans should know. */
static void balancer_tell_changed(const weir__table *table, const weir__record *record,
                                  uint32_t index)
{
    size_t const columns = 1 + table->config->options.selector_count;
    if (table->places == NULL || index >= table->roster->count ||
        table->roster->records[index] != record)
        return;
    for (size_t i = 0; i < columns; i++) {
        const weir__place *const place = &table->places[index * columns + i];
        if (place->level != NULL)
            table->config->kind->changed(place->level, place->index);
    }
}

static WEIR__APART void balancer_began(const weir__table *table, weir__record *chosen,
                                       uint64_t now_ns, weir_pick *pick)
{
    const weir__kind *const kind = table->config->kind;
    pick->picked_ns = now_ns;
    pick->marks = kind->timed ? PICK_TIMED : 0;
    if (kind->sums) {
        atomic_fetch_add_explicit(&chosen->begun_sum_ns, now_ns, memory_order_relaxed);
        atomic_fetch_add_explicit(&chosen->begun_calls, 1, memory_order_relaxed);
        pick->marks |= PICK_SUMMED;
    }
    if (kind->changed != NULL)
        balancer_tell_changed(table, chosen, atomic_load(&chosen->index));
}

/* The choice of a pick before its first attempt. */
static inline void balancer_choice_begin(weir__choice *choice, const weir__table *table,
                                         const weir_pick_options *options, uint64_t now_ns)
{
    choice->options = options;
    choice->config = table->config;
    choice->now_ns = now_ns;
    choice->hash = options->hash;
    choice->attempt = 0;
}

/* Any pick, whatever it asks for. */
static WEIR__APART int balancer_pick_any(weir_balancer *balancer, const weir__table *table,
                                         const weir_pick_options *options, uint64_t now_ns,
                                         weir_pick *pick)
{
    const weir__kind *const kind = table->config->kind;
    uint32_t const load_factor = table->config->options.load_factor_percent;
    balancer_course course = {.set = &table->all, .bounded = load_factor > 0 && kind->hashed};
    weir__record *chosen;
    weir__choice choice;
    *pick = (weir_pick){.member = NULL};
    balancer_choice_begin(&choice, table, options, now_ns);
    if (options->explain != NULL)
        *options->explain = (weir_pick_explanation){.result = WEIR_OK};
    if (kind->hashed && choice.hash == 0)
        choice.hash = weir__balancer_draw(balancer) | 1;
    int const result = balancer_choose(balancer, table, &choice, &course, &chosen);
    if (options->explain != NULL)
        balancer_explain(table, &choice, &course, result, chosen);
    if (chosen == NULL)
        return result;
    if (table->learns)
        balancer_began(table, chosen, now_ns, pick);
    if (load_factor > 0) {
        atomic_fetch_add_explicit(&balancer->in_flight, 1, memory_order_relaxed);
        pick->marks |= PICK_COUNTED;
    }
    pick->member = &chosen->member;
    pick->token = chosen;
    return WEIR_OK;
}

static inline bool balancer_asks_nothing(const weir_pick_options *options)
{
    return options->excluded_count == 0 && options->sticky == NULL && options->label_count == 0 &&
           options->explain == NULL;
}

/* The first proposal for a plain level; NULL if there is no key to make one of. */
static inline weir__record *balancer_propose(weir_balancer *balancer, const weir__table *table,
                                             const weir_pick_options *options, uint64_t now_ns)
{
    const weir__kind *const kind = table->config->kind;
    weir__choice choice; /* What a hash kind keeps there is set with the first attempt. */
    weir__record *rival;
    if (table->in_turns)
        return weir__level_next(table->plain);
    if (table->in_pairs)
        return weir__draw_pair(balancer, table->plain, &rival);
    if (kind->hashed && options->hash == 0)
        return NULL;
    balancer_choice_begin(&choice, table, options, now_ns);
    /* cppcheck-suppress returnDanglingLifetime ; the record is the roster's */
    return kind->propose(balancer, table->plain, &choice);
}

/* Counts the call in, if nothing speaks against the member. */
static inline bool balancer_take(const weir__level *level, weir__record *record)
{
    uint32_t const flags = atomic_load_explicit(&record->flags, memory_order_relaxed);
    return WEIR__LIKELY((flags & ~level->tolerated) == 0) &&
           WEIR__LIKELY(balancer_count_in(record));
}

static inline int balancer_pick_now(weir_balancer *balancer, const weir_pick_options *asked,
                                    uint64_t now_ns, weir_pick *pick)
{
    static const weir_pick_options none = {.excluded = NULL};
    const weir_pick_options *const options = asked != NULL ? asked : &none;
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    weir__record *chosen = NULL;
    int result = WEIR_OK;
    if (WEIR__LIKELY(table->plain != NULL && balancer_asks_nothing(options)))
        chosen = balancer_propose(balancer, table, options, now_ns);
    if (WEIR__LIKELY(chosen != NULL && balancer_take(table->plain, chosen))) {
        pick->member = &chosen->member;
        pick->token = chosen;
        pick->picked_ns = now_ns;
        pick->marks = 0;
        if (table->learns)
            balancer_began(table, chosen, now_ns, pick);
    } else {
        result = balancer_pick_any(balancer, table, options, now_ns, pick);
    }
    weir__read_end(reader);
    return result;
}

int weir_balancer_pick_at(weir_balancer *balancer, const weir_pick_options *options,
                          uint64_t now_ns, weir_pick *pick)
{
    return balancer_pick_now(balancer, options, now_ns, pick);
}

int weir_balancer_pick(weir_balancer *balancer, const weir_pick_options *options, weir_pick *pick)
{
    bool const timed = atomic_load_explicit(&balancer->timed, memory_order_relaxed);
    return balancer_pick_now(balancer, options, timed ? weir__now_ns(&balancer->env) : 0, pick);
}

/* Samples that race may be lost: it is an average, and no lock is worth it. */
static void balancer_average(weir__record *record, uint64_t latency_ns)
{
    uint64_t const old = atomic_load_explicit(&record->latency_ns, memory_order_relaxed);
    uint64_t const next =
        old == 0 ? latency_ns : old - old / 8 + latency_ns / 8 + (latency_ns % 8 > old % 8);
    atomic_store_explicit(&record->latency_ns, next, memory_order_relaxed);
}

/* The last touch of the record: from here on it may be freed. */
static int balancer_release(weir__record *record, weir_outcome outcome)
{
    uint64_t const completed = outcome == WEIR_CANCELLED ? 0 : UINT64_C(1) << WEIR__IN_FLIGHT_BITS;
    uint64_t const before =
        atomic_fetch_add_explicit(&record->calls, completed - 1, memory_order_release);
    if (WEIR__LIKELY((before & WEIR__IN_FLIGHT_MASK) != 0))
        return WEIR_OK;
    atomic_fetch_sub_explicit(&record->calls, completed - 1, memory_order_release);
    return WEIR_EINVAL; /* A copy of the pick had been given back. */
}

/* Who stands for the member now. While our call is counted, no heir of its record is freed. */
static weir__record *balancer_latest(weir__record *record)
{
    for (weir__record *heir; (heir = atomic_load(&record->heir)) != NULL;)
        record = heir;
    return record;
}

/* For kinds that learn from calls, and for loads that are bounded. An elder's calls teach its heir:
 * that is who picks find. */
static WEIR__APART int balancer_release_learning(weir_balancer *balancer, weir__record *record,
                                                 uint32_t marks, uint64_t picked_ns,
                                                 weir_outcome outcome, uint64_t latency_ns)
{
    if ((marks & PICK_SUMMED) != 0) {
        atomic_fetch_sub_explicit(&record->begun_sum_ns, picked_ns, memory_order_relaxed);
        atomic_fetch_sub_explicit(&record->begun_calls, 1, memory_order_relaxed);
    }
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    const weir__kind *const kind = table->config->kind;
    weir__record *const latest = balancer_latest(record);
    uint32_t const index = atomic_load_explicit(&latest->index, memory_order_relaxed);
    uint64_t const now_ns = weir__add_ns(picked_ns, latency_ns);
    if (kind->ended != NULL && (marks & PICK_TIMED) != 0)
        kind->ended(table->config, latest, now_ns, latency_ns, outcome);
    int const result = balancer_release(record, outcome);
    if (kind->changed != NULL)
        balancer_tell_changed(table, latest, index);
    weir__read_end(reader);
    if ((marks & PICK_COUNTED) != 0 && result == WEIR_OK)
        atomic_fetch_sub_explicit(&balancer->in_flight, 1, memory_order_relaxed);
    return result;
}

int weir_balancer_done(weir_balancer *balancer, weir_pick *pick, weir_outcome outcome,
                       uint64_t latency_ns)
{
    weir__record *const record = pick->token;
    if (record == NULL)
        return WEIR_EINVAL;
    pick->member = NULL;
    pick->token = NULL;
    if (WEIR__UNLIKELY((atomic_load_explicit(&record->calls, memory_order_relaxed) &
                        WEIR__IN_FLIGHT_MASK) == 0))
        return WEIR_EINVAL; /* A copy of the pick had been given back. */
    if (WEIR__UNLIKELY(outcome == WEIR_FAILURE || outcome == WEIR_TIMEOUT))
        atomic_fetch_add_explicit(&record->failures, 1, memory_order_relaxed);
    if (outcome != WEIR_IGNORED && outcome != WEIR_CANCELLED)
        balancer_average(record, latency_ns);
    if (WEIR__LIKELY(pick->marks == 0 &&
                     !atomic_load_explicit(&balancer->learns, memory_order_relaxed)))
        return balancer_release(record, outcome);
    return balancer_release_learning(balancer, record, pick->marks, pick->picked_ns, outcome,
                                     latency_ns);
}

void weir_balancer_visit(weir_balancer *balancer, weir_member_visit_fn visit, void *user)
{
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    for (uint32_t i = 0; i < table->roster->count; i++) {
        weir_member_stats stats;
        weir__record_stats(table->roster->records[i], &stats);
        visit(&table->roster->records[i]->member, &stats, user);
    }
    weir__read_end(reader);
}

int weir_balancer_get_stats(weir_balancer *balancer, const char *id, weir_member_stats *stats)
{
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    weir__record *const record = weir__map_get(&table->roster->by_id, id, strlen(id));
    if (record != NULL)
        weir__record_stats(record, stats);
    weir__read_end(reader);
    return record != NULL ? WEIR_OK : WEIR_ENOTFOUND;
}

uint64_t weir_balancer_hash(const void *key, size_t size)
{
    uint64_t const hash = weir__xxhash64(key, size, 0);
    return hash != 0 ? hash : 1;
}
