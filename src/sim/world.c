#include <weir/sim.h>

#include "sim/world.h"

#include "base/env.h"

#define SIM_MAX_NS         (UINT64_C(1) << 62)
#define SIM_FIRST_CAPACITY 16

/* Ids: the place in the table, from 1, in the low half; how often it was used before above. */
static size_t sim_place(weir_sim_id id)
{
    return (size_t)(id & UINT32_MAX);
}

/* A place for one more in table and heap. */
static int sim_reserve(weir_sim *sim)
{
    if (sim->size < sim->capacity)
        return WEIR_OK;
    size_t const capacity = sim->capacity > 0 ? sim->capacity * 2 : SIM_FIRST_CAPACITY;
    if (capacity > UINT32_MAX || weir__heap_reserve(&sim->heap, capacity))
        return WEIR_ENOMEM;
    void *const table =
        weir__resize(&sim->outer, sim->table, sim->capacity * sizeof(weir__sim_pending *),
                     capacity * sizeof(weir__sim_pending *));
    if (table == NULL)
        return WEIR_ENOMEM;
    sim->table = table;
    sim->capacity = capacity;
    return WEIR_OK;
}

weir__sim_pending *weir__sim_new(weir_sim *sim,
                                 void (*happen)(weir_sim *sim, weir__sim_pending *pending))
{
    weir__sim_pending *pending = sim->free;
    if (pending != NULL) {
        sim->free = pending->as.work.next;
        pending->id = pending->last_id + (UINT64_C(1) << 32);
    } else {
        if (sim_reserve(sim))
            return NULL;
        pending = weir__alloc(&sim->outer, sizeof *pending);
        if (pending == NULL)
            return NULL;
        sim->table[sim->size++] = pending;
        pending->id = sim->size;
    }
    pending->happen = happen;
    pending->inner = false;
    return pending;
}

void weir__sim_end(weir_sim *sim, weir__sim_pending *pending)
{
    weir__heap_remove(&sim->heap, &pending->node);
    pending->last_id = pending->id;
    pending->id = 0;
    pending->as.work.next = sim->free;
    sim->free = pending;
}

weir__sim_pending *weir__sim_find(const weir_sim *sim, weir_sim_id id)
{
    size_t const place = sim_place(id);
    if (place == 0 || place > sim->size || sim->table[place - 1]->id != id)
        return NULL;
    return sim->table[place - 1];
}

void weir__sim_set(weir_sim *sim, weir__sim_pending *pending, uint64_t at_ns)
{
    if (at_ns == WEIR_NEVER)
        weir__heap_remove(&sim->heap, &pending->node);
    else if (sim->options.shuffle)
        (void)weir__heap_set_ranked(&sim->heap, &pending->node, at_ns,
                                    weir__rng_next(&sim->shuffle));
    else
        (void)weir__heap_set(&sim->heap, &pending->node, at_ns);
}

void weir__sim_trace(weir_sim *sim, weir_sim_kind kind, weir_sim_id id, uint64_t value)
{
    weir_sim_event const event = {.at_ns = sim->now_ns, .kind = kind, .id = id, .value = value};
    sim->digest = weir__mix64(sim->digest + WEIR__GOLDEN + event.at_ns);
    sim->digest = weir__mix64(sim->digest + WEIR__GOLDEN + (uint64_t)kind);
    sim->digest = weir__mix64(sim->digest + WEIR__GOLDEN + id);
    sim->digest = weir__mix64(sim->digest + WEIR__GOLDEN + value);
    if (sim->options.on_event != NULL)
        sim->options.on_event(&event, sim->options.user);
}

static void sim_timer_happens(weir_sim *sim, weir__sim_pending *pending)
{
    weir__sim_timer const timer = pending->as.timer;
    weir_sim_id const id = pending->id;
    weir__sim_end(sim, pending);
    weir__sim_trace(sim, WEIR_SIM_TIMER, id, 0);
    timer.fn(sim->now_ns, timer.user);
}

