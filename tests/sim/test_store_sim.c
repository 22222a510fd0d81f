/* Random worlds beside a naive model that keeps every revision whole: transactions with
 * comparisons, leases, compactions, pauses of watches and readers of the past. Whatever happens,
 * reads are what the model says, watches that follow hold what is there, and those that cannot are
 * told so. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/store.h>
#include <stdio.h>
#include <string.h>

#define KEYS    12
#define STEPS   200
#define WATCHES 4
#define LEASES  3
#define MS      UINT64_C(1000000)

typedef struct cell { /* Zero: the key is not there. */
    uint64_t create, mod, version, lease;
    unsigned value;
} cell;

typedef struct follower {
    uint64_t id, revision; /* The last one told. */
    unsigned values[KEYS];
    bool lost;
} follower;

typedef struct world {
    fake_env fake;
    weir_env env;
    weir__rng rng;
    weir_store *store;
    weir_kv kv;
    cell past[STEPS * 2 + 4][KEYS]; /* By revision. */
    uint64_t revision;
    uint64_t deadlines[LEASES + 1]; /* 0: not granted. */
    follower followers[WATCHES];
    bool last_succeeded;
} world;

static world *w;

static uint64_t below(uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static weir_bytes key_of(unsigned key)
{
    static char names[KEYS][8];
    (void)snprintf(names[key], sizeof names[key], "k%c", (char)('a' + key));
    return weir_bytes_of(names[key]);
}

static unsigned number_of(weir_bytes key)
{
    return (unsigned)(((const char *)key.data)[1] - 'a');
}

static unsigned value_of(weir_bytes value)
{
    unsigned number;
    memcpy(&number, value.data, sizeof number);
    return number;
}

/* ---- The model ---- */

static cell *now(void)
{
    return w->past[w->revision];
}

static void begin_revision(void)
{
    memcpy(w->past[w->revision + 1], w->past[w->revision], sizeof w->past[0]);
    w->revision++;
}

static void model_put(unsigned key, unsigned value, uint64_t lease)
{
    cell *const one = &now()[key];
    one->create = one->version > 0 ? one->create : w->revision;
    one->mod = w->revision;
    one->version++;
    one->lease = lease;
    one->value = value;
}

static void model_end_lease(uint64_t lease)
{
    bool any = false;
    for (unsigned key = 0; key < KEYS; key++)
        any |= now()[key].lease == lease;
    if (any)
        begin_revision();
    for (unsigned key = 0; any && key < KEYS; key++)
        if (now()[key].lease == lease)
            now()[key] = (cell){0};
    w->deadlines[lease] = 0;
}

/* ---- Steps ---- */

static void on_result(const weir_kv_result *result, void *user)
{
    (void)user;
    SEED_CHECK(result->code == WEIR_OK);
    w->last_succeeded = result->succeeded;
}

static bool model_holds(const weir_kv_compare *compare)
{
    const cell *const one = &now()[number_of(compare->key)];
    uint64_t const number = compare->target == WEIR_KV_VERSION ? one->version : one->mod;
    return compare->relation == WEIR_KV_EQUAL ? number == compare->number
                                              : number > compare->number;
}

/* Up to three different keys are put or deleted, if a comparison holds; else nothing is. */
static void step_txn(void)
{
    static unsigned values[3];
    weir_kv_op ops[3];
    unsigned keys[3];
    unsigned const count = 1 + (unsigned)below(3);
    bool changes = false;
    weir_kv_compare const compare = {.key = key_of((unsigned)below(KEYS)),
                                     .target =
                                         below(2) == 0 ? WEIR_KV_VERSION : WEIR_KV_MOD_REVISION,
                                     .relation = below(2) == 0 ? WEIR_KV_EQUAL : WEIR_KV_GREATER,
                                     .number = below(3)};
    unsigned const first = (unsigned)below(KEYS);
    for (unsigned i = 0; i < count; i++) {
        uint64_t const lease = below(LEASES + 1);
        keys[i] = (first + i * 5) % KEYS;
        values[i] = (unsigned)below(1000000);
        bool const gone = below(3) == 0;
        changes |= !gone || now()[keys[i]].version > 0;
        ops[i] = (weir_kv_op){.kind = gone ? WEIR_KV_DELETE : WEIR_KV_PUT,
                              .range = {.keys = {.key = key_of(keys[i])}},
                              .value = {&values[i], sizeof values[i]},
                              .lease = lease != 0 && w->deadlines[lease] != 0 ? lease : 0};
    }
    bool const holds = model_holds(&compare);
    weir_kv_txn const txn = {&compare, 1, ops, count, NULL, 0};
    SEED_CHECK(w->kv.txn(w->kv.self, &txn, on_result, NULL) == WEIR_OK);
    SEED_CHECK(w->last_succeeded == holds);
    if (!holds || !changes)
        return;
    begin_revision();
    for (unsigned i = 0; i < count; i++)
        if (ops[i].kind == WEIR_KV_PUT)
            model_put(keys[i], values[i], ops[i].lease);
        else
            now()[keys[i]] = (cell){0};
}

static void step_lease(void)
{
    uint64_t const lease = 1 + below(LEASES);
    if (w->deadlines[lease] == 0) {
        SEED_CHECK(w->kv.grant(w->kv.self, lease, 50, NULL, NULL) == WEIR_OK);
        w->deadlines[lease] = w->fake.now_ns + 50 * MS;
    } else if (below(2) == 0) {
        SEED_CHECK(w->kv.keep_alive(w->kv.self, lease, NULL, NULL) == WEIR_OK);
        w->deadlines[lease] = w->fake.now_ns + 50 * MS;
    } else {
        SEED_CHECK(w->kv.revoke(w->kv.self, lease, NULL, NULL) == WEIR_OK);
        model_end_lease(lease);
    }
}

/* Leases end in the order of their deadlines. */
static void step_time(void)
{
    weir_task const task = weir_store_task(w->store);
    w->fake.now_ns += 1 + below(40 * MS);
    for (;;) {
        uint64_t first = 0;
        for (uint64_t lease = 1; lease <= LEASES; lease++)
            if (w->deadlines[lease] != 0 && w->deadlines[lease] <= w->fake.now_ns &&
                (first == 0 || w->deadlines[lease] < w->deadlines[first]))
                first = lease;
        if (first == 0)
            break;
        uint64_t const now_ns = w->deadlines[first];
        model_end_lease(first);
        (void)task.run(task.self, now_ns);
    }
    (void)task.run(task.self, w->fake.now_ns);
}

/* ---- What is expected ---- */

static bool compare_pair(const weir_kv_pair *pair, void *user)
{
    cell *const left = user; /* What has not been visited yet. */
    cell *const one = &left[number_of(pair->key)];
    SEED_CHECK(pair->create_revision == one->create && pair->mod_revision == one->mod &&
               pair->version == one->version && pair->lease == one->lease &&
               value_of(pair->value) == one->value);
    *one = (cell){0};
    return true;
}

static void expect_read(uint64_t revision)
{
    static const cell nothing[KEYS];
    cell left[KEYS];
    weir_store_stats stats;
    weir_store_get_stats(w->store, &stats);
    weir_kv_range const range = {.keys = {{"k", 1}, {"l", 1}}, .revision = revision};
    memcpy(left, w->past[revision == 0 ? w->revision : revision], sizeof left);
    int const result = weir_store_read(w->store, &range, compare_pair, left, NULL, NULL);
    if (revision != 0 && revision < stats.compacted)
        SEED_CHECK(result == WEIR_ECOMPACTED);
    else
        SEED_CHECK(result == WEIR_OK && memcmp(left, nothing, sizeof left) == 0);
}

static bool follow(const weir_kv_watch_event *event, void *user)
{
    follower *const self = user;
    if (event->code == WEIR_ECOMPACTED)
        self->lost = true;
    for (size_t i = 0; i < event->count; i++) {
        const weir_kv_event *const one = &event->events[i];
        unsigned const key = number_of(one->pair.key);
        SEED_CHECK(one->pair.mod_revision >= self->revision);
        SEED_CHECK(one->previous.create_revision == 0
                       ? self->values[key] == 0
                       : value_of(one->previous.value) + 1 == self->values[key]);
        self->revision = one->pair.mod_revision;
        self->values[key] = one->kind == WEIR_KV_PUT ? value_of(one->pair.value) + 1 : 0;
    }
    return below(3) != 0; /* Otherwise it is busy for a while. */
}

static void step_follower(void)
{
    follower *const self = &w->followers[below(WATCHES)];
    if (self->id != 0 && !self->lost) {
        w->kv.resume(w->kv.self, self->id);
        return;
    }
    weir_kv_watch const watch = {.keys = {{"k", 1}, {"l", 1}}, .fn = follow, .user = self};
    *self = (follower){.revision = w->revision}; /* It reads all, then follows. */
    for (unsigned key = 0; key < KEYS; key++)
        self->values[key] = now()[key].version > 0 ? now()[key].value + 1 : 0;
    SEED_CHECK(w->kv.watch(w->kv.self, &watch, &self->id) == WEIR_OK);
}

static void expect_followers(void)
{
    for (unsigned i = 0; i < WATCHES; i++) {
        follower *const self = &w->followers[i];
        for (unsigned round = 0; self->id != 0 && round < STEPS; round++) {
            w->kv.resume(w->kv.self, self->id);
            weir_task const task = weir_store_task(w->store);
            (void)task.run(task.self, w->fake.now_ns);
        }
        for (unsigned key = 0; self->id != 0 && !self->lost && key < KEYS; key++)
            SEED_CHECK(self->values[key] == (now()[key].version > 0 ? now()[key].value + 1 : 0));
    }
}

static void step_compact(void)
{
    weir_store_stats stats;
    uint64_t const revision = 1 + below(w->revision);
    if (below(10) != 0)
        return;
    weir_store_get_stats(w->store, &stats);
    SEED_CHECK(weir_store_compact(w->store, revision) ==
               (revision <= stats.compacted ? WEIR_ECOMPACTED : WEIR_OK));
}

static void step(void)
{
    w->fake.now_ns++; /* No two deadlines are the same. */
    switch (below(8)) {
    case 0: step_lease(); break;
    case 1: step_time(); break;
    case 2: step_follower(); break;
    case 3: expect_read(1 + below(w->revision)); break;
    case 4: step_compact(); break;
    default: step_txn(); break;
    }
    SEED_CHECK(weir_store_revision(w->store) == w->revision);
    expect_read(0);
}

static void the_store_is_what_the_model_says(uint64_t seed)
{
    static world one;
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    w = &one;
    memset(w, 0, sizeof *w);
    weir__rng_seed(&w->rng, seed);
    w->fake.now_ns = w->revision = 1;
    w->env = fake_env_hooks(&w->fake);
    options.env = &w->env;
    options.history = 1 + below(60);
    SEED_CHECK(weir_store_create(&w->store, &options, NULL) == WEIR_OK);
    w->kv = weir_store_kv(w->store);
    for (unsigned i = 0; i < STEPS; i++)
        step();
    expect_followers();
    weir_store_destroy(w->store);
    SEED_CHECK(w->fake.live == 0 && w->fake.live_bytes == 0);
}

static void in_any_world(void **state)
{
    (void)state;
    seeds_run(500, the_store_is_what_the_model_says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_any_world)};
    return cmocka_run_group_tests_name("store_sim", tests, NULL, NULL);
}
