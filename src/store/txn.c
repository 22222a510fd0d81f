#include "store/store.h"

#include <string.h>

/* ---- What is asked ---- */

static int txn_check_op(const weir_kv_op *op, uint64_t *bytes)
{
    if (op->kind == WEIR_KV_PUT) {
        *bytes += op->range.keys.key.size + op->value.size;
        if (op->value.data == NULL && op->value.size > 0)
            return WEIR_EINVAL;
        return weir__kv_keys_check(&(weir_kv_keys){op->range.keys.key, {NULL, 0}});
    }
    *bytes += op->range.keys.key.size + op->range.keys.end.size;
    return op->kind == WEIR_KV_DELETE || op->kind == WEIR_KV_RANGE
               ? weir__kv_keys_check(&op->range.keys)
               : WEIR_EINVAL;
}

static int txn_check_compare(const weir_kv_compare *compare)
{
    if (compare->key.size == 0 || compare->key.data == NULL ||
        (unsigned)compare->target > WEIR_KV_VALUE || (unsigned)compare->relation > WEIR_KV_LESS ||
        (compare->value.data == NULL && compare->value.size > 0))
        return WEIR_EINVAL;
    return WEIR_OK;
}

static int txn_check_branch(const weir_store *store, const weir_kv_op *ops, size_t count)
{
    uint64_t bytes = 0;
    if (count > store->options.max_ops)
        return WEIR_ETOOLARGE;
    for (size_t i = 0; i < count; i++)
        if (txn_check_op(&ops[i], &bytes) != WEIR_OK)
            return WEIR_EINVAL;
    return bytes > store->options.max_bytes ? WEIR_ETOOLARGE : WEIR_OK;
}

static int txn_check(const weir_store *store, const weir_kv_txn *txn)
{
    if (weir__store_failed(store))
        return WEIR_EREADONLY;
    if (txn->compare_count > store->options.max_ops)
        return WEIR_ETOOLARGE;
    for (size_t i = 0; i < txn->compare_count; i++)
        if (txn_check_compare(&txn->compares[i]) != WEIR_OK)
            return WEIR_EINVAL;
    int const result = txn_check_branch(store, txn->then_ops, txn->then_count);
    return result != WEIR_OK ? result : txn_check_branch(store, txn->else_ops, txn->else_count);
}

/* ---- Whether it holds ---- */

static bool txn_related(int order, weir_kv_relation relation)
{
    switch (relation) {
    case WEIR_KV_EQUAL: return order == 0;
    case WEIR_KV_NOT_EQUAL: return order != 0;
    case WEIR_KV_GREATER: return order > 0;
    case WEIR_KV_LESS: return order < 0;
    }
    return false;
}

static bool txn_holds(const weir_store *store, const weir_kv_compare *compare)
{
    const weir__kv_version *const found = weir__space_find(store, compare->key);
    uint64_t number = 0;
    switch (compare->target) {
    case WEIR_KV_CREATE_REVISION: number = found != NULL ? found->create_revision : 0; break;
    case WEIR_KV_MOD_REVISION: number = found != NULL ? found->mod_revision : 0; break;
    case WEIR_KV_VERSION: number = found != NULL ? found->version : 0; break;
    case WEIR_KV_LEASE: number = found != NULL ? found->lease : 0; break;
    case WEIR_KV_VALUE:
        return found != NULL &&
               txn_related(weir__bytes_compare((weir_bytes){found->value, found->size},
                                               compare->value),
                           compare->relation);
    }
    return txn_related((number > compare->number) - (number < compare->number), compare->relation);
}

static bool txn_all_hold(const weir_store *store, const weir_kv_txn *txn)
{
    for (size_t i = 0; i < txn->compare_count; i++)
        if (!txn_holds(store, &txn->compares[i]))
            return false;
    return true;
}

/* ---- What it does ---- */

int weir__pairs_add(weir_store *store, const weir__kv_key *key, const weir__kv_version *version,
                    bool key_only)
{
    if (store->pair_count == store->pair_capacity) {
        size_t const capacity = store->pair_capacity == 0 ? 16 : 2 * store->pair_capacity;
        weir_kv_pair *const pairs =
            weir__resize(&store->env, store->pairs, store->pair_capacity * sizeof *pairs,
                         capacity * sizeof *pairs);
        if (pairs == NULL)
            return WEIR_ENOMEM;
        weir__store_count(&store->bytes, capacity * sizeof *pairs,
                          store->pair_capacity * sizeof *pairs);
        store->pairs = pairs;
        store->pair_capacity = capacity;
    }
    weir_kv_pair *const pair = &store->pairs[store->pair_count++];
    *pair = weir__kv_pair_of(key, version);
    if (key_only)
        pair->value = (weir_bytes){NULL, 0};
    return WEIR_OK;
}

