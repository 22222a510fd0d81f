/* The store's log. Bytes as they come, as a segment or a snapshot: opened or refused, with no more
 * memory than the file is long. And a log that is written, crashed or damaged as the bytes say:
 * what is read back are its first records, and after a crash all that were acknowledged. */
#include "support/fuzz.h"

#include "base/crc32c.h"
#include "store/log.h"
#include "support/fake_files.h"

#define MEMORY_BESIDE_FILE (64 << 10)
#define MOST_SNAPSHOTS     8 /* The fake disk has room for 64 files. */

typedef struct input {
    const uint8_t *data;
    size_t size, at;
} input;

typedef struct fuzzed {
    fake_files disk;
    size_t live, most; /* Bytes allocated. */
    uint32_t records;  /* Replayed. */
    bool plain;        /* Records may be anything. */
} fuzzed;

static fuzzed f;

static uint8_t input_next(input *in)
{
    return in->at < in->size ? in->data[in->at++] : 0;
}

static void *counted(void *ptr, size_t old_size, size_t new_size, void *user)
{
    (void)user;
    f.live += new_size - old_size;
    f.most = f.live > f.most ? f.live : f.most;
    if (new_size > 0)
        return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static uint64_t always_7(void *user)
{
    (void)user;
    return 7;
}

/* A record is its number, and filling. */
static int replay(void *user, uint64_t revision, const void *data, size_t size)
{
    (void)user;
    FUZZ_CHECK(size > 0);
    f.records++;
    uint32_t number = 0;
    memcpy(&number, data, size < sizeof number ? size : sizeof number);
    FUZZ_CHECK(f.plain || (number == f.records && revision >= number));
    return WEIR_OK;
}

static int open_log(weir__log **log, const weir_env *env, const weir__files *files)
{
    weir_store_error error;
    weir__log_options const options = {.env = env,
                                       .files = files,
                                       .folder = "folder",
                                       .segment_bytes = 4096};
    f.records = 0;
    int const result = weir__log_open(log, &options, replay, NULL, &error);
    FUZZ_CHECK(error.code == result && (result == WEIR_OK || result == WEIR_ECORRUPT));
    FUZZ_CHECK((*log != NULL) == (result == WEIR_OK));
    return result;
}

/* Opened twice, it is the same. */
static int check_opening(const weir_env *env, const weir__files *files)
{
    fake_files before;
    weir__log *log;
    int const result = open_log(&log, env, files);
    uint32_t const records = f.records;
    weir__log_close(log);
    FUZZ_CHECK(f.live == 0);
    fake_files_copy(&f.disk, &before);
    FUZZ_CHECK(open_log(&log, env, files) == result && f.records == records);
    weir__log_close(log);
    FUZZ_CHECK(fake_files_equal(&f.disk, &before));
    fake_files_free(&before);
    return result;
}

/* ---- Bytes as they come ---- */

static void put_file(const char *name, const uint8_t *data, size_t size, bool mend)
{
    int const handle = fake_open(&f.disk, FAKE_FOLDER, name, true);
    unsigned char check[4];
    FUZZ_CHECK(size == 0 || fake_write_at(&f.disk, handle, data, size, 0) == (ssize_t)size);
    if (mend && size >= 40) {
        uint32_t const sum = weir__crc32c(0, data, 36);
        for (unsigned i = 0; i < 4; i++)
            check[i] = (unsigned char)(sum >> (8 * i));
        FUZZ_CHECK(fake_write_at(&f.disk, handle, check, sizeof check, 36) == 4);
    }
    fake_close(&f.disk, handle);
}

static void try_bytes(input *in, const weir_env *env, const weir__files *files)
{
    uint8_t const way = input_next(in);
    const uint8_t *const data = in->data + in->at;
    size_t const size = in->size - in->at;
    f.plain = true;
    put_file(way % 2 == 0 ? "log-0000000000000001" : "snapshot-0000000000000001", data, size,
             way / 2 % 2 == 0);
    if (way / 4 % 2 == 1)
        put_file("log-0000000000000002", data, size, false);
    (void)check_opening(env, files);
    FUZZ_CHECK(f.most <= 2 * size + MEMORY_BESIDE_FILE);
}

/* ---- A log that lives ---- */

static void take_snapshot(weir__log *log, uint32_t records)
{
    int result = weir__log_snapshot_begin(log, records);
    FUZZ_CHECK(result == WEIR_OK);
    for (uint32_t number = 1; number <= records && result == WEIR_OK; number++)
        result = weir__log_snapshot_add(log, &number, sizeof number);
    FUZZ_CHECK(result == WEIR_OK && weir__log_snapshot_end(log) == WEIR_OK);
}

/* How many were acknowledged. */
static uint32_t live(input *in, weir__log *log, uint32_t *records)
{
    unsigned char data[1400];
    uint32_t safe = 0;
    unsigned snapshots = 0;
    for (unsigned steps = input_next(in) % 48; steps > 0; steps--) {
        uint8_t const what = input_next(in);
        ++*records;
        memset(data, what % 3 == 0 ? 0 : what, sizeof data);
        memcpy(data, records, sizeof *records);
        size_t const size = sizeof *records + 5 * (size_t)input_next(in);
        FUZZ_CHECK(weir__log_append(log, *records, data, size) == WEIR_OK);
        if (what % 4 != 0)
            FUZZ_CHECK(weir__log_flush(log, what % 4 == 1) == WEIR_OK);
        safe = what % 4 == 1 ? *records : safe;
        if (what / 4 % 8 == 7 && snapshots++ < MOST_SNAPSHOTS) {
            take_snapshot(log, *records);
            safe = *records;
        }
    }
    return safe;
}

static bool reached(void *user)
{
    return input_next(user) % 2 == 0;
}

static void crash(input *in)
{
    fake_files after;
    fake_files_crash(&f.disk, &after, reached, in);
    fake_files_free(&f.disk);
    f.disk = after;
    for (int i = 0; i < FAKE_FILES; i++)
        f.disk.files[i].pending_end = &f.disk.files[i].pending;
}

static void damage(input *in)
{
    const fake_name *const name = &f.disk.now[input_next(in) % 8];
    fake_bytes *const file = &f.disk.files[name->file].now;
    if (name->name[0] == 0 || file->size == 0)
        return;
    size_t const place = (input_next(in) + 256 * (size_t)input_next(in)) % file->size;
    uint8_t const how = input_next(in);
    if (how % 3 == 0)
        file->data[place] ^= (unsigned char)(1U << how / 3 % 8);
    else if (how % 3 == 1)
        memset(file->data + place, 0, file->size - place < 512 ? file->size - place : 512);
    else
        file->size = place;
    for (int i = 0; i < FAKE_FILES; i++) { /* On disk too. */
        fake_drop_pending(&f.disk.files[i]);
        fake_copy(&f.disk.files[i].disk, &f.disk.files[i].now);
    }
}

static void try_life(input *in, const weir_env *env, const weir__files *files)
{
    weir__log *log;
    uint32_t records = 0;
    uint8_t const way = input_next(in);
    FUZZ_CHECK(open_log(&log, env, files) == WEIR_OK);
    uint32_t const safe = live(in, log, &records);
    weir__log_close(log);
    if (way % 2 == 0)
        crash(in);
    if (way % 3 == 0)
        damage(in);
    int const result = check_opening(env, files);
    FUZZ_CHECK(f.records <= records);
    FUZZ_CHECK(way % 3 == 0 || (result == WEIR_OK && f.records >= safe));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_env hooks = WEIR_ENV_INIT;
    weir_env env;
    input in = {.data = data, .size = size};
    f = (fuzzed){.plain = false};
    hooks.realloc_fn = counted;
    hooks.random = always_7;
    FUZZ_CHECK(weir__env_load(&env, &hooks) == WEIR_OK);
    fake_files_init(&f.disk);
    weir__files const files = fake_files_hooks(&f.disk);
    if (input_next(&in) % 2 == 0)
        try_bytes(&in, &env, &files);
    else
        try_life(&in, &env, &files);
    fake_files_free(&f.disk);
    return 0;
}
