/* Random worlds: two processes that write the same keys, watchers that pause and resume, history
 * that is compacted, restarts. Beside them goes a model: a list of values for each layer. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/config.h>
#include <weir/store.h>

#include <stdio.h>
#include <string.h>

#define LAYERS   12
#define VERSIONS 200
#define STEPS    150
#define KEPT     4

/* Values by version, from 1; empty = a deletion. */
typedef struct layer {
    char name[16];
    const char *environment, *label;
    unsigned version;
    char values[VERSIONS][12];
} layer;

typedef struct watcher {
    struct world *w;
    weir_config_watcher *handle;
    unsigned heard[LAYERS]; /* Versions. */
    uint64_t revision;
    bool pausing, paused, over;
} watcher;

typedef struct world {
    fake_env fake;
    weir__rng rng;
    weir_store *store;
    weir_kv kv;
    weir_config_options options;
    weir_config *configs[2];
    layer layers[LAYERS];
    watcher watchers[2];
    unsigned serial;
    uint64_t digest;
} world;

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static void note(world *w, uint64_t value)
{
    w->digest = (w->digest ^ value) * UINT64_C(1099511628211);
}

static bool there(const layer *l)
{
    return l->version > 0 && l->values[l->version][0] != '\0';
}

/* ---- Watchers: no version is left out, none comes twice, unless they are told ---- */

static bool hear(const weir_config_event *event, void *user)
{
    watcher *const self = user;
    world *const w = self->w;
    if (event->kind == WEIR_CONFIG_OVER) {
        SEED_CHECK(event->code == WEIR_ECOMPACTED);
        self->over = true;
        return true;
    }
    SEED_CHECK(!self->paused);
    SEED_CHECK(event->revision >= self->revision);
    self->revision = event->revision;
    for (size_t i = 0; i < LAYERS; i++) {
        const layer *const l = &w->layers[i];
        if (strcmp(event->value.name, l->name) != 0 ||
            strcmp(event->value.environment, l->environment != NULL ? l->environment : "") != 0 ||
            strcmp(event->value.label, l->label != NULL ? l->label : "") != 0)
            continue;
        SEED_CHECK(event->value.version == self->heard[i] + 1);
        SEED_CHECK(event->previous.version == self->heard[i] || event->previous.version == 0);
        self->heard[i]++;
        const char *const value = l->values[self->heard[i]];
        SEED_CHECK(event->value.deleted == (value[0] == '\0'));
        SEED_CHECK(event->value.value.size == strlen(value));
        SEED_CHECK(memcmp(value, event->value.value.size > 0 ? event->value.value.data : "",
                          strlen(value)) == 0);
    }
    self->paused = self->pausing && below(w, 3) == 0;
    return !self->paused;
}

/* From what is there now. */
static void listen(world *w, size_t i)
{
    watcher *const self = &w->watchers[i];
    weir_config_status status;
    if (self->handle != NULL)
        weir_config_watch_stop(self->handle);
    *self = (watcher){.w = w, .pausing = i == 1};
    for (size_t k = 0; k < LAYERS; k++)
        self->heard[k] = w->layers[k].version;
    weir_config_get_status(w->configs[i], &status);
    weir_config_watch const watch = {.pattern = i == 0 ? "**" : "?/*",
                                     .revision = below(w, 2) == 0 ? 0 : status.revision + 1,
                                     .fn = hear,
                                     .user = self};
    SEED_CHECK(weir_config_watch_start(&self->handle, w->configs[i], &watch) == WEIR_OK);
}

static void let_time_pass(world *w)
{
    weir_task const task = weir_store_task(w->store);
    (void)task.run(task.self, w->fake.now_ns);
    for (size_t i = 0; i < 2; i++) {
        weir_task const sync = weir_config_task(w->configs[i]);
        (void)sync.run(sync.self, w->fake.now_ns);
    }
}

/* ---- Writes ---- */

typedef struct end {
    unsigned told;
    weir_config_result result;
} end;

static void note_end(const weir_config_result *result, void *user)
{
    end *const out = user;
    out->told++;
    out->result = *result;
}

/* The model follows before the watchers hear of it: they come within the call. */
static void become(layer *l, const char *value)
{
    memmove(l->values[++l->version], value, strlen(value) + 1);
}

static void check_end(const end *e, int code, bool succeeded)
{
    SEED_CHECK(e->told == 1);
    SEED_CHECK(e->result.code == code);
    SEED_CHECK(code != WEIR_OK || e->result.succeeded == succeeded);
}

