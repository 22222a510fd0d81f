/* Records of the store's log whose sums hold, and whose contents are anybody's: what they make is a
 * store that counts its keys right and can be read, or an error. */
#include "support/fuzz.h"

#include "store/store.h"

static bool count(const weir_kv_pair *pair, void *user)
{
    FUZZ_CHECK(pair->key.size > 0 && pair->version > 0 &&
               pair->create_revision <= pair->mod_revision);
    ++*(uint64_t *)user;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_store *store;
    weir_store_stats stats;
    uint64_t revision = 1, found = 0, total;
    if (weir_store_create(&store, NULL, NULL) != WEIR_OK)
        abort();
    while (size > 1) { /* A size, then so much of a record. */
        size_t const part = data[0] < size - 1 ? data[0] : size - 1;
        if (weir__codec_replay(store, ++revision, data + 1, part) != WEIR_OK)
            break;
        data += 1 + part;
        size -= 1 + part;
        FUZZ_CHECK(weir_store_commit(store) == WEIR_OK);
    }
    FUZZ_CHECK(weir_store_commit(store) == WEIR_OK);
    weir_kv_range const all = {.keys = {{"", 1}, {"", 1}}};
    FUZZ_CHECK(weir_store_read(store, &all, count, &found, &total, NULL) == WEIR_OK);
    weir_store_get_stats(store, &stats);
    FUZZ_CHECK(found == total && found == stats.keys);
    weir_store_destroy(store);
    return 0;
}
