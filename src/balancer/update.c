#include "balancer/balancer.h"

#include "base/xxhash.h"

#include <string.h>

#define UPDATE_MAX_MEMBERS   1000000
#define UPDATE_MAX_WEIGHT    65535
#define UPDATE_MAX_IN_FLIGHT 16000000

static bool update_member_valid(const weir_member *member)
{
    return member->id != NULL && member->id[0] != '\0' && member->weight <= UPDATE_MAX_WEIGHT &&
           member->max_in_flight <= UPDATE_MAX_IN_FLIGHT &&
           (member->label_count == 0 || member->labels != NULL);
}

/* The record in force under this id, or NULL. */
static weir__record *update_old(const weir__roster *old, const char *id)
{
    return weir__map_get(&old->by_id, id, strlen(id));
}

/* A new record goes on from what the old one of its id was; one of a new id begins slowly. */
static void update_take_over(const weir_balancer *balancer, weir__record *record,
                             const weir__record *old, bool starts, uint64_t now_ns)
{
    /* Among those never picked, chance decides who is longest so; a turn takes more bits. */
    const char *const id = record->member.id;
    atomic_store(&record->last_turn, weir__xxhash64(id, strlen(id), balancer->seed) >> 33);
    record->warming_ns = starts ? now_ns : WEIR_NEVER;
    if (old == NULL)
        return;
    record->warming_ns = old->warming_ns;
    atomic_store(&record->flags, atomic_load(&old->flags));
}

/* The records of the next roster: the old one where nothing changed, or a new one. */
static int update_add(weir_balancer *balancer, const weir__roster *old_roster, weir__roster *next,
                      const weir_member *member, uint64_t now_ns)
{
    if (!update_member_valid(member))
        return WEIR_EINVAL;
    size_t const id_size = strlen(member->id);
    if (weir__map_get(&next->by_id, member->id, id_size) != NULL)
        return WEIR_EINVAL;
    weir__record *const old = update_old(old_roster, member->id);
    weir__record *record = old;
    if (old == NULL || !weir__record_same(old, member)) {
        record = weir__record_new(&balancer->env, member);
        if (record == NULL)
            return WEIR_ENOMEM;
        update_take_over(balancer, record, old, old_roster->count > 0, now_ns);
    }
    next->records[next->count++] = record;
    return weir__map_put(&next->by_id, record->member.id, id_size, record);
}

static void update_discard(weir_balancer *balancer, const weir__roster *old, weir__roster *next)
{
    for (uint32_t i = 0; i < next->count; i++)
        if (update_old(old, next->records[i]->member.id) != next->records[i])
            weir__record_free(&balancer->env, next->records[i]);
}

/* After the new table is in force: nobody can find a record any more that is not in it. */
static void update_retire(weir_balancer *balancer, weir__roster *old, const weir__roster *next)
{
    uint64_t const mark = weir__grace_mark();
    for (uint32_t i = 0; i < old->count; i++) {
        weir__record *const record = old->records[i];
        if (update_old(next, record->member.id) == record)
            continue;
        record->left = mark;
        record->next = balancer->left;
        balancer->left = record;
    }
}

static void update_publish(weir_balancer *balancer, weir__table *table, uint64_t now_ns)
{
    const weir__table *const old_table = weir__snapshot_get(&balancer->table);
    weir__roster *const old = old_table->roster;
    old->refs++; /* The old table may go. */
    for (uint32_t i = 0; i < table->roster->count; i++) {
        weir__record *const record = table->roster->records[i];
        weir__record *const elder = update_old(old, record->member.id);
        if (elder != NULL && elder != record)
            weir__record_succeed(record, elder);
    }
    weir__table_publish(balancer, table, now_ns);
    update_retire(balancer, old, table->roster);
    weir__roster_release(&balancer->env, old);
    weir__records_sweep(balancer);
}

static int update_replace(weir_balancer *balancer, const weir_member *members, uint32_t count,
                          uint64_t version)
{
    uint64_t const now_ns = weir__now_ns(&balancer->env);
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    weir__roster *const next = weir__roster_new(&balancer->env, count);
    if (next == NULL)
        return WEIR_ENOMEM;
    int result = WEIR_OK;
    next->version = version;
    for (uint32_t i = 0; result == WEIR_OK && i < count; i++)
        result = update_add(balancer, table->roster, next, &members[i], now_ns);
    weir__table *made = NULL;
    if (result == WEIR_OK) {
        made = weir__table_new(balancer, table->config, next, now_ns);
        result = made != NULL ? WEIR_OK : WEIR_ENOMEM;
    }
    if (made != NULL)
        update_publish(balancer, made, now_ns);
    else
        update_discard(balancer, table->roster, next);
    weir__roster_release(&balancer->env, next);
    return result;
}

int weir_balancer_update(weir_balancer *balancer, const weir_member *members, size_t count,
                         uint64_t version)
{
    if (count > UPDATE_MAX_MEMBERS || (count > 0 && members == NULL))
        return WEIR_EINVAL;
    pthread_mutex_lock(&balancer->lock);
    int result = WEIR_OK;
    if (version != 0 && version < balancer->newest)
        result = WEIR_ESTALE;
    else if (version == 0 || version > balancer->newest)
        result = update_replace(balancer, members, (uint32_t)count, version);
    if (result == WEIR_OK && version > balancer->newest)
        balancer->newest = version;
    pthread_mutex_unlock(&balancer->lock);
    return result;
}
