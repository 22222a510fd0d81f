/*
 * Records of the log and the snapshot: operations one after the other, each a letter and its
 * fields; numbers in base 128, least significant first (LEB128); bytes behind their size.
 *
 *   P key value lease      put              D key    delete
 *   G id ttl_ms            grant a lease    R id     it is over; its keys are deleted by D before
 *   S next_lease_id        a snapshot of this revision begins
 *   K key value create_revision mod_revision version lease    a pair in it
 */
#include "store/store.h"

/* ---- Writing ---- */

static void codec_number(weir__text *record, uint64_t number)
{
    unsigned char bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (unsigned char)(number % 128 + (number >= 128 ? 128 : 0));
        number /= 128;
    } while (number > 0);
    weir__text_bytes(record, bytes, size);
}

static void codec_bytes(weir__text *record, weir_bytes bytes)
{
    codec_number(record, bytes.size);
    weir__text_bytes(record, bytes.data, bytes.size);
}

void weir__codec_put(weir__text *record, weir_bytes key, weir_bytes value, uint64_t lease)
{
    weir__text_str(record, "P");
    codec_bytes(record, key);
    codec_bytes(record, value);
    codec_number(record, lease);
}

void weir__codec_delete(weir__text *record, weir_bytes key)
{
    weir__text_str(record, "D");
    codec_bytes(record, key);
}

void weir__codec_grant(weir__text *record, uint64_t id, uint64_t ttl_ms)
{
    weir__text_str(record, "G");
    codec_number(record, id);
    codec_number(record, ttl_ms);
}

void weir__codec_revoke(weir__text *record, uint64_t id)
{
    weir__text_str(record, "R");
    codec_number(record, id);
}

void weir__codec_begin(weir__text *record, uint64_t next_lease_id)
{
    weir__text_str(record, "S");
    codec_number(record, next_lease_id);
}

void weir__codec_pair(weir__text *record, const weir_kv_pair *pair)
{
    weir__text_str(record, "K");
    codec_bytes(record, pair->key);
    codec_bytes(record, pair->value);
    codec_number(record, pair->create_revision);
    codec_number(record, pair->mod_revision);
    codec_number(record, pair->version);
    codec_number(record, pair->lease);
}

/* ---- Reading ---- */

typedef struct codec_reader {
    const unsigned char *at, *end;
    bool broken;
} codec_reader;

static uint64_t codec_read_number(codec_reader *reader)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        unsigned char const byte = *reader->at++;
        uint64_t const part = (uint64_t)(byte % 128) << shift;
        if (part >> shift != byte % 128)
            break;
        number |= part;
        if (byte < 128)
            return number;
    }
    reader->broken = true;
    return 0;
}

static weir_bytes codec_read_bytes(codec_reader *reader)
{
    uint64_t const size = codec_read_number(reader);
    weir_bytes bytes = {reader->at, 0};
    if (size > (uint64_t)(reader->end - reader->at)) {
        reader->broken = true;
        return bytes;
    }
    bytes.size = (size_t)size;
    reader->at += size;
    return bytes;
}

/* As old as the snapshot: a pair in it, and never a change. */
static bool codec_is_old(const weir_store *store)
{
    return store->pending < store->watchable;
}

static int codec_replay_put(weir_store *store, codec_reader *reader)
{
    weir_bytes const key = codec_read_bytes(reader);
    weir_bytes const value = codec_read_bytes(reader);
    uint64_t const lease = codec_read_number(reader);
    if (reader->broken || key.size == 0 || codec_is_old(store))
        return WEIR_ECORRUPT;
    return weir__space_put(store, key, value, lease);
}

static int codec_replay_delete(weir_store *store, codec_reader *reader)
{
    weir_bytes const bytes = codec_read_bytes(reader);
    if (reader->broken || bytes.size == 0 || codec_is_old(store) ||
        weir__space_find(store, bytes) == NULL)
        return WEIR_ECORRUPT;
    return weir__space_delete(store, weir__index_find(&store->index, bytes));
}

static int codec_replay_grant(weir_store *store, codec_reader *reader)
{
    uint64_t const id = codec_read_number(reader);
    uint64_t const ttl_ms = codec_read_number(reader);
    if (reader->broken || id == 0)
        return WEIR_ECORRUPT;
    return weir__lease_restore(store, id, ttl_ms);
}

static int codec_replay_revoke(weir_store *store, codec_reader *reader)
{
    weir__lease *const lease = weir__lease_find(store, codec_read_number(reader));
    if (reader->broken)
        return WEIR_ECORRUPT;
    if (lease != NULL)
        weir__lease_forget(store, lease);
    return WEIR_OK;
}

static int codec_replay_pair(weir_store *store, codec_reader *reader)
{
    weir_kv_pair pair = {.key = codec_read_bytes(reader)};
    pair.value = codec_read_bytes(reader);
    pair.create_revision = codec_read_number(reader);
    pair.mod_revision = codec_read_number(reader);
    pair.version = codec_read_number(reader);
    pair.lease = codec_read_number(reader);
    if (reader->broken || pair.key.size == 0 || pair.version == 0 || pair.create_revision == 0 ||
        pair.create_revision > pair.mod_revision || pair.mod_revision > store->pending ||
        !codec_is_old(store)) /* It is not of a snapshot. */
        return WEIR_ECORRUPT;
    return weir__space_restore(store, &pair);
}

/* History begins behind it. */
static int codec_replay_begin(weir_store *store, codec_reader *reader, uint64_t revision)
{
    if (atomic_load_explicit(&store->version_count, memory_order_relaxed) > 0)
        return WEIR_ECORRUPT;
    store->next_lease_id = codec_read_number(reader);
    store->watchable = revision + 1;
    atomic_store_explicit(&store->compacted, revision, memory_order_relaxed);
    return reader->broken ? WEIR_ECORRUPT : WEIR_OK;
}

static int codec_replay_one(weir_store *store, codec_reader *reader, uint64_t revision)
{
    switch (*reader->at++) {
    case 'P': return codec_replay_put(store, reader);
    case 'D': return codec_replay_delete(store, reader);
    case 'G': return codec_replay_grant(store, reader);
    case 'R': return codec_replay_revoke(store, reader);
    case 'S': return codec_replay_begin(store, reader, revision);
    case 'K': return codec_replay_pair(store, reader);
    default: return WEIR_ECORRUPT;
    }
}

int weir__codec_replay(void *user, uint64_t revision, const void *data, size_t size)
{
    weir_store *const store = user;
    codec_reader reader = {data, (const unsigned char *)data + size, false};
    if (revision < store->pending)
        return WEIR_ECORRUPT;
    store->pending = revision;
    while (reader.at < reader.end) {
        int const result = codec_replay_one(store, &reader, revision);
        if (result != WEIR_OK)
            return result == WEIR_EINVAL ? WEIR_ECORRUPT : result;
    }
    uint64_t const place = weir__history_end(store), changes = place - store->committed_place;
    store->committed_place = place;
    weir__history_trim(store, changes);
    return WEIR_OK;
}