/* One or two layers; with a comparison that holds, or not. */
static void write_some(world *w, weir_config *config)
{
    weir_config_change changes[2];
    char values[2][12];
    size_t const count = 1 + (size_t)below(w, 2);
    size_t const first = (size_t)below(w, LAYERS);
    bool holds = true;
    for (size_t i = 0; i < count; i++) {
        const layer *const l = &w->layers[(first + i * 5) % LAYERS];
        (void)snprintf(values[i], sizeof values[i], "%u", ++w->serial);
        changes[i] = (weir_config_change){.name = l->name,
                                          .environment = l->environment,
                                          .label = l->label,
                                          .remove = below(w, 4) == 0,
                                          .value = weir_bytes_of(values[i]),
                                          .compare = below(w, 3) == 0};
        bool const right = below(w, 3) != 0;
        changes[i].version = there(l) ? l->version : 0;
        if (!right)
            changes[i].version += 1 + below(w, 3);
        holds = holds && (right || !changes[i].compare);
    }
    unsigned before[2];
    for (size_t i = 0; holds && i < count; i++) {
        layer *const l = &w->layers[(first + i * 5) % LAYERS];
        before[i] = l->version;
        if (!changes[i].remove || there(l))
            become(l, changes[i].remove ? "" : values[i]);
    }
    end e = {.told = 0};
    SEED_CHECK(weir_config_apply(config, changes, count, note_end, &e, NULL) == WEIR_OK);
    check_end(&e, WEIR_OK, holds);
    if (holds && w->layers[first].version > before[0])
        SEED_CHECK(e.result.version == w->layers[first].version);
    note(w, e.result.revision);
}

static void roll_back(world *w, weir_config *config)
{
    layer *const l = &w->layers[below(w, LAYERS)];
    unsigned const version = 1 + (unsigned)below(w, l->version + 2);
    bool const kept =
        version < l->version && version + KEPT >= l->version && l->values[version][0] != '\0';
    end e = {.told = 0};
    if (kept)
        become(l, l->values[version]);
    SEED_CHECK(weir_config_rollback(config, l->name, l->environment, l->label, version, note_end,
                                    &e) == WEIR_OK);
    check_end(&e, kept ? WEIR_OK : WEIR_ENOTFOUND, true);
}

static void note_versions(const weir_config_versions *versions, void *user)
{
    const layer *const l = user;
    size_t const past = l->version > KEPT ? KEPT : (l->version > 0 ? l->version - 1 : 0);
    SEED_CHECK(versions->code == WEIR_OK);
    SEED_CHECK(versions->count == past + (l->version > 0));
    for (size_t i = 0; i < versions->count; i++) {
        const weir_config_value *const value = &versions->values[i];
        SEED_CHECK(value->version == l->version - past + i);
        SEED_CHECK(value->value.size == strlen(l->values[value->version]));
    }
}

/* ---- Worlds ---- */

static const char *expected_for(const world *w, const char *name, const weir_config_client *client)
{
    const char *value = NULL;
    int best = -1;
    for (size_t i = 0; i < LAYERS; i++) {
        const layer *const l = &w->layers[i];
        bool const fits =
            strcmp(l->name, name) == 0 && there(l) &&
            (l->environment == NULL ||
             (client->environment != NULL && strcmp(l->environment, client->environment) == 0)) &&
            (l->label == NULL || (client->label != NULL && strcmp(l->label, client->label) == 0));
        int const rank = 2 * (l->environment != NULL) + (l->label != NULL);
        if (fits && rank > best) {
            best = rank;
            value = l->values[l->version];
        }
    }
    return value;
}

static void check_reads(world *w)
{
    static const weir_config_client clients[] = {{.environment = NULL},
                                                 {.environment = "test"},
                                                 {.environment = "test", .label = "blue"},
                                                 {.label = "blue"},
                                                 {.environment = "live"}};
    for (size_t c = 0; c < sizeof clients / sizeof clients[0]; c++)
        for (size_t i = 0; i < LAYERS; i += 4)
            for (size_t k = 0; k < 2; k++) {
                char value[16];
                const char *const expected = expected_for(w, w->layers[i].name, &clients[c]);
                int const code = weir_config_get(w->configs[k], w->layers[i].name, &clients[c],
                                                 value, sizeof value, NULL);
                SEED_CHECK(code == (expected != NULL ? WEIR_OK : WEIR_ENOTFOUND));
                SEED_CHECK(expected == NULL || strcmp(value, expected) == 0);
            }
}

