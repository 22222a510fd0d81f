/*
 * A weir_kv before another, whose answers come later: requests wait until slow_kv_run(). It can
 * also refuse them, fail them, or let something happen just before.
 */
#ifndef WEIR_TEST_SLOW_KV_H
#define WEIR_TEST_SLOW_KV_H

#include <weir/kv.h>

#include <stdlib.h>
#include <string.h>

#define SLOW_KV_WAITING 4096

typedef struct slow_kv_request {
    enum { SLOW_TXN, SLOW_RANGE, SLOW_GRANT } kind;
    weir_kv_txn txn;
    weir_kv_range range;
    uint64_t id, ttl_ms;
    weir_kv_result_fn done;
    weir_kv_lease_fn leased;
    void *user;
    void *blocks[512];
    size_t block_count;
} slow_kv_request;

typedef struct slow_kv {
    weir_kv under;
    bool quick;                 /* Answers come at once. */
    int refuse;                 /* What requests return. */
    int fail;                   /* What answers say. */
    int refuse_watch;           /* What watches return. */
    void (*before)(void *user); /* Told once before the next request is served or refused. */
    void *user;
    slow_kv_request *waiting[SLOW_KV_WAITING];
    size_t count;
    unsigned txns, ranges;
} slow_kv;

static inline void *slow_kv_copy(slow_kv_request *request, const void *data, size_t size)
{
    if (size == 0)
        return NULL;
    void *const block = malloc(size);
    memcpy(block, data, size);
    request->blocks[request->block_count++] = block;
    return block;
}

static inline weir_bytes slow_kv_bytes(slow_kv_request *request, weir_bytes bytes)
{
    bytes.data = slow_kv_copy(request, bytes.data, bytes.size);
    return bytes;
}

static inline void slow_kv_ops(slow_kv_request *request, const weir_kv_op **ops, size_t count)
{
    weir_kv_op *const copy = slow_kv_copy(request, *ops, count * sizeof **ops);
    for (size_t i = 0; i < count; i++) {
        copy[i].range.keys.key = slow_kv_bytes(request, copy[i].range.keys.key);
        copy[i].range.keys.end = slow_kv_bytes(request, copy[i].range.keys.end);
        copy[i].value = slow_kv_bytes(request, copy[i].value);
    }
    *ops = copy;
}

static inline void slow_kv_before(slow_kv *slow)
{
    void (*const before)(void *) = slow->before;
    slow->before = NULL;
    if (before != NULL)
        before(slow->user);
}

static inline void slow_kv_serve(slow_kv *slow, slow_kv_request *request)
{
    slow_kv_before(slow);
    weir_kv_result const failed = {.code = slow->fail};
    int code = WEIR_OK;
    if (slow->fail != WEIR_OK && request->kind == SLOW_GRANT) {
        weir_kv_lease_result const result = {.code = slow->fail};
        request->leased(&result, request->user);
    } else if (slow->fail != WEIR_OK)
        request->done(&failed, request->user);
    else if (request->kind == SLOW_TXN)
        code = slow->under.txn(slow->under.self, &request->txn, request->done, request->user);
    else if (request->kind == SLOW_RANGE)
        code = slow->under.range(slow->under.self, &request->range, request->done, request->user);
    else
        code = slow->under.grant(slow->under.self, request->id, request->ttl_ms, request->leased,
                                 request->user);
    if (code != WEIR_OK) {
        weir_kv_result const refused = {.code = code};
        if (request->kind != SLOW_GRANT)
            request->done(&refused, request->user);
    }
    for (size_t i = 0; i < request->block_count; i++)
        free(request->blocks[i]);
    free(request);
}

static inline int slow_kv_add(slow_kv *slow, slow_kv_request *request)
{
    if (slow->quick)
        slow_kv_serve(slow, request);
    else if (slow->count < SLOW_KV_WAITING)
        slow->waiting[slow->count++] = request;
    else
        abort();
    return WEIR_OK;
}

static inline int slow_kv_txn(void *self, const weir_kv_txn *txn, weir_kv_result_fn done,
                              void *user)
{
    slow_kv *const slow = self;
    slow->txns++;
    if (slow->refuse != WEIR_OK) {
        slow_kv_before(slow);
        return slow->refuse;
    }
    slow_kv_request *const request = calloc(1, sizeof *request);
    request->kind = SLOW_TXN;
    request->txn = *txn;
    weir_kv_compare *const compares =
        slow_kv_copy(request, txn->compares, txn->compare_count * sizeof *compares);
    for (size_t i = 0; i < txn->compare_count; i++) {
        compares[i].key = slow_kv_bytes(request, compares[i].key);
        compares[i].value = slow_kv_bytes(request, compares[i].value);
    }
    request->txn.compares = compares;
    slow_kv_ops(request, &request->txn.then_ops, txn->then_count);
    slow_kv_ops(request, &request->txn.else_ops, txn->else_count);
    request->done = done;
    request->user = user;
    return slow_kv_add(slow, request);
}

static inline int slow_kv_range(void *self, const weir_kv_range *range, weir_kv_result_fn done,
                                void *user)
{
    slow_kv *const slow = self;
    slow->ranges++;
    if (slow->refuse != WEIR_OK)
        return slow->refuse;
    slow_kv_request *const request = calloc(1, sizeof *request);
    request->kind = SLOW_RANGE;
    request->range = *range;
    request->range.keys.key = slow_kv_bytes(request, range->keys.key);
    request->range.keys.end = slow_kv_bytes(request, range->keys.end);
    request->done = done;
    request->user = user;
    return slow_kv_add(slow, request);
}

static inline int slow_kv_grant(void *self, uint64_t id, uint64_t ttl_ms, weir_kv_lease_fn done,
                                void *user)
{
    slow_kv *const slow = self;
    if (slow->refuse != WEIR_OK)
        return slow->refuse;
    slow_kv_request *const request = calloc(1, sizeof *request);
    request->kind = SLOW_GRANT;
    request->id = id;
    request->ttl_ms = ttl_ms;
    request->leased = done;
    request->user = user;
    return slow_kv_add(slow, request);
}

static inline int slow_kv_watch(void *self, const weir_kv_watch *watch, uint64_t *id)
{
    slow_kv *const slow = self;
    if (slow->refuse_watch != WEIR_OK)
        return slow->refuse_watch;
    return slow->under.watch(slow->under.self, watch, id);
}

static inline void slow_kv_resume(void *self, uint64_t id)
{
    slow_kv *const slow = self;
    slow->under.resume(slow->under.self, id);
}

static inline void slow_kv_unwatch(void *self, uint64_t id)
{
    slow_kv *const slow = self;
    slow->under.unwatch(slow->under.self, id);
}

/* Serves what waits now, in order; what that asks for waits for the next run. */
static inline void slow_kv_run(slow_kv *slow)
{
    slow_kv_request *served[SLOW_KV_WAITING];
    size_t const count = slow->count;
    memcpy(served, slow->waiting, count * sizeof served[0]);
    slow->count = 0;
    for (size_t i = 0; i < count; i++)
        slow_kv_serve(slow, served[i]);
}

static inline void slow_kv_drain(slow_kv *slow)
{
    while (slow->count > 0)
        slow_kv_run(slow);
}

static inline weir_kv slow_kv_of(slow_kv *slow)
{
    weir_kv kv = slow->under;
    kv.self = slow;
    kv.txn = slow_kv_txn;
    kv.range = slow_kv_range;
    kv.grant = slow_kv_grant;
    kv.watch = slow_kv_watch;
    kv.resume = slow_kv_resume;
    kv.unwatch = slow_kv_unwatch;
    return kv;
}

#endif