int weir_sim_at(weir_sim *sim, uint64_t at_ns, weir_sim_timer_fn fn, void *user, weir_sim_id *id)
{
    if (fn == NULL)
        return WEIR_EINVAL;
    weir__sim_pending *const pending = weir__sim_new(sim, sim_timer_happens);
    if (pending == NULL)
        return WEIR_ENOMEM;
    pending->as.timer = (weir__sim_timer){.fn = fn, .user = user};
    weir__sim_set(sim, pending, at_ns);
    if (id != NULL)
        *id = pending->id;
    return WEIR_OK;
}

/* The task may end itself, or wake itself, while it runs. */
static void sim_task_happens(weir_sim *sim, weir__sim_pending *pending)
{
    weir_task const task = pending->as.task;
    weir_sim_id const id = pending->id;
    weir__sim_trace(sim, WEIR_SIM_TASK, id, 0);
    uint64_t const next_ns = task.run(task.self, sim->now_ns);
    if (weir__sim_find(sim, id) != NULL)
        (void)weir_sim_wake(sim, id, next_ns);
}

int weir_sim_add_task(weir_sim *sim, weir_task task, uint64_t first_ns, weir_sim_id *id)
{
    if (task.run == NULL)
        return WEIR_EINVAL;
    weir__sim_pending *const pending = weir__sim_new(sim, sim_task_happens);
    if (pending == NULL)
        return WEIR_ENOMEM;
    pending->as.task = task;
    weir__sim_set(sim, pending, first_ns);
    if (id != NULL)
        *id = pending->id;
    return WEIR_OK;
}

int weir_sim_wake(weir_sim *sim, weir_sim_id id, uint64_t at_ns)
{
    weir__sim_pending *const pending = weir__sim_find(sim, id);
    if (pending == NULL || pending->happen != sim_task_happens)
        return WEIR_ENOTFOUND;
    if (pending->node.place == 0 || at_ns < pending->node.at_ns)
        weir__sim_set(sim, pending, at_ns);
    return WEIR_OK;
}

int weir_sim_cancel(weir_sim *sim, weir_sim_id id)
{
    weir__sim_pending *const pending = weir__sim_find(sim, id);
    if (pending == NULL || pending->inner)
        return WEIR_ENOTFOUND;
    weir__sim_end(sim, pending);
    return WEIR_OK;
}

bool weir_sim_step(weir_sim *sim)
{
    weir__heap_node *const first = weir__heap_first(&sim->heap);
    if (first == NULL || sim->events >= sim->options.max_events)
        return false;
    weir__sim_pending *const pending = (weir__sim_pending *)first;
    weir__heap_remove(&sim->heap, first);
    if (first->at_ns > sim->now_ns)
        sim->now_ns = first->at_ns;
    sim->events++;
    pending->happen(sim, pending);
    return true;
}

int weir_sim_run_until(weir_sim *sim, uint64_t until_ns)
{
    while (weir__heap_next_ns(&sim->heap) <= until_ns && weir__heap_first(&sim->heap) != NULL)
        if (!weir_sim_step(sim))
            return WEIR_ETOOLARGE;
    if (until_ns > sim->now_ns && until_ns != WEIR_NEVER)
        sim->now_ns = until_ns;
    return WEIR_OK;
}

int weir_sim_run(weir_sim *sim)
{
    while (weir_sim_step(sim)) {
    }
    return weir__heap_first(&sim->heap) == NULL ? WEIR_OK : WEIR_ETOOLARGE;
}

static void *sim_hook_realloc(void *ptr, size_t old_size, size_t new_size, void *user)
{
    const weir_env *const outer = &((weir_sim *)user)->outer;
    return outer->realloc_fn(ptr, old_size, new_size, outer->user);
}

static uint64_t sim_hook_now_ns(void *user)
{
    return ((weir_sim *)user)->now_ns;
}

static uint64_t sim_hook_wall_ns(void *user)
{
    const weir_sim *const sim = user;
    return weir__add_ns(sim->options.wall_ns, sim->now_ns - sim->options.start_ns);
}