static void restart(world *w, size_t i)
{
    weir_config_watch_stop(w->watchers[i].handle);
    w->watchers[i].handle = NULL;
    weir_config_destroy(w->configs[i]);
    SEED_CHECK(weir_config_create(&w->configs[i], &w->options) == WEIR_OK);
    listen(w, i);
}

static void step(world *w)
{
    size_t const who = (size_t)below(w, 2);
    watcher *const slow = &w->watchers[1];
    switch (below(w, 12)) {
    case 0: roll_back(w, w->configs[who]); break;
    case 1: {
        layer *const l = &w->layers[below(w, LAYERS)];
        SEED_CHECK(weir_config_history(w->configs[who], l->name, l->environment, l->label,
                                       note_versions, l) == WEIR_OK);
        break;
    }
    case 2:
        if (below(w, 6) == 0)
            SEED_CHECK(weir_store_compact(w->store, weir_store_revision(w->store)) != WEIR_EINVAL);
        break;
    case 3:
        if (below(w, 6) == 0)
            restart(w, who);
        break;
    case 4:
    case 5:
        if (slow->paused && !slow->over) {
            slow->paused = false;
            SEED_CHECK(weir_config_resume(slow->handle) == WEIR_OK);
        }
        break;
    default: write_some(w, w->configs[who]); break;
    }
    let_time_pass(w);
    for (size_t i = 0; i < 2; i++)
        if (w->watchers[i].over)
            listen(w, i);
}

static void check_heard(world *w)
{
    watcher *const slow = &w->watchers[1];
    slow->pausing = false;
    while (slow->paused) {
        slow->paused = false;
        SEED_CHECK(weir_config_resume(slow->handle) == WEIR_OK);
        let_time_pass(w);
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < LAYERS; k++)
            SEED_CHECK(w->watchers[i].over || w->watchers[i].heard[k] == w->layers[k].version);
}

static void begin(world *w)
{
    static const char *const environments[] = {NULL, "test", NULL, "test"};
    static const char *const labels[] = {NULL, NULL, "blue", "blue"};
    w->options = (weir_config_options)WEIR_CONFIG_OPTIONS_INIT;
    w->options.kv = &w->kv;
    w->options.history = KEPT;
    w->options.page = 1 + (uint32_t)below(w, 20);
    for (size_t i = 0; i < LAYERS; i++) {
        layer *const l = &w->layers[i];
        (void)snprintf(l->name, sizeof l->name, "%c/n", (char)('a' + i / 4));
        l->environment = environments[i % 4];
        l->label = labels[i % 4];
    }
}

static uint64_t live(uint64_t seed)
{
    static world w;
    w = (world){.fake = {.now_ns = 1, .wall_ns = 1, .random = seed, .random_step = seed}};
    weir_env const env = fake_env_hooks(&w.fake);
    weir_store_options store = WEIR_STORE_OPTIONS_INIT;
    weir__rng_seed(&w.rng, seed);
    store.env = &env;
    store.history = 20 + below(&w, 200);
    begin(&w);
    w.options.env = &env;
    SEED_CHECK(weir_store_create(&w.store, &store, NULL) == WEIR_OK);
    w.kv = weir_store_kv(w.store);
    for (size_t i = 0; i < 2; i++) {
        SEED_CHECK(weir_config_create(&w.configs[i], &w.options) == WEIR_OK);
        listen(&w, i);
    }
    for (int i = 0; i < STEPS; i++) {
        step(&w);
        check_reads(&w);
    }
    check_heard(&w);
    for (size_t i = 0; i < 2; i++)
        weir_config_destroy(w.configs[i]);
    weir_store_destroy(w.store);
    SEED_CHECK(w.fake.live == 0 && w.fake.live_bytes == 0);
    return w.digest;
}

static void hangs_together(uint64_t seed)
{
    uint64_t const digest = live(seed);
    if (seed % 16 == 0)
        SEED_CHECK(live(seed) == digest);
}

static void two_processes_agree_with_a_list_of_values_in_every_world(void **state)
{
    (void)state;
    seeds_run(1000, hangs_together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_agree_with_a_list_of_values_in_every_world),
    };
    return cmocka_run_group_tests_name("config_sim", tests, NULL, NULL);
}