/* What the key is now, for the caller, who gets to see what an operation replaces. */
static int txn_note(weir_store *store, bool wanted, const weir__kv_key *key)
{
    const weir__kv_version *const version =
        key == NULL ? NULL : atomic_load_explicit(&key->newest, memory_order_relaxed);
    return wanted && version != NULL && version->version > 0
               ? weir__pairs_add(store, key, version, false)
               : WEIR_OK;
}

static int txn_put(weir_store *store, const weir_kv_op *op, bool wanted)
{
    weir_bytes const key = op->range.keys.key;
    if (op->lease != 0 && weir__lease_find(store, op->lease) == NULL)
        return WEIR_ENOTFOUND;
    if (wanted && txn_note(store, true, weir__index_find(&store->index, key)) != WEIR_OK)
        return WEIR_ENOMEM;
    if (store->log != NULL)
        weir__codec_put(&store->record, key, op->value, op->lease);
    return weir__space_put(store, key, op->value, op->lease);
}

static int txn_delete(weir_store *store, const weir_kv_op *op, bool wanted)
{
    weir__index_cursor cursor;
    weir__kv_key *key = weir__space_first(store, &op->range.keys, &cursor);
    for (; key != NULL; key = weir__space_next(&op->range.keys, &cursor)) {
        int result = txn_note(store, wanted, key);
        if (result == WEIR_OK)
            result = weir__space_delete(store, key);
        if (result != WEIR_OK)
            return result;
        if (store->log != NULL)
            weir__codec_delete(&store->record, weir__kv_key_bytes(key));
    }
    return WEIR_OK;
}

static int txn_op(weir_store *store, const weir_kv_op *op, bool wanted, uint64_t *total)
{
    *total = 0;
    switch (op->kind) {
    case WEIR_KV_PUT: return txn_put(store, op, wanted);
    case WEIR_KV_DELETE: return txn_delete(store, op, wanted);
    case WEIR_KV_RANGE: break;
    }
    return wanted ? weir__read_pairs(store, &op->range, UINT64_MAX, total) : WEIR_OK;
}

/* ---- As a whole ---- */

void weir__txn_forget(weir_store *store, uint64_t place)
{
    weir__text_clear(&store->record);
    weir__space_undo(store, place);
}

int weir__txn_append(weir_store *store, uint64_t place)
{
    int result = weir__text_ok(&store->record) ? WEIR_OK : WEIR_ENOMEM;
    if (result == WEIR_OK && store->log != NULL && store->record.size > 0)
        result =
            weir__log_append(store->log, store->pending, store->record.data, store->record.size);
    store->asked += result == WEIR_OK;
    if (result != WEIR_OK)
        weir__space_undo(store, place);
    weir__text_clear(&store->record);
    return result;
}

/* Where each operation's pairs end is noted in the reply; they follow when all are known. */
static int txn_ops(weir_store *store, const weir_kv_op *ops, size_t count, weir__reply *notes)
{
    int result = WEIR_OK;
    store->pair_count = 0;
    for (size_t i = 0; i < count && result == WEIR_OK; i++) {
        uint64_t total;
        result = txn_op(store, &ops[i], notes != NULL, &total);
        if (notes != NULL)
            notes->results[i] = (weir_kv_op_result){.count = store->pair_count, .total = total};
    }
    return result;
}

static weir__reply *txn_finish_reply(weir_store *store, weir__reply *notes, size_t count)
{
    weir__reply *const reply = weir__reply_new(store, count, store->pair_count);
    if (reply == NULL)
        return NULL;
    weir_kv_pair *const pairs = (weir_kv_pair *)(void *)&reply->results[count];
    if (store->pair_count > 0)
        memcpy(pairs, store->pairs, store->pair_count * sizeof *pairs);
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        size_t const end = notes->results[i].count;
        reply->results[i] =
            (weir_kv_op_result){&pairs[begin], end - begin, notes->results[i].total};
        begin = end;
    }
    reply->result =
        (weir_kv_result){.revision = store->pending, .results = reply->results, .count = count};
    return reply;
}

static int txn_apply(weir_store *store, const weir_kv_op *ops, size_t count, weir__reply *notes,
                     weir__reply **reply)
{
    uint64_t const place = weir__history_end(store), before = store->pending;
    store->pending = before + 1;
    int result = txn_ops(store, ops, count, notes);
    if (weir__history_end(store) == place)
        store->pending = before; /* Nothing has changed. */
    if (result == WEIR_OK && notes != NULL) {
        *reply = txn_finish_reply(store, notes, count);
        result = *reply == NULL ? WEIR_ENOMEM : WEIR_OK;
    }
    if (result == WEIR_OK)
        result = weir__txn_append(store, place);
    else
        weir__txn_forget(store, place);
    if (result != WEIR_OK) {
        store->pending = before;
        weir__reply_free(store, *reply);
        *reply = NULL;
    }
    return result;
}

