#include "balancer/balancer.h"

#include "base/real.h"

#include <string.h>

static const char *member_str(const char *str)
{
    return str != NULL ? str : "";
}

static size_t member_str_bytes(const char *str)
{
    return strlen(member_str(str)) + 1;
}

static size_t member_bytes(const weir_member *member)
{
    size_t bytes = sizeof(weir__record) + WEIR__CACHE_LINE +
                   member->label_count * sizeof(weir_label) + member_str_bytes(member->id) +
                   member_str_bytes(member->address) + member_str_bytes(member->zone);
    for (size_t i = 0; i < member->label_count; i++)
        bytes +=
            member_str_bytes(member->labels[i].key) + member_str_bytes(member->labels[i].value);
    return bytes;
}

static const char *member_copy(char **at, const char *str)
{
    size_t const bytes = member_str_bytes(str);
    char *const copy = *at;
    memcpy(copy, member_str(str), bytes);
    *at += bytes;
    return copy;
}

/* What calls write is at the start of a record: on a line of its own, it is one miss a call. */
static void *member_align(void *block)
{
    size_t const past = (uintptr_t)block % WEIR__CACHE_LINE;
    return (unsigned char *)block + (WEIR__CACHE_LINE - past);
}

weir__record *weir__record_new(const weir_env *env, const weir_member *member)
{
    size_t const bytes = member_bytes(member);
    void *const block = weir__alloc(env, bytes);
    if (block == NULL)
        return NULL;
    weir__record *const record = member_align(block);
    record->block = block;
    weir_label *const labels = (weir_label *)(void *)(record + 1);
    char *text = (char *)(labels + member->label_count);
    record->bytes = bytes;
    record->max_in_flight = member->max_in_flight;
    record->warming_ns = WEIR_NEVER;
    record->member = *member;
    record->member.id = member_copy(&text, member->id);
    record->member.address = member_copy(&text, member->address);
    record->member.zone = member_copy(&text, member->zone);
    record->member.labels = labels;
    for (size_t i = 0; i < member->label_count; i++) {
        labels[i].key = member_copy(&text, member->labels[i].key);
        labels[i].value = member_copy(&text, member->labels[i].value);
    }
    return record;
}

void weir__record_free(const weir_env *env, weir__record *record)
{
    weir__free(env, record->block, record->bytes);
}

static bool member_str_same(const char *kept, const char *given)
{
    return strcmp(kept, member_str(given)) == 0;
}

bool weir__record_same(const weir__record *record, const weir_member *member)
{
    const weir_member *const kept = &record->member;
    if (kept->weight != member->weight || kept->priority != member->priority ||
        kept->max_in_flight != member->max_in_flight || kept->user != member->user ||
        kept->label_count != member->label_count ||
        !member_str_same(kept->address, member->address) ||
        !member_str_same(kept->zone, member->zone))
        return false;
    for (size_t i = 0; i < member->label_count; i++)
        if (!member_str_same(kept->labels[i].key, member->labels[i].key) ||
            !member_str_same(kept->labels[i].value, member->labels[i].value))
            return false;
    return true;
}

void weir__record_stats(weir__record *record, weir_member_stats *stats)
{
    *stats = (weir_member_stats){
        .flags = atomic_load(&record->flags),
        .latency_ns = atomic_load_explicit(&record->latency_ns, memory_order_relaxed),
        .cost_ns = (uint64_t)weir__real_of_bits(atomic_load(&record->cost)),
        .weight = (double)weir__record_share(record) / WEIR__SHARE_ONE,
    };
    for (; record != NULL; record = atomic_load_explicit(&record->elder, memory_order_acquire)) {
        uint64_t const calls = atomic_load_explicit(&record->calls, memory_order_relaxed);
        stats->in_flight += (uint32_t)(calls & WEIR__IN_FLIGHT_MASK);
        stats->completed += calls >> WEIR__IN_FLIGHT_BITS;
        stats->failures += atomic_load_explicit(&record->failures, memory_order_relaxed);
    }
}

void weir__record_succeed(weir__record *heir, weir__record *elder)
{
    atomic_store(&heir->elder, elder);
    atomic_store(&heir->latency_ns, atomic_load(&elder->latency_ns));
    atomic_store(&heir->cost, atomic_load(&elder->cost));
    atomic_store(&heir->cost_ns, atomic_load(&elder->cost_ns));
    atomic_store(&heir->last_turn, atomic_load(&elder->last_turn));
    atomic_store(&heir->speed, atomic_load(&elder->speed));
    atomic_store(&heir->mean_ns, atomic_load(&elder->mean_ns));
    atomic_store(&heir->report, atomic_load(&elder->report));
    atomic_store(&heir->report_begin_ns, atomic_load(&elder->report_begin_ns));
    atomic_store(&heir->reported_ns, atomic_load(&elder->reported_ns));
    atomic_store(&elder->heir, heir);
}

/* What the elder counted becomes the heir's; from then on readers find the elder no more. */
static void record_inherit(weir__record *elder)
{
    weir__record *const heir = atomic_load(&elder->heir);
    uint64_t const completed = atomic_load(&elder->calls) & ~WEIR__IN_FLIGHT_MASK;
    weir__record *const next = atomic_load(&elder->elder);
    atomic_fetch_add(&heir->failures, atomic_load(&elder->failures));
    atomic_fetch_add(&heir->calls, completed);
    atomic_store(&heir->elder, next);
    if (next != NULL)
        atomic_store(&next->heir, heir);
    elder->unlinked = true;
    elder->left = weir__grace_mark();
}

/*
 * Once nobody can pick a record any more and its calls are over, it may go; an elder is then first
 * unlinked, which takes another grace period. Heirs go after their elders.
 */
void weir__records_sweep(weir_balancer *balancer)
{
    if (balancer->left == NULL)
        return;
    uint64_t const horizon = weir__grace_horizon();
    weir__record **link = &balancer->left;
    while (*link != NULL) {
        weir__record *const record = *link;
        bool const over =
            record->left <= horizon && (atomic_load_explicit(&record->calls, memory_order_acquire) &
                                        WEIR__IN_FLIGHT_MASK) == 0;
        if (over && atomic_load(&record->heir) != NULL && !record->unlinked) {
            record_inherit(record);
            link = &record->next;
        } else if (over && (record->unlinked || atomic_load(&record->elder) == NULL)) {
            *link = record->next;
            weir__record_free(&balancer->env, record);
        } else {
            link = &record->next;
        }
    }
}
