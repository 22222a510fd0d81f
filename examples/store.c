/* A store in memory: a transaction that succeeds once, a watch, the past, and a lease that ends.
 * With options.folder it is durable; the rest stays the same. */
#include <weir/store.h>

#include <stdio.h>

static bool tell(const weir_kv_watch_event *event, void *user)
{
    (void)user;
    for (size_t i = 0; i < event->count; i++) {
        const weir_kv_pair *const pair = &event->events[i].pair;
        printf("  revision %u: %s %.*s\n", (unsigned)pair->mod_revision,
               event->events[i].kind == WEIR_KV_PUT ? "put" : "deleted", (int)pair->key.size,
               (const char *)pair->key.data);
    }
    return true;
}

static void report(const weir_kv_result *result, void *user)
{
    printf("%s %s the leader\n", (const char *)user, result->succeeded ? "is" : "is not");
}

static bool show(const weir_kv_pair *pair, void *user)
{
    printf("%s leader: %.*s\n", (const char *)user, (int)pair->value.size,
           (const char *)pair->value.data);
    return true;
}

int main(void)
{
    weir_store *store;
    uint64_t watch;
    weir_bytes const key = weir_bytes_of("leader");
    if (weir_store_create(&store, NULL, NULL) != WEIR_OK)
        return 1;
    weir_kv const kv = weir_store_kv(store);
    weir_kv_watch const all = {.keys = {.key = key}, .fn = tell};
    weir_kv_compare const nobody = {.key = key, .target = WEIR_KV_CREATE_REVISION, .number = 0};
    static char names[2][8] = {"anna", "bert"}, before[] = "before,";
    int result = kv.watch(kv.self, &all, &watch) || kv.grant(kv.self, 7, 10000, NULL, NULL);
    for (int i = 0; i < 2 && result == 0; i++) { /* Who comes first, leads. */
        weir_kv_op const lead = {.kind = WEIR_KV_PUT,
                                 .range = {.keys = {.key = key}},
                                 .value = weir_bytes_of(names[i]),
                                 .lease = 7};
        weir_kv_txn const txn = {&nobody, 1, &lead, 1, NULL, 0};
        result = kv.txn(kv.self, &txn, report, names[i]);
    }
    uint64_t const then = weir_store_revision(store);
    result = result || kv.revoke(kv.self, 7, NULL, NULL); /* As if it had not been kept alive. */
    weir_kv_range const past = {.keys = {.key = key}, .revision = then};
    result = result || weir_store_read(store, &past, show, before, NULL, NULL);
    weir_store_destroy(store);
    return result == 0 ? 0 : 1;
}
