#include "balancer/balancer.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_MAX_TURNS UINT32_C(65536)

/* Sorted by key, and among equal keys in the order given. */
typedef struct table_key {
    uint32_t key, index;
} table_key;

static int table_compare_keys(const void *left, const void *right)
{
    const table_key *const a = left, *const b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* Members of one weight take turns among themselves in order, so only one of them can be next. */
typedef struct table_class {
    int64_t current; /* nginx's current weight of the member that is next. */
    uint32_t weight;
    uint32_t begin, end; /* Its members among the keys. */
    uint32_t next;
} table_class;

static uint64_t table_gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t const rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Weights with a sum that a schedule can hold: exactly, by their divisor, or else scaled. */
static uint32_t table_scale(const weir__level *level, uint32_t *weights)
{
    uint64_t sum = 0, divisor = 0, scaled = 0;
    for (uint32_t i = 0; i < level->count; i++) {
        sum += level->ready[i]->weight;
        divisor = table_gcd(level->ready[i]->weight, divisor);
    }
    uint64_t const most = level->count > TABLE_MAX_TURNS ? level->count : TABLE_MAX_TURNS;
    bool const exact = sum <= most * divisor;
    for (uint32_t i = 0; i < level->count; i++) {
        uint64_t const weight = level->ready[i]->weight;
        uint64_t const share =
            exact ? weight / (divisor > 0 ? divisor : 1) : (weight * most + sum / 2) / sum;
        weights[i] = share > 0 ? (uint32_t)share : 1;
        scaled += weights[i];
    }
    return (uint32_t)scaled;
}

/* Sorts the keys, which are weights; returns how many classes they make. */
static uint32_t table_classify(table_key *keys, uint32_t count, table_class *classes)
{
    uint32_t made = 0;
    qsort(keys, count, sizeof *keys, table_compare_keys);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || keys[i].key != keys[i - 1].key)
            classes[made++] = (table_class){.weight = keys[i].key, .begin = i, .next = i};
        classes[made - 1].end = i + 1;
    }
    return made;
}

/* One step of smooth weighted round robin: all gain their weight, the first highest pays the sum.
 */
static uint32_t table_step(table_class *classes, uint32_t count, const table_key *keys,
                           uint32_t sum)
{
    table_class *best = classes;
    for (table_class *c = classes; c < classes + count; c++) {
        c->current += c->weight;
        if (c->current > best->current ||
            (c->current == best->current && keys[c->next].index < keys[best->next].index))
            best = c;
    }
    uint32_t const chosen = keys[best->next].index;
    if (++best->next == best->end) {
        best->next = best->begin; /* Each of the class has paid: its first is as far as before. */
        best->current -= sum;
    }
    return chosen;
}

static int table_add_schedule(const weir_env *env, weir__level *level)
{
    uint32_t const count = level->count;
    size_t const bytes = count * (sizeof(uint32_t) + sizeof(table_key) + sizeof(table_class));
    table_class *const classes = weir__alloc(env, bytes);
    if (classes == NULL)
        return WEIR_ENOMEM;
    table_key *const keys = (table_key *)(void *)(classes + count);
    uint32_t *const weights = (uint32_t *)(void *)(keys + count);
    uint32_t const sum = table_scale(level, weights);
    level->schedule = weir__alloc(env, sum * sizeof *level->schedule);
    if (level->schedule != NULL) {
        level->turns = sum;
        for (uint32_t i = 0; i < count; i++)
            keys[i] = (table_key){.key = weights[i], .index = i};
        uint32_t const made = table_classify(keys, count, classes);
        for (uint32_t turn = 0; turn < sum; turn++)
            level->schedule[turn] = table_step(classes, made, keys, sum);
    }
    weir__free(env, classes, bytes);
    return level->schedule != NULL ? WEIR_OK : WEIR_ENOMEM;
}

/* Vose's construction: each index keeps a part of its column and gives the rest to one other. */
static void table_fill_alias(weir__level *level, double *share, uint32_t *work)
{
    uint32_t small = 0, large = level->count;
    double sum = 0;
    for (uint32_t i = 0; i < level->count; i++)
        sum += level->ready[i]->weight;
    for (uint32_t i = 0; i < level->count; i++) {
        share[i] = level->ready[i]->weight * (double)level->count / sum;
        work[share[i] < 1.0 ? small++ : --large] = i;
    }
    while (small > 0 && large < level->count) {
        uint32_t const less = work[--small], more = work[large];
        level->columns[less] = (weir__column){(uint32_t)(share[less] * 4294967295.0), more};
        share[more] -= 1.0 - share[less];
        if (share[more] < 1.0) {
            large++;
            work[small++] = more;
        }
    }
    while (small > 0 || large < level->count) { /* Whole columns, up to rounding. */
        uint32_t const whole = small > 0 ? work[--small] : work[large++];
        level->columns[whole] = (weir__column){UINT32_MAX, whole};
    }
}