/* Failures that a server, too, would only find when it looks at its data. */
static bool txn_is_told(int result)
{
    return result == WEIR_ENOTFOUND || result == WEIR_ECOMPACTED;
}

static int txn_told(weir_store *store, int code, weir__reply **reply)
{
    *reply = weir__reply_new(store, 0, 0);
    if (*reply == NULL)
        return WEIR_ENOMEM;
    (*reply)->result.code = code;
    (*reply)->result.revision =
        code == WEIR_ECOMPACTED ? atomic_load(&store->compacted) : store->pending;
    return WEIR_OK;
}

int weir__txn_run(weir_store *store, const weir_kv_txn *txn, bool wanted, weir__reply **reply)
{
    *reply = NULL;
    int result = txn_check(store, txn);
    if (result != WEIR_OK)
        return result;
    bool const holds = txn_all_hold(store, txn);
    size_t const count = holds ? txn->then_count : txn->else_count;
    weir__reply *const notes = wanted ? weir__reply_new(store, count, 0) : NULL;
    if (wanted && notes == NULL)
        return WEIR_ENOMEM;
    result = txn_apply(store, holds ? txn->then_ops : txn->else_ops, count, notes, reply);
    weir__reply_free(store, notes);
    if (*reply != NULL)
        (*reply)->result.succeeded = holds;
    return wanted && txn_is_told(result) ? txn_told(store, result, reply) : result;
}

int weir__txn_kv(void *self, const weir_kv_txn *txn, weir_kv_result_fn done, void *user)
{
    weir_store *const store = self;
    weir__reply *reply;
    weir__store_enter(store);
    int const result = weir__txn_run(store, txn, done != NULL, &reply);
    if (reply != NULL) {
        reply->done = done;
        reply->user = user;
        weir__reply_add(store, reply);
    }
    if (result == WEIR_OK)
        weir__store_settle(store);
    weir__store_leave(store);
    return result;
}

static int txn_range_reply(weir_store *store, const weir_kv_range *range, weir__reply **reply)
{
    uint64_t total = 0;
    uint64_t const committed = atomic_load(&store->committed);
    store->pair_count = 0;
    int const result = weir__read_pairs(store, range, committed, &total);
    if (result == WEIR_ECOMPACTED)
        return txn_told(store, result, reply);
    if (result != WEIR_OK)
        return result;
    *reply = weir__reply_new(store, 1, store->pair_count);
    if (*reply == NULL)
        return WEIR_ENOMEM;
    weir_kv_pair *const pairs = (weir_kv_pair *)(void *)&(*reply)->results[1];
    if (store->pair_count > 0)
        memcpy(pairs, store->pairs, store->pair_count * sizeof *pairs);
    (*reply)->results[0] = (weir_kv_op_result){pairs, store->pair_count, total};
    (*reply)->result = (weir_kv_result){.revision = committed,
                                        .succeeded = true,
                                        .results = (*reply)->results,
                                        .count = 1};
    return WEIR_OK;
}

int weir__range_kv(void *self, const weir_kv_range *range, weir_kv_result_fn done, void *user)
{
    weir_store *const store = self;
    weir__reply *reply = NULL;
    int result = weir__kv_keys_check(&range->keys);
    if (result != WEIR_OK || done == NULL)
        return result;
    weir__store_enter(store);
    result = txn_range_reply(store, range, &reply);
    if (reply != NULL)
        done(&reply->result, user);
    weir__reply_free(store, reply);
    weir__store_leave(store);
    return result;
}

/* ---- One at a time ---- */

static int txn_alone(weir_store *store, const weir_kv_op *op, uint64_t *changes, uint64_t *revision)
{
    weir_kv_txn const txn = {.then_ops = op, .then_count = 1};
    weir__reply *none;
    weir__store_enter(store);
    uint64_t const place = weir__history_end(store);
    int result = weir__txn_run(store, &txn, false, &none);
    *changes = weir__history_end(store) - place;
    *revision = store->pending;
    if (result == WEIR_OK)
        result = weir__commit(store);
    weir__store_leave(store);
    return result;
}

int weir_store_put(weir_store *store, weir_bytes key, weir_bytes value, uint64_t lease,
                   uint64_t *revision)
{
    weir_kv_op const op = {.kind = WEIR_KV_PUT,
                           .range = {.keys = {.key = key}},
                           .value = value,
                           .lease = lease};
    uint64_t changes, at;
    int const result = txn_alone(store, &op, &changes, &at);
    if (revision != NULL)
        *revision = at;
    return result;
}

int weir_store_delete(weir_store *store, const weir_kv_keys *keys, uint64_t *deleted)
{
    weir_kv_op const op = {.kind = WEIR_KV_DELETE, .range = {.keys = *keys}};
    uint64_t changes, at;
    int const result = txn_alone(store, &op, &changes, &at);
    if (deleted != NULL)
        *deleted = result == WEIR_OK ? changes : 0;
    return result;
}
