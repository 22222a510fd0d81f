#include "balancer/balancer.h"

#include <string.h>

#define BALANCER_MAX_MEMBERS   1000000
#define BALANCER_MAX_WEIGHT    65535
#define BALANCER_MAX_IN_FLIGHT 16000000

/* A next version in the making: everything that can fail is done before anything changes. */
typedef struct balancer_draft {
    weir__record **records; /* One a member: the old record if nothing changed, or a new one. */
    size_t count, made;
    weir__map by_id;
    weir__table *table;
} balancer_draft;

static bool member_valid(const weir_member *member)
{
    return member->id != NULL && member->id[0] != '\0' && member->weight <= BALANCER_MAX_WEIGHT &&
           member->max_in_flight <= BALANCER_MAX_IN_FLIGHT &&
           (member->label_count == 0 || member->labels != NULL);
}

static weir__record *draft_old(const weir_balancer *balancer, const weir__record *record)
{
    return weir__map_get(&balancer->by_id, record->member.id, strlen(record->member.id));
}

static int draft_add(weir_balancer *balancer, balancer_draft *draft, const weir_member *member)
{
    if (!member_valid(member))
        return WEIR_EINVAL;
    size_t const id_size = strlen(member->id);
    if (weir__map_get(&draft->by_id, member->id, id_size) != NULL)
        return WEIR_EINVAL;
    weir__record *const old = weir__map_get(&balancer->by_id, member->id, id_size);
    weir__record *record = old;
    if (old == NULL || !weir__record_same(old, member))
        record = weir__record_new(&balancer->env, member);
    if (record == NULL)
        return WEIR_ENOMEM;
    if (old != NULL && record != old)
        atomic_store(&record->flags, atomic_load(&old->flags));
    draft->records[draft->made++] = record;
    return weir__map_put(&draft->by_id, record->member.id, id_size, record);
}

static void draft_free(weir_balancer *balancer, balancer_draft *draft, bool records_too)
{
    for (size_t i = 0; records_too && i < draft->made; i++)
        if (draft_old(balancer, draft->records[i]) != draft->records[i])
            weir__record_free(&balancer->env, draft->records[i]);
    weir__free(&balancer->env, draft->records, (draft->count + 1) * sizeof(weir__record *));
    weir__map_free(&draft->by_id);
}

static int draft_make(weir_balancer *balancer, balancer_draft *draft, const weir_member *members,
                      uint64_t version)
{
    weir__map_init(&draft->by_id, &balancer->env);
    draft->records = weir__alloc(&balancer->env, (draft->count + 1) * sizeof(weir__record *));
    if (draft->records == NULL || weir__map_reserve(&draft->by_id, draft->count))
        return WEIR_ENOMEM;
    for (size_t i = 0; i < draft->count; i++) {
        int const result = draft_add(balancer, draft, &members[i]);
        if (result != WEIR_OK)
            return result;
    }
    draft->table = weir__table_new(balancer, draft->records, draft->count, version);
    return draft->table != NULL ? WEIR_OK : WEIR_ENOMEM;
}

/* After the new table is in force: nobody can find a record any more that is not in it. */
static void draft_retire_old(weir_balancer *balancer, const balancer_draft *draft)
{
    uint64_t const mark = weir__grace_mark();
    weir__record *record;
    for (size_t i = 0; (record = weir__map_next(&balancer->by_id, &i)) != NULL;) {
        weir__record *const heir =
            weir__map_get(&draft->by_id, record->member.id, strlen(record->member.id));
        if (heir == record)
            continue;
        record->heir = heir;
        record->left = mark;
        record->next = balancer->left;
        balancer->left = record;
    }
}

/* Before the new table is in force: from its first pick on, an heir counts its elder's calls. */
static void draft_link_elders(weir_balancer *balancer, const balancer_draft *draft)
{
    for (size_t i = 0; i < draft->count; i++) {
        weir__record *const record = draft->records[i], *const old = draft_old(balancer, record);
        if (old != NULL && old != record) {
            atomic_store(&record->elder, old);
            atomic_store(&record->latency_ns, atomic_load(&old->latency_ns));
        }
    }
}

static void draft_publish(weir_balancer *balancer, balancer_draft *draft)
{
    draft_link_elders(balancer, draft);
    weir__snapshot_set(&balancer->table, &draft->table->version);
    draft_retire_old(balancer, draft);
    weir__map const old_map = balancer->by_id;
    balancer->by_id = draft->by_id;
    draft->by_id = old_map;
    weir__records_sweep(balancer);
}

static int balancer_replace(weir_balancer *balancer, const weir_member *members, size_t count,
                            uint64_t version)
{
    balancer_draft draft = {.count = count};
    int const result = draft_make(balancer, &draft, members, version);
    if (result == WEIR_OK)
        draft_publish(balancer, &draft);
    draft_free(balancer, &draft, result != WEIR_OK);
    return result;
}

int weir_balancer_update(weir_balancer *balancer, const weir_member *members, size_t count,
                         uint64_t version)
{
    if (count > BALANCER_MAX_MEMBERS || (count > 0 && members == NULL))
        return WEIR_EINVAL;
    pthread_mutex_lock(&balancer->lock);
    int result = WEIR_OK;
    if (version != 0 && version < balancer->newest)
        result = WEIR_ESTALE;
    else if (version == 0 || version > balancer->newest)
        result = balancer_replace(balancer, members, count, version);
    if (result == WEIR_OK && version > balancer->newest)
        balancer->newest = version;
    pthread_mutex_unlock(&balancer->lock);
    return result;
}

int weir_balancer_create(weir_balancer **out, const weir_balancer_options *options)
{
    *out = NULL;
    weir_balancer_options loaded = WEIR_BALANCER_OPTIONS_INIT;
    weir_env env;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (loaded.algorithm < WEIR_ROUND_ROBIN || loaded.algorithm > WEIR_LEAST_REQUEST ||
        weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_balancer *const balancer = weir__alloc(&env, sizeof *balancer);
    if (balancer == NULL)
        return WEIR_ENOMEM;
    balancer->env = env;
    balancer->algorithm = loaded.algorithm;
    balancer->start = weir__random(&env);
    atomic_store(&balancer->draws, weir__random(&env));
    weir__map_init(&balancer->by_id, &balancer->env);
    weir__snapshot_init(&balancer->table, weir__table_free, balancer);
    pthread_mutex_init(&balancer->lock, NULL);
    weir__table *const empty = weir__table_new(balancer, NULL, 0, 0);
    if (empty != NULL)
        weir__snapshot_set(&balancer->table, &empty->version);
    else
        weir_balancer_destroy(balancer);
    *out = empty != NULL ? balancer : NULL;
    return empty != NULL ? WEIR_OK : WEIR_ENOMEM;
}

void weir_balancer_destroy(weir_balancer *balancer)
{
    if (balancer == NULL)
        return;
    weir_env const env = balancer->env;
    weir__snapshot_free(&balancer->table);
    weir__record *record;
    for (size_t i = 0; (record = weir__map_next(&balancer->by_id, &i)) != NULL;)
        weir__record_free(&env, record);
    weir__map_free(&balancer->by_id);
    while ((record = balancer->left) != NULL) {
        balancer->left = record->next;
        weir__record_free(&env, record);
    }
    pthread_mutex_destroy(&balancer->lock);
    weir__free(&env, balancer, sizeof *balancer);
}
