/* Checkers and checks: made, changed, removed. */
#include "health/health.h"

#include <string.h>

#define HEALTH_DAY_MS      UINT32_C(86400000)
#define HEALTH_MAX_ID      255
#define HEALTH_MAX_DEPENDS 16
#define HEALTH_MILLION     UINT32_C(1000000)

static bool health_within(uint32_t value, uint32_t low, uint32_t high)
{
    return low <= value && value <= high;
}

/* ---- The checker ---- */

static int health_init(weir_health *health)
{
    if (weir__outbox_init(&health->outbox, &health->env, sizeof(weir__health_told),
                          health->options.events))
        return WEIR_ENOMEM;
    health->spread = weir__random(&health->env);
    health->jitter = weir__mix64(health->spread);
    health->now_ns = weir__now_ns(&health->env);
    health->promised_ns = health->wake_ns = WEIR_NEVER;
    health->stall_ns =
        health->options.stall_ms > 0 ? health->options.stall_ms * WEIR__NS_PER_MS : WEIR_NEVER;
    health->system = WEIR_HEALTH_HEALTHY;
    return weir__wheel_init(&health->wheel, &health->env, health->now_ns / WEIR__NS_PER_MS);
}

int weir_health_create(weir_health **out, const weir_health_options *options)
{
    *out = NULL;
    weir_health_options loaded = WEIR_HEALTH_OPTIONS_INIT;
    weir_env env;
    if ((options != NULL &&
         weir__options_load(&loaded, sizeof loaded, options, options->struct_size)) ||
        !health_within(loaded.max_running, 1, HEALTH_MILLION) || loaded.stall_ms > HEALTH_DAY_MS ||
        !health_within(loaded.events, 1, HEALTH_MILLION) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_health *const health = weir__alloc(&env, sizeof *health);
    if (health == NULL)
        return WEIR_ENOMEM;
    health->env = env;
    health->options = loaded;
    health->options.env = NULL; /* The caller's; ours is the copy. */
    weir__map_init(&health->checks, &health->env);
    weir__map_init(&health->targets, &health->env);
    pthread_mutex_init(&health->lock, NULL);
    if (health_init(health)) {
        weir_health_destroy(health);
        return WEIR_ENOMEM;
    }
    *out = health;
    return WEIR_OK;
}

void weir_health_destroy(weir_health *health)
{
    if (health == NULL)
        return;
    for (uint32_t i = 0; i < health->wheel.count; i++) {
        weir_health_check *const check = weir__wheel_owner(&health->wheel, i);
        if (check == NULL)
            continue;
        weir_health_run const run = weir__health_run_of(health, check);
        if (check->run != 0 && check->cancel != NULL)
            check->cancel(&run, check->user);
        if (check->because != NULL)
            weir__health_release(health, check->because);
        check->because = NULL;
    }
    for (uint32_t i = 0; i < health->wheel.count; i++)
        if (weir__wheel_owner(&health->wheel, i) != NULL)
            weir__health_release(health, weir__wheel_owner(&health->wheel, i));
    weir_env const env = health->env;
    weir__wheel_free(&health->wheel);
    weir__map_free(&health->checks);
    weir__map_free(&health->targets);
    weir__outbox_free(&health->outbox, &env);
    pthread_mutex_destroy(&health->lock);
    weir__free(&env, health, sizeof *health);
}

weir_task weir_health_task(weir_health *health)
{
    return (weir_task){.run = weir__health_run, .self = health};
}

/* ---- The options of a check ---- */

static bool health_times_valid(const weir_health_check_options *o)
{
    return health_within(o->ttl_ms, 1, HEALTH_DAY_MS) &&
           health_within(o->interval_ms, 1, HEALTH_DAY_MS) && o->fast_ms <= HEALTH_DAY_MS &&
           o->down_ms <= HEALTH_DAY_MS && o->idle_ms <= HEALTH_DAY_MS &&
           health_within(o->timeout_ms, 1, HEALTH_DAY_MS) && o->tolerate_ms <= HEALTH_DAY_MS &&
           o->expire_ms <= HEALTH_DAY_MS;
}

static bool health_text_valid(const char *text)
{
    return text != NULL && text[0] != '\0' && strnlen(text, HEALTH_MAX_ID + 1) <= HEALTH_MAX_ID;
}

static int health_load(weir_health_check_options *loaded, const weir_health_check_options *options)
{
    *loaded = (weir_health_check_options)WEIR_HEALTH_CHECK_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return WEIR_EINVAL;
    bool const valid = health_times_valid(loaded) && health_within(loaded->rise, 1, 10000) &&
                       health_within(loaded->fall, 1, 10000) && loaded->jitter_percent <= 50 &&
                       loaded->spread_percent <= 100 && loaded->history <= 64 &&
                       loaded->initial >= WEIR_HEALTH_START_UNKNOWN &&
                       loaded->initial <= WEIR_HEALTH_START_DOWN &&
                       (loaded->target == NULL || health_text_valid(loaded->target)) &&
                       loaded->depends_on_count <= HEALTH_MAX_DEPENDS &&
                       (loaded->depends_on_count == 0 || loaded->depends_on != NULL);
    return valid ? WEIR_OK : WEIR_EINVAL;
}

static uint32_t health_or(uint32_t ms, uint32_t otherwise_ms)
{
    return ms > 0 ? ms : otherwise_ms;
}

/* A heartbeat says what is so: there is nothing to count. */
static weir__health_plan health_plan(const weir_health_check_options *o, bool beats)
{
    return (weir__health_plan){
        .interval_ms = o->interval_ms,
        .fast_ms = health_or(o->fast_ms, o->interval_ms),
        .down_ms = health_or(o->down_ms, o->interval_ms),
        .idle_ms = o->idle_ms,
        .timeout_ms = o->timeout_ms,
        .ttl_ms = o->ttl_ms,
        .tolerate_ms = o->tolerate_ms,
        .expire_ms = o->expire_ms,
        .traffic_skips = o->traffic_skips,
        .rise = beats ? 1 : (uint16_t)o->rise,
        .fall = beats ? 1 : (uint16_t)o->fall,
        .jitter_percent = (uint8_t)o->jitter_percent,
        .critical = o->critical,
        .first_pass_up = o->first_pass_up,
    };
}

static void health_set_plan(weir_health_check *check, const weir_health_check_options *o)
{
    check->plan = health_plan(o, check->start == NULL);
    atomic_store_explicit(&check->traffic_step_ns, o->interval_ms * WEIR__NS_PER_MS / 8,
                          memory_order_relaxed);
}

/* ---- Dependencies ---- */

/* Lock held. The checks of those ids, into room for the most there can be. */
static int health_find_depends(weir_health *health, const weir_health_check_options *o,
                               weir_health_check **depends)
{
    for (size_t i = 0; i < o->depends_on_count; i++) {
        const char *const id = o->depends_on[i];
        if (!health_text_valid(id))
            return WEIR_EINVAL;
        depends[i] = weir__map_get(&health->checks, id, strlen(id));
        if (depends[i] == NULL)
            return WEIR_ENOTFOUND;
    }
    return WEIR_OK;
}

/* Lock held. Whether `check` would be among what it depends on itself, at any distance. */
static bool health_is_cycle(weir_health *health, const weir_health_check *check,
                            weir_health_check **depends, size_t count)
{
    uint64_t const mark = ++health->marks;
    weir_health_check *open = NULL;
    for (;;) {
        for (size_t i = 0; i < count; i++) {
            if (depends[i] == check)
                return true;
            if (depends[i]->mark == mark)
                continue;
            depends[i]->mark = mark;
            depends[i]->walk_next = open;
            open = depends[i];
        }
        if (open == NULL)
            return false;
        depends = open->depends;
        count = open->depends_count;
        open = open->walk_next;
    }
}

/* Lock held. Frees the dependencies that there were. */
static void health_set_depends(weir_health *health, weir_health_check *check,
                               weir_health_check **depends, size_t count)
{
    for (size_t i = 0; i < count; i++)
        depends[i]->dependents++;
    for (size_t i = 0; i < check->depends_count; i++)
        check->depends[i]->dependents--;
    weir__free(&health->env, check->depends, check->depends_count * sizeof(weir_health_check *));
    check->depends = depends;
    check->depends_count = (uint8_t)count;
}

/* Lock held. A copy, or NULL for none; *result tells. */
static weir_health_check **health_copy_depends(weir_health *health,
                                               const weir_health_check_options *o, int *result)
{
    weir_health_check *found[HEALTH_MAX_DEPENDS];
    *result = health_find_depends(health, o, found);
    if (*result != WEIR_OK || o->depends_on_count == 0)
        return NULL;
    size_t const size = o->depends_on_count * sizeof(weir_health_check *);
    weir_health_check **const copy = weir__alloc(&health->env, size);
    if (copy != NULL)
        memcpy(copy, found, size);
    else
        *result = WEIR_ENOMEM;
    return copy;
}

/* ---- Memory of a check ---- */

static void health_free_check(weir_health *health, weir_health_check *check)
{
    weir__free(&health->env, check->depends, check->depends_count * sizeof(weir_health_check *));
    weir__free(&health->env, check->history, check->history_capacity * sizeof *check->history);
    weir__free(&health->env, check->memory, sizeof *check + check->id_size + WEIR__CACHE_LINE);
}

void weir__health_free_check(weir_health *health, weir_health_check *check)
{
    weir__health_target *const target = check->target;
    if (--target->refs == 0)
        weir__free(&health->env, target, sizeof *target + target->name_size);
    health_free_check(health, check);
}

static weir_health_check *health_new_check(weir_health *health, const char *id,
                                           const weir_health_check_options *o)
{
    size_t const id_size = strlen(id) + 1;
    void *const memory =
        weir__alloc(&health->env, sizeof(weir_health_check) + id_size + WEIR__CACHE_LINE);
    if (memory == NULL)
        return NULL;
    uintptr_t const past = (uintptr_t)memory % WEIR__CACHE_LINE;
    weir_health_check *const check =
        (void *)((unsigned char *)memory + (past > 0 ? WEIR__CACHE_LINE - past : 0));
    check->memory = memory;
    check->id_size = id_size;
    check->refs = 1;
    memcpy(check->id, id, id_size);
    if (o->history > 0) {
        check->history = weir__alloc(&health->env, o->history * sizeof *check->history);
        check->history_capacity = o->history;
        if (check->history == NULL) {
            check->history_capacity = 0;
            health_free_check(health, check);
            return NULL;
        }
    }
    return check;
}

static void health_init_check(weir_health_check *check, const weir_health_check_options *o,
                              uint64_t now_ns)
{
    check->start = o->start;
    check->cancel = o->cancel;
    check->user = o->user;
    check->startup = o->startup;
    check->changed_ns = now_ns;
    health_set_plan(check, o);
    weir_health_state state = WEIR_HEALTH_UNKNOWN;
    if (o->initial == WEIR_HEALTH_START_UP || o->initial == WEIR_HEALTH_START_FULLY_UP) {
        state = WEIR_HEALTH_UP;
        check->counter =
            o->initial == WEIR_HEALTH_START_UP ? check->plan.rise : weir__health_top(check);
    } else if (o->initial == WEIR_HEALTH_START_DOWN) {
        state = WEIR_HEALTH_DOWN;
    }
    check->started_up = check->startup && state == WEIR_HEALTH_UP;
    atomic_store_explicit(&check->state, (uint32_t)state, memory_order_release);
}

/* ---- Adding ---- */

/* Lock held. Room for one more in every table, so that entering it cannot fail. */
static int health_reserve(weir_health *health)
{
    if (weir__map_reserve(&health->checks, health->checks.count + 1) ||
        weir__map_reserve(&health->targets, health->targets.count + 1))
        return WEIR_ENOMEM;
    return weir__wheel_reserve(&health->wheel);
}

static weir__health_target *health_new_target(weir_health *health, const char *name)
{
    size_t const size = strlen(name) + 1;
    weir__health_target *const target = weir__alloc(&health->env, sizeof *target + size);
    if (target == NULL)
        return NULL;
    target->name_size = size;
    memcpy(target->name, name, size);
    return target;
}

/* Lock held. That of the name, made and entered if there is none; NULL without memory. */
static weir__health_target *health_get_target(weir_health *health, const char *name)
{
    weir__health_target *target = weir__map_get(&health->targets, name, strlen(name));
    if (target != NULL)
        return target;
    target = health_new_target(health, name);
    if (target != NULL) /* There is room: it cannot fail. */
        (void)weir__map_put(&health->targets, target->name, target->name_size - 1, target);
    return target;
}

/* Lock held, everything at hand. */
static void health_enter(weir_health *health, weir_health_check *check, weir__health_target *target,
                         uint32_t spread_percent)
{
    check->place = weir__wheel_add(&health->wheel, check);
    check->runs_before = health->runs;
    check->target = target;
    target->refs++;
    target->checks++;
    target->gates += check->startup && !check->started_up;
    health->gates += check->startup && !check->started_up;
    (void)weir__map_put(&health->checks, check->id, check->id_size - 1, check);
    weir__health_count(health, check, 1);
    weir__health_recount(health, check);
    if (!check->started_up)
        weir__health_schedule_first(health, check, spread_percent);
}

/* Lock held. */
static int health_add_locked(weir_health *health, const char *id,
                             const weir_health_check_options *o, weir_health_check **out)
{
    if (weir__map_get(&health->checks, id, strlen(id)) != NULL)
        return WEIR_EINVAL;
    int result = WEIR_OK;
    weir_health_check **const depends = health_copy_depends(health, o, &result);
    if (result == WEIR_OK)
        result = health_reserve(health);
    weir_health_check *const check = result == WEIR_OK ? health_new_check(health, id, o) : NULL;
    weir__health_target *const target =
        check != NULL ? health_get_target(health, o->target != NULL ? o->target : id) : NULL;
    if (target == NULL) {
        if (check != NULL)
            health_free_check(health, check);
        weir__free(&health->env, depends, o->depends_on_count * sizeof(weir_health_check *));
        return result == WEIR_OK ? WEIR_ENOMEM : result;
    }
    health_init_check(check, o, health->now_ns);
    health_set_depends(health, check, depends, o->depends_on_count);
    health_enter(health, check, target, o->spread_percent);
    *out = check;
    return WEIR_OK;
}

int weir_health_add(weir_health *health, const char *id, const weir_health_check_options *options,
                    weir_health_check **check)
{
    weir_health_check_options loaded;
    weir_health_check *made = NULL;
    if (check != NULL)
        *check = NULL;
    if (health_load(&loaded, options) || !health_text_valid(id))
        return WEIR_EINVAL;
    uint64_t const now_ns = weir__now_ns(&health->env);
    pthread_mutex_lock(&health->lock);
    (void)weir__health_tick(health, now_ns);
    int const result = health_add_locked(health, id, &loaded, &made);
    if (check != NULL)
        *check = made;
    weir__health_unlock(health);
    return result;
}

/* ---- Changing and removing ---- */

/* As far from the top, or from the bottom, as it was; on the same side of `rise`. */
static uint32_t health_move_counter(const weir_health_check *check, const weir__health_plan *next)
{
    uint32_t const top = next->rise + next->fall - UINT32_C(1);
    if (check->counter < check->plan.rise)
        return check->counter < next->rise ? check->counter : next->rise - UINT32_C(1);
    uint32_t const failed = weir__health_top(check) - check->counter;
    return failed < next->fall ? top - failed : next->rise;
}

/* Lock held. A check that waits for its next start waits by the new interval. */
static void health_apply(weir_health *health, weir_health_check *check,
                         const weir_health_check_options *o)
{
    weir__health_plan const next = health_plan(o, check->start == NULL);
    bool const sooner = next.interval_ms != check->plan.interval_ms ||
                        next.fast_ms != check->plan.fast_ms ||
                        next.down_ms != check->plan.down_ms || next.ttl_ms != check->plan.ttl_ms ||
                        next.expire_ms != check->plan.expire_ms;
    check->counter = health_move_counter(check, &next);
    weir__health_count(health, check, -1);
    health_set_plan(check, o);
    weir__health_count(health, check, 1);
    weir__health_recount(health, check);
    if (sooner)
        weir__health_reschedule(health, check);
}

int weir_health_update(weir_health *health, weir_health_check *check,
                       const weir_health_check_options *options)
{
    weir_health_check_options loaded;
    if (health_load(&loaded, options))
        return WEIR_EINVAL;
    uint64_t const now_ns = weir__now_ns(&health->env);
    int result = WEIR_OK;
    pthread_mutex_lock(&health->lock);
    (void)weir__health_tick(health, now_ns);
    weir_health_check **const depends = health_copy_depends(health, &loaded, &result);
    if (result == WEIR_OK && health_is_cycle(health, check, depends, loaded.depends_on_count))
        result = WEIR_EINVAL;
    if (result == WEIR_OK) {
        health_set_depends(health, check, depends, loaded.depends_on_count);
        health_apply(health, check, &loaded);
    } else {
        weir__free(&health->env, depends, loaded.depends_on_count * sizeof(weir_health_check *));
    }
    weir__health_unlock(health);
    return result;
}

/* Lock held. Out of every table; what remains is a reference to be released. */
static void health_leave(weir_health *health, weir_health_check *check)
{
    weir__health_target *const target = check->target;
    weir__health_unschedule(health, check);
    health_set_depends(health, check, NULL, 0);
    (void)weir__map_remove(&health->checks, check->id, check->id_size - 1);
    weir__wheel_drop(&health->wheel, check->place);
    target->gates -= check->startup && !check->started_up;
    health->gates -= check->startup && !check->started_up;
    if (--target->checks == 0)
        (void)weir__map_remove(&health->targets, target->name, target->name_size - 1);
    weir__health_count(health, check, -1);
    weir__health_recount(health, check);
    if (check->because != NULL)
        weir__health_release(health, check->because);
    check->because = NULL;
}

int weir_health_remove(weir_health *health, weir_health_check *check)
{
    pthread_mutex_lock(&health->lock);
    if (check->dependents > 0) {
        pthread_mutex_unlock(&health->lock);
        return WEIR_EBUSY;
    }
    weir_health_run const run = weir__health_run_of(health, check);
    weir_health_cancel_fn const cancel = run.token.run != 0 ? check->cancel : NULL;
    health_leave(health, check);
    weir__health_unlock(health);
    if (cancel != NULL)
        cancel(&run, check->user);
    pthread_mutex_lock(&health->lock);
    weir__health_release(health, check);
    pthread_mutex_unlock(&health->lock);
    return WEIR_OK;
}
