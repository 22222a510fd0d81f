/* A process that writes to a store is killed, 200 times, and its folder opened again: what it was
 * told is there, no revision is given out twice, and the folder does not grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <weir/store.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS     200
#define KEYS       16
#define MOST_BYTES (96 << 10) /* Of a folder whose log has a snapshot after 8 KiB. */

/* The n-th put is of key n % KEYS, and its value is n. */
typedef struct put {
    uint64_t number, revision;
} put;

typedef struct fixture {
    char folder[32];
    put keys[KEYS];    /* The last one of each that was acknowledged. */
    put last;          /* Of all. */
    uint64_t seen;     /* The highest revision that a reader has seen. */
    uint64_t numbered; /* The highest number in the store. */
    unsigned acknowledged, rounds_with_snapshot;
    uint64_t seed;
} fixture;

static fixture f;

static uint64_t draw(uint64_t below) /* xorshift64 (Marsaglia). */
{
    f.seed ^= f.seed << 13;
    f.seed ^= f.seed >> 7;
    f.seed ^= f.seed << 17;
    return f.seed % below;
}

static weir_store *open_store(weir_store_error *error)
{
    weir_store *store = NULL;
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    options.folder = f.folder;
    options.sync = WEIR_SYNC_GROUP;
    options.segment_bytes = 4096;
    options.snapshot_bytes = 8192;
    return weir_store_create(&store, &options, error) == WEIR_OK ? store : NULL;
}

/* ---- The process that is killed ---- */

typedef struct writer {
    int pipe;
    uint64_t number; /* Of the next that is told. */
} writer;

static void told(const weir_kv_result *result, void *user)
{
    writer *const self = user;
    put const done = {.number = self->number++, .revision = result->revision};
    if (result->code != WEIR_OK || write(self->pipe, &done, sizeof done) != (ssize_t)sizeof done)
        _exit(1);
}

static int put_number(const weir_kv *kv, uint64_t number, writer *self)
{
    char key[16], value[600];
    (void)snprintf(key, sizeof key, "key%02u", (unsigned)(number % KEYS));
    int const size = snprintf(value, sizeof value, "%llu %*s", (unsigned long long)number,
                              (int)(number * 37 % 400), "");
    weir_kv_op const op = {.kind = WEIR_KV_PUT,
                           .range = {.keys = {.key = weir_bytes_of(key)}},
                           .value = {value, (size_t)size}};
    weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
    return kv->txn(kv->self, &txn, told, self);
}

/* Until it is killed. */
static void write_for_ever(int pipe, uint64_t number)
{
    writer self = {.pipe = pipe, .number = number};
    weir_store *const store = open_store(NULL);
    if (store == NULL)
        _exit(2);
    weir_kv const kv = weir_store_kv(store);
    weir_task const task = weir_store_task(store);
    for (;;) {
        for (unsigned group = 1 + (unsigned)draw(4); group > 0; group--)
            if (put_number(&kv, number++, &self) != WEIR_OK)
                _exit(3);
        if (draw(2) == 0 && weir_store_commit(store) != WEIR_OK)
            _exit(4);
        (void)task.run(task.self, 0);
    }
}

/* ---- Its parent ---- */

static void take(const put *done)
{
    assert_true(done->revision > f.last.revision && done->revision > f.seen);
    assert_true(done->number == f.last.number + 1 || done->number > f.numbered);
    f.last = f.keys[done->number % KEYS] = *done;
    f.acknowledged++;
}

/* Lets the process write for some acknowledgements and a while, and takes all that it was told. */
static void run_and_kill(void)
{
    int ends[2];
    put done;
    uint64_t const first = (f.numbered > f.last.number ? f.numbered : f.last.number) + 1;
    unsigned left = (unsigned)draw(24);
    struct timespec const moment = {.tv_nsec = (long)draw(1000000)};
    (void)draw(2); /* The child draws on from here. */
    assert_int_equal(pipe(ends), 0);
    pid_t const child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        write_for_ever(ends[1], first);
    }
    (void)close(ends[1]);
    f.last.number = first - 1;
    for (; left > 0 && read(ends[0], &done, sizeof done) == (ssize_t)sizeof done; left--)
        take(&done);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &done, sizeof done) == (ssize_t)sizeof done)
        take(&done);
    (void)close(ends[0]);
}

static bool check_pair(const weir_kv_pair *pair, void *user)
{
    char text[24] = "";
    unsigned *const found = user;
    memcpy(text, pair->value.data, pair->value.size < 23 ? pair->value.size : 23);
    uint64_t const number = strtoull(text, NULL, 10);
    const put *const told_of = &f.keys[number % KEYS];
    assert_true(number >= told_of->number);
    if (number == told_of->number)
        assert_int_equal(pair->mod_revision, told_of->revision);
    else
        assert_true(pair->mod_revision > told_of->revision);
    f.numbered = number > f.numbered ? number : f.numbered;
    *found |= 1U << number % KEYS;
    return true;
}

static void check_folder(void)
{
    DIR *const names = opendir(f.folder);
    uint64_t bytes = 0;
    assert_non_null(names);
    for (const struct dirent *entry; (entry = readdir(names)) != NULL;) {
        char path[320];
        struct stat about;
        (void)snprintf(path, sizeof path, "%s/%s", f.folder, entry->d_name);
        if (stat(path, &about) == 0 && S_ISREG(about.st_mode))
            bytes += (uint64_t)about.st_size;
    }
    (void)closedir(names);
    assert_in_range(bytes, 0, MOST_BYTES);
}

static void check_store(void)
{
    weir_store_error error;
    weir_store_stats stats;
    unsigned found = 0;
    weir_kv_range const all = {.keys = {{"", 1}, {"", 1}}};
    weir_store *const store = open_store(&error);
    if (store == NULL)
        print_message("%s at %llu: %s\n", error.file, (unsigned long long)error.offset,
                      error.message);
    assert_non_null(store);
    assert_int_equal(weir_store_read(store, &all, check_pair, &found, NULL, &f.seen), WEIR_OK);
    for (unsigned key = 0; key < KEYS; key++)
        assert_true(f.keys[key].revision == 0 || (found >> key & 1) != 0);
    assert_true(f.seen >= f.last.revision);
    weir_store_get_stats(store, &stats);
    f.rounds_with_snapshot += stats.snapshot_revision != 0;
    weir_store_destroy(store);
    check_folder();
}

static void no_kill_loses_what_was_acknowledged_or_gives_a_revision_out_again(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_and_kill();
        check_store();
    }
    assert_true(f.acknowledged > ROUNDS);
    assert_true(f.rounds_with_snapshot > ROUNDS / 2);
}

static int setup(void **state)
{
    (void)state;
    f = (fixture){.folder = "/tmp/weir-store-XXXXXX", .seed = 88172645463325252};
    (void)alarm(120);
    return mkdtemp(f.folder) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    DIR *const names = opendir(f.folder);
    for (const struct dirent *entry; names != NULL && (entry = readdir(names)) != NULL;) {
        char path[320];
        (void)snprintf(path, sizeof path, "%s/%s", f.folder, entry->d_name);
        (void)unlink(path);
    }
    if (names != NULL)
        (void)closedir(names);
    return rmdir(f.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            no_kill_loses_what_was_acknowledged_or_gives_a_revision_out_again, setup, teardown),
    };
    return cmocka_run_group_tests_name("store, killed", tests, NULL, NULL);
}
