#include "store/store.h"

#define LEASES_SLICE   100 /* That one run of the task looks at. */
#define LEASES_RETRY   (100 * WEIR__NS_PER_MS)
#define LEASES_MAX_TTL UINT64_C(9000000000000)

weir__lease *weir__lease_find(const weir_store *store, uint64_t id)
{
    return weir__map_get(&store->leases, (const char *)&id, sizeof id);
}

/* ---- Keys ---- */

static void leases_detach(weir__kv_link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = link;
}

void weir__lease_attach(weir_store *store, weir__kv_key *key, uint64_t id)
{
    weir__lease *const lease = id == 0 ? NULL : weir__lease_find(store, id);
    weir__kv_link *const link = &key->of_lease;
    leases_detach(link);
    if (lease == NULL)
        return;
    link->next = &lease->keys;
    link->prev = lease->keys.prev;
    link->prev->next = link;
    lease->keys.prev = link;
}

/* ---- Leases ---- */

static uint64_t leases_deadline(const weir_store *store, const weir__lease *lease)
{
    return weir__add_ns(weir__now_ns(&store->env), weir__mul_ns(lease->ttl_ms, WEIR__NS_PER_MS));
}

/* NULL: out of memory. */
static weir__lease *leases_add(weir_store *store, uint64_t id, uint64_t ttl_ms)
{
    weir__lease *const lease = weir__alloc(&store->env, sizeof *lease);
    if (lease == NULL)
        return NULL;
    lease->id = id;
    lease->ttl_ms = ttl_ms;
    lease->keys.next = lease->keys.prev = &lease->keys;
    lease->deadline_ns = leases_deadline(store, lease);
    if (weir__map_put(&store->leases, (const char *)&lease->id, sizeof lease->id, lease) !=
        WEIR_OK) {
        weir__free(&store->env, lease, sizeof *lease);
        return NULL;
    }
    if (weir__heap_set(&store->deadlines, &lease->timer, lease->deadline_ns) != WEIR_OK) {
        (void)weir__map_remove(&store->leases, (const char *)&lease->id, sizeof lease->id);
        weir__free(&store->env, lease, sizeof *lease);
        return NULL;
    }
    lease->next = &store->all_leases;
    lease->prev = store->all_leases.prev;
    lease->prev->next = lease;
    store->all_leases.prev = lease;
    weir__store_count(&store->lease_count, 1, 0);
    weir__store_count(&store->bytes, sizeof *lease, 0);
    return lease;
}

void weir__lease_forget(weir_store *store, weir__lease *lease)
{
    if (store->snapshot.lease == lease)
        store->snapshot.lease = lease->next;
    while (lease->keys.next != &lease->keys)
        leases_detach(lease->keys.next);
    lease->next->prev = lease->prev;
    lease->prev->next = lease->next;
    weir__heap_remove(&store->deadlines, &lease->timer);
    (void)weir__map_remove(&store->leases, (const char *)&lease->id, sizeof lease->id);
    weir__free(&store->env, lease, sizeof *lease);
    weir__store_count(&store->lease_count, 0, 1);
    weir__store_count(&store->bytes, 0, sizeof *lease);
}

int weir__lease_restore(weir_store *store, uint64_t id, uint64_t ttl_ms)
{
    weir__lease *const lease = weir__lease_find(store, id);
    if (id >= store->next_lease_id && id < UINT64_MAX)
        store->next_lease_id = id + 1;
    if (lease != NULL) {
        lease->ttl_ms = ttl_ms;
        return WEIR_OK;
    }
    return leases_add(store, id, ttl_ms) == NULL ? WEIR_ENOMEM : WEIR_OK;
}

void weir__leases_arm(weir_store *store)
{
    for (weir__lease *lease = store->all_leases.next; lease != &store->all_leases;
         lease = lease->next)
        lease->deadline_ns = leases_deadline(store, lease);
}

void weir__leases_free(weir_store *store)
{
    while (store->all_leases.next != &store->all_leases)
        weir__lease_forget(store, store->all_leases.next);
    weir__heap_free(&store->deadlines);
    weir__map_free(&store->leases);
}

/* ---- Requests ---- */

static int leases_reply(weir_store *store, const weir_kv_lease_result *result,
                        weir_kv_lease_fn done, void *user, weir__reply **reply)
{
    *reply = NULL;
    if (done == NULL)
        return WEIR_OK;
    *reply = weir__reply_new(store, 0, 0);
    if (*reply == NULL)
        return WEIR_ENOMEM;
    (*reply)->lease_done = done;
    (*reply)->user = user;
    (*reply)->lease = *result;
    return WEIR_OK;
}

/* Tells what is known without a change, in its turn. */
static int leases_answer(weir_store *store, const weir_kv_lease_result *answer,
                         weir_kv_lease_fn done, void *user)
{
    weir__reply *reply;
    int const result = leases_reply(store, answer, done, user, &reply);
    if (reply != NULL) {
        weir__reply_add(store, reply);
        weir__store_settle(store);
    }
    return result;
}