static uint64_t sim_hook_random(void *user)
{
    return weir__rng_next(&((weir_sim *)user)->hooks);
}

static void sim_hook_sleep_ns(uint64_t ns, void *user)
{
    weir_sim *const sim = user;
    (void)weir_sim_run_until(sim, weir__add_ns(sim->now_ns, ns));
}

static void sim_begin(weir_sim *sim)
{
    uint64_t const seed = sim->options.seed;
    sim->env = (weir_env)WEIR_ENV_INIT;
    sim->env.realloc_fn = sim_hook_realloc;
    sim->env.now_ns = sim_hook_now_ns;
    sim->env.wall_ns = sim_hook_wall_ns;
    sim->env.random = sim_hook_random;
    sim->env.sleep_ns = sim_hook_sleep_ns;
    sim->env.user = sim;
    sim->now_ns = sim->options.start_ns;
    weir__rng_seed(&sim->hooks, weir__mix64(seed) ^ 1);
    weir__rng_seed(&sim->shuffle, weir__mix64(seed) ^ 2);
    weir__rng_seed(&sim->draws, weir__mix64(seed) ^ 3);
    weir__heap_init(&sim->heap, &sim->outer);
}

int weir_sim_create(weir_sim **out, const weir_sim_options *options)
{
    *out = NULL;
    weir_sim_options loaded = WEIR_SIM_OPTIONS_INIT;
    weir_env outer;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (loaded.start_ns > SIM_MAX_NS || loaded.wall_ns > SIM_MAX_NS || loaded.max_events < 1 ||
        weir__env_load(&outer, loaded.env))
        return WEIR_EINVAL;
    weir_sim *const sim = weir__alloc(&outer, sizeof *sim);
    if (sim == NULL)
        return WEIR_ENOMEM;
    sim->outer = outer;
    sim->options = loaded;
    sim->options.env = NULL; /* The caller's; ours is the copy. */
    sim_begin(sim);
    *out = sim;
    return WEIR_OK;
}

void weir_sim_destroy(weir_sim *sim)
{
    if (sim == NULL)
        return;
    weir_env const outer = sim->outer;
    for (weir_sim_service *service = sim->services; service != NULL;) {
        weir_sim_service *const next = service->next;
        weir__free(&outer, service, sizeof *service);
        service = next;
    }
    for (size_t i = 0; i < sim->size; i++)
        weir__free(&outer, sim->table[i], sizeof *sim->table[i]);
    weir__free(&outer, sim->table, sim->capacity * sizeof(weir__sim_pending *));
    weir__heap_free(&sim->heap);
    weir__free(&outer, sim, sizeof *sim);
}

const weir_env *weir_sim_env(weir_sim *sim)
{
    return &sim->env;
}

uint64_t weir_sim_now(const weir_sim *sim)
{
    return sim->now_ns;
}

uint64_t weir_sim_random(weir_sim *sim)
{
    return weir__rng_next(&sim->draws);
}

uint64_t weir_sim_random_below(weir_sim *sim, uint64_t bound)
{
    return bound > 0 ? weir__rng_below(&sim->draws, bound) : 0;
}

void weir_sim_mark(weir_sim *sim, uint64_t value)
{
    weir__sim_trace(sim, WEIR_SIM_MARK, 0, value);
}

uint64_t weir_sim_digest(const weir_sim *sim)
{
    return sim->digest;
}

uint64_t weir_sim_events(const weir_sim *sim)
{
    return sim->events;
}

const char *weir_sim_kind_name(weir_sim_kind kind)
{
    switch (kind) {
    case WEIR_SIM_TIMER: return "timer";
    case WEIR_SIM_TASK: return "task";
    case WEIR_SIM_CALL: return "call";
    case WEIR_SIM_DONE: return "done";
    case WEIR_SIM_CHANGE: return "change";
    case WEIR_SIM_MARK: return "mark";
    }
    return "unknown";
}