static int table_add_alias(const weir_env *env, weir__level *level)
{
    size_t const bytes = level->count * (sizeof(double) + sizeof(uint32_t));
    double *const share = weir__alloc(env, bytes);
    level->columns = weir__alloc(env, level->count * sizeof *level->columns);
    bool const made = share != NULL && level->columns != NULL;
    if (made)
        table_fill_alias(level, share, (uint32_t *)(void *)(share + level->count));
    weir__free(env, share, bytes);
    return made ? WEIR_OK : WEIR_ENOMEM;
}

static bool table_usable(const weir__record *record)
{
    return record->weight > 0 && atomic_load(&record->flags) == 0;
}

/* The usable records by priority into table->ready; how many levels there are into *levels. */
static int table_sort_ready(const weir_env *env, weir__table *table, size_t *levels)
{
    table_key *const keys = weir__alloc(env, (table->count + 1) * sizeof *keys);
    if (keys == NULL)
        return WEIR_ENOMEM;
    for (uint32_t i = 0; i < table->count; i++)
        if (table_usable(table->records[i]))
            keys[table->ready_count++] =
                (table_key){.key = table->records[i]->member.priority, .index = i};
    qsort(keys, table->ready_count, sizeof *keys, table_compare_keys);
    *levels = 0;
    for (size_t i = 0; i < table->ready_count; i++) {
        table->ready[i] = table->records[keys[i].index];
        *levels += i == 0 || keys[i].key != keys[i - 1].key;
    }
    weir__free(env, keys, (table->count + 1) * sizeof *keys);
    return WEIR_OK;
}

/* Turns go on where the same level was; a new one starts where the randomness says. */
static uint64_t table_first_turn(weir_balancer *balancer, const weir__level *level)
{
    const weir__table *const old = weir__snapshot_get(&balancer->table);
    for (size_t i = 0; old != NULL && i < old->level_count; i++)
        if (old->levels[i].priority == level->priority)
            return atomic_load(&old->levels[i].turn) % level->turns;
    return balancer->start % level->turns;
}

static int table_prepare_level(weir_balancer *balancer, weir__level *level)
{
    int result = WEIR_OK;
    level->turns = level->count;
    if (balancer->algorithm == WEIR_SMOOTH_WEIGHTED)
        result = table_add_schedule(&balancer->env, level);
    else if (balancer->algorithm != WEIR_ROUND_ROBIN)
        result = table_add_alias(&balancer->env, level);
    if (result == WEIR_OK)
        atomic_store(&level->turn, table_first_turn(balancer, level));
    return result;
}

static int table_add_levels(weir_balancer *balancer, weir__table *table)
{
    size_t levels;
    if (table_sort_ready(&balancer->env, table, &levels))
        return WEIR_ENOMEM;
    if (levels == 0)
        return WEIR_OK;
    table->levels = weir__alloc(&balancer->env, levels * sizeof *table->levels);
    if (table->levels == NULL)
        return WEIR_ENOMEM;
    table->level_count = levels;
    weir__level *level = table->levels;
    for (size_t i = 0; i < table->ready_count; i++) {
        uint32_t const priority = table->ready[i]->member.priority;
        if (i == 0 || priority != level->priority) {
            level += i > 0;
            level->ready = &table->ready[i];
            level->priority = priority;
        }
        level->count++;
    }
    for (size_t i = 0; i < levels; i++)
        if (table_prepare_level(balancer, &table->levels[i]))
            return WEIR_ENOMEM;
    return WEIR_OK;
}

static size_t table_bytes(size_t count)
{
    return sizeof(weir__table) + 2 * count * sizeof(weir__record *);
}

weir__table *weir__table_new(weir_balancer *balancer, weir__record *const *records, size_t count,
                             uint64_t members_version)
{
    weir__table *const table = weir__alloc(&balancer->env, table_bytes(count));
    if (table == NULL)
        return NULL;
    table->members_version = members_version;
    table->count = count;
    table->records = (weir__record **)(void *)(table + 1);
    table->ready = table->records + count;
    if (count > 0)
        memcpy(table->records, records, count * sizeof(weir__record *));
    if (table_add_levels(balancer, table)) {
        weir__table_free(&table->version, balancer);
        return NULL;
    }
    return table;
}

void weir__table_free(weir__version *version, void *owner)
{
    const weir_env *const env = &((weir_balancer *)owner)->env;
    weir__table *const table = (weir__table *)version;
    for (size_t i = 0; i < table->level_count; i++) {
        weir__level *const level = &table->levels[i];
        weir__free(env, level->schedule, level->turns * sizeof *level->schedule);
        weir__free(env, level->columns, level->count * sizeof *level->columns);
    }
    weir__free(env, table->levels, table->level_count * sizeof *table->levels);
    weir__free(env, table, table_bytes(table->count));
}