static int leases_grant(weir_store *store, uint64_t id, uint64_t ttl_ms, weir_kv_lease_fn done,
                        void *user)
{
    weir__reply *reply;
    weir_kv_lease_result const granted = {WEIR_OK, id, ttl_ms};
    if (leases_reply(store, &granted, done, user, &reply) != WEIR_OK)
        return WEIR_ENOMEM;
    weir__lease *const lease = leases_add(store, id, ttl_ms);
    int result = lease == NULL ? WEIR_ENOMEM : WEIR_OK;
    if (result == WEIR_OK) {
        weir__codec_grant(&store->record, id, ttl_ms);
        result = weir__txn_append(store, weir__history_end(store));
    }
    if (result != WEIR_OK) {
        if (lease != NULL)
            weir__lease_forget(store, lease);
        weir__reply_free(store, reply);
        return result;
    }
    if (reply != NULL)
        weir__reply_add(store, reply);
    weir__store_settle(store);
    return WEIR_OK;
}

int weir__grant_kv(void *self, uint64_t id, uint64_t ttl_ms, weir_kv_lease_fn done, void *user)
{
    weir_store *const store = self;
    int result;
    if (ttl_ms == 0 || ttl_ms > LEASES_MAX_TTL)
        return WEIR_EINVAL;
    if (weir__store_failed(store))
        return WEIR_EREADONLY;
    weir__store_enter(store);
    if (id != 0 && weir__lease_find(store, id) != NULL) {
        weir_kv_lease_result const taken = {WEIR_EBUSY, id, 0};
        result = leases_answer(store, &taken, done, user);
    } else {
        while (id == 0 || weir__lease_find(store, id) != NULL)
            id = store->next_lease_id++;
        result = leases_grant(store, id, ttl_ms, done, user);
    }
    weir__store_leave(store);
    return result;
}

int weir__keep_alive_kv(void *self, uint64_t id, weir_kv_lease_fn done, void *user)
{
    weir_store *const store = self;
    weir__lease *const lease = weir__lease_find(store, id);
    weir_kv_lease_result result = {WEIR_ENOTFOUND, id, 0};
    if (lease != NULL) {
        lease->deadline_ns = leases_deadline(store, lease);
        result = (weir_kv_lease_result){WEIR_OK, id, lease->ttl_ms};
    }
    if (done == NULL)
        return result.code;
    weir__store_enter(store);
    done(&result, user);
    weir__store_leave(store);
    return WEIR_OK;
}

/* Its keys, in one revision; and it. */
static int leases_end(weir_store *store, weir__lease *lease)
{
    uint64_t const place = weir__history_end(store), before = store->pending;
    int result = WEIR_OK;
    if (lease->keys.next != &lease->keys)
        store->pending++;
    while (result == WEIR_OK && lease->keys.next != &lease->keys) {
        weir__kv_key *const key = (weir__kv_key *)lease->keys.next;
        weir__codec_delete(&store->record, weir__kv_key_bytes(key));
        result = weir__space_delete(store, key);
    }
    weir__codec_revoke(&store->record, lease->id);
    if (result == WEIR_OK)
        result = weir__txn_append(store, place);
    else
        weir__txn_forget(store, place);
    if (result != WEIR_OK)
        store->pending = before;
    else
        weir__lease_forget(store, lease);
    return result;
}

int weir__revoke_kv(void *self, uint64_t id, weir_kv_lease_fn done, void *user)
{
    weir_store *const store = self;
    weir__lease *const lease = weir__lease_find(store, id);
    weir_kv_lease_result const answer = {lease == NULL ? WEIR_ENOTFOUND : WEIR_OK, id, 0};
    weir__reply *reply;
    if (weir__store_failed(store))
        return WEIR_EREADONLY;
    weir__store_enter(store);
    int result = leases_reply(store, &answer, done, user, &reply);
    if (result == WEIR_OK && lease != NULL)
        result = leases_end(store, lease);
    if (result != WEIR_OK)
        weir__reply_free(store, reply);
    else if (reply != NULL)
        weir__reply_add(store, reply);
    if (result == WEIR_OK)
        weir__store_settle(store);
    weir__store_leave(store);
    return result == WEIR_OK && done == NULL ? answer.code : result;
}

/* ---- Time ---- */

uint64_t weir__leases_expire(weir_store *store, uint64_t now_ns)
{
    bool changed = false;
    for (unsigned looked = 0; looked < LEASES_SLICE; looked++) {
        weir__lease *const lease = (weir__lease *)weir__heap_first(&store->deadlines);
        if (lease == NULL || lease->timer.at_ns > now_ns || weir__store_failed(store))
            break;
        if (lease->deadline_ns > now_ns) {
            (void)weir__heap_set(&store->deadlines, &lease->timer, lease->deadline_ns);
        } else if (leases_end(store, lease) == WEIR_OK) {
            changed = true;
        } else { /* Out of memory: it is over all the same, later. */
            lease->deadline_ns = weir__add_ns(now_ns, LEASES_RETRY);
            (void)weir__heap_set(&store->deadlines, &lease->timer, lease->deadline_ns);
        }
    }
    if (changed)
        weir__store_settle(store);
    return weir__store_failed(store) ? WEIR_NEVER : weir__heap_next_ns(&store->deadlines);
}
