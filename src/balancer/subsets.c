/* Subsets: for each selector, the members that have its keys, parted by their values. */
#include "balancer/balancer.h"

#include "base/xxhash.h"

#include <stdlib.h>
#include <string.h>

/* A member with all keys of a selector. */
typedef struct subsets_entry {
    uint64_t hash;
    const weir_subset_selector *selectors; /* Of the config. */
    const weir_member *member;
    uint32_t selector, index;
} subsets_entry;

static const char *subsets_value(const weir_label *labels, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (labels[i].key != NULL && strcmp(labels[i].key, key) == 0)
            return labels[i].value != NULL ? labels[i].value : "";
    return NULL;
}

/* Of the values, in the order of the selector's keys; false if one is missing. */
static bool subsets_hash(const weir_subset_selector *selector, const weir_label *labels,
                         size_t count, uint64_t *hash)
{
    *hash = 0;
    for (size_t i = 0; i < selector->key_count; i++) {
        const char *const value = subsets_value(labels, count, selector->keys[i]);
        if (value == NULL)
            return false;
        *hash = weir__xxhash64(value, strlen(value), *hash + i);
    }
    return true;
}

static int subsets_compare_values(const weir_subset_selector *selector, const weir_label *a,
                                  size_t a_count, const weir_label *b, size_t b_count)
{
    int order = 0;
    for (size_t i = 0; i < selector->key_count && order == 0; i++)
        order = strcmp(subsets_value(a, a_count, selector->keys[i]),
                       subsets_value(b, b_count, selector->keys[i]));
    return order;
}

/* Same hash, selector and values: the same subset. */
static int subsets_compare_keys(const subsets_entry *a, const subsets_entry *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->selector != b->selector)
        return a->selector < b->selector ? -1 : 1;
    return subsets_compare_values(&a->selectors[a->selector], a->member->labels,
                                  a->member->label_count, b->member->labels,
                                  b->member->label_count);
}

static int subsets_compare(const void *left, const void *right)
{
    const subsets_entry *const a = left, *const b = right;
    int const order = subsets_compare_keys(a, b);
    if (order != 0)
        return order;
    return a->index < b->index ? -1 : 1;
}

static size_t subsets_gather(const weir__table *table, subsets_entry *entries)
{
    const weir_balancer_options *const options = &table->config->options;
    size_t count = 0;
    for (uint32_t selector = 0; selector < options->selector_count; selector++)
        for (uint32_t i = 0; i < table->roster->count; i++) {
            const weir_member *const member = &table->roster->records[i]->member;
            uint64_t hash;
            if (subsets_hash(&options->selectors[selector], member->labels, member->label_count,
                             &hash))
                entries[count++] = (subsets_entry){hash, options->selectors, member, selector, i};
        }
    qsort(entries, count, sizeof *entries, subsets_compare);
    return count;
}

static size_t subsets_count(const subsets_entry *entries, size_t count)
{
    size_t sets = count > 0;
    for (size_t i = 1; i < count; i++)
        sets += subsets_compare_keys(&entries[i - 1], &entries[i]) != 0;
    return sets;
}

/* One set out of the entries from `first` on; members is room for their indices. */
static int subsets_add(weir_balancer *balancer, weir__table *table, const subsets_entry *first,
                       size_t count, uint32_t *members)
{
    weir__set *const set = &table->subsets[table->subset_count++];
    *set = (weir__set){.hash = first->hash, .sample = first->index, .selector = first->selector};
    while (set->members < count && subsets_compare_keys(first, &first[set->members]) == 0) {
        members[set->members] = first[set->members].index;
        set->members++;
    }
    return weir__levels_new(balancer, table, set, members, table->shares);
}

static int subsets_make(weir_balancer *balancer, weir__table *table, const subsets_entry *entries,
                        size_t count)
{
    size_t const bytes = (table->roster->count + 1) * sizeof(uint32_t);
    uint32_t *const members = weir__alloc(&balancer->env, bytes);
    table->subset_room = subsets_count(entries, count);
    table->subsets = weir__alloc(&balancer->env, (table->subset_room + 1) * sizeof(weir__set));
    int result = members != NULL && table->subsets != NULL ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; result == WEIR_OK && i < count;) {
        result = subsets_add(balancer, table, &entries[i], count - i, members);
        i += table->subsets[table->subset_count - 1].members;
    }
    weir__free(&balancer->env, members, bytes);
    return result;
}

int weir__subsets_new(weir_balancer *balancer, weir__table *table)
{
    size_t const selectors = table->config->options.selector_count;
    if (selectors == 0)
        return WEIR_OK;
    size_t const bytes = (table->roster->count * selectors + 1) * sizeof(subsets_entry);
    subsets_entry *const entries = weir__alloc(&balancer->env, bytes);
    if (entries == NULL)
        return WEIR_ENOMEM;
    size_t const count = subsets_gather(table, entries);
    int const result = subsets_make(balancer, table, entries, count);
    weir__free(&balancer->env, entries, bytes);
    return result;
}

void weir__subsets_free(weir_balancer *balancer, weir__table *table)
{
    for (size_t i = 0; i < table->subset_count; i++)
        weir__levels_free(balancer, &table->subsets[i]);
    weir__free(&balancer->env, table->subsets, (table->subset_room + 1) * sizeof(weir__set));
}

/* The selector whose keys are just those of the pick's labels; UINT32_MAX if there is none. */
static uint32_t subsets_selector(const weir_balancer_options *options,
                                 const weir_pick_options *pick, uint64_t *hash)
{
    for (uint32_t i = 0; i < options->selector_count; i++)
        if (options->selectors[i].key_count == pick->label_count &&
            subsets_hash(&options->selectors[i], pick->labels, pick->label_count, hash))
            return i;
    return UINT32_MAX;
}

const weir__set *weir__subset_find(const weir__table *table, const weir_pick_options *options,
                                   int *result)
{
    const weir_subset_selector *const selectors = table->config->options.selectors;
    weir_member const wanted = {.labels = options->labels, .label_count = options->label_count};
    subsets_entry key = {.selectors = selectors, .member = &wanted};
    key.selector = subsets_selector(&table->config->options, options, &key.hash);
    *result = key.selector != UINT32_MAX ? WEIR_EDOWN : WEIR_EINVAL;
    if (key.selector == UINT32_MAX)
        return NULL;
    size_t low = 0, high = table->subset_count;
    while (low < high) {
        size_t const middle = low + (high - low) / 2;
        const weir__set *const set = &table->subsets[middle];
        subsets_entry const have = {.hash = set->hash,
                                    .selectors = selectors,
                                    .member = &table->roster->records[set->sample]->member,
                                    .selector = set->selector};
        int const order = subsets_compare_keys(&key, &have);
        if (order == 0)
            return set;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return selectors[key.selector].fall_back ? &table->all : NULL;
}
