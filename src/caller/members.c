#include "caller/caller.h"

/* Lock held. */
static void caller_note_next_rest(weir_caller *caller)
{
    atomic_store(&caller->next_rest_ns, weir__heap_next_ns(&caller->rests));
}

/* Lock held. A rest is noted before the flag is set: a member kept out is sure to come back. */
static void slot_rest_until(weir__slot *slot, uint64_t until_ns)
{
    weir_caller *const caller = slot->caller;
    if (weir__heap_set(&caller->rests, &slot->rest, until_ns) != WEIR_OK)
        return; /* Without the flag, its breaker still refuses, call by call. */
    if (weir_balancer_set_flags(caller->balancer, slot->view.id, WEIR_MEMBER_OPEN, 0) != WEIR_OK)
        weir__heap_remove(&caller->rests, &slot->rest);
}

/* Lock held. Without memory to rebuild the table, it is tried again a little later. */
static void slot_rest_over(weir__slot *slot, uint64_t now_ns)
{
    weir_caller *const caller = slot->caller;
    int const result =
        weir_balancer_set_flags(caller->balancer, slot->view.id, 0, WEIR_MEMBER_OPEN);
    if (result == WEIR_ENOMEM)
        (void)weir__heap_set(&caller->rests, &slot->rest, weir__add_ns(now_ns, WEIR__NS_PER_MS));
    else
        weir__heap_remove(&caller->rests, &slot->rest);
}

void weir__caller_wake(weir_caller *caller, uint64_t now_ns)
{
    pthread_mutex_lock(&caller->lock);
    weir__heap_node *node;
    while ((node = weir__heap_first(&caller->rests)) != NULL && node->at_ns <= now_ns)
        slot_rest_over((weir__slot *)(void *)((unsigned char *)node - offsetof(weir__slot, rest)),
                       now_ns);
    caller_note_next_rest(caller);
    pthread_mutex_unlock(&caller->lock);
}

void weir__caller_wake_all(weir_caller *caller)
{
    weir__slot *slot;
    for (size_t i = 0; (slot = weir__map_next(&caller->slots, &i)) != NULL;)
        if (slot->rest.place != 0)
            (void)weir__heap_set(&caller->rests, &slot->rest, 0); /* Moves it: cannot fail. */
    caller_note_next_rest(caller);
}

/* Lock held. Of a slot that has left, the id may be another's by now. */
static bool slot_in_set(const weir__slot *slot)
{
    return weir__map_get(&slot->caller->slots, slot->view.id, slot->id_size) == slot;
}

/* Told in order, so the last word about a breaker is its present state. */
static void slot_on_breaker(const weir_breaker_event *event, void *user)
{
    weir__slot *const slot = user;
    weir_caller *const caller = slot->caller;
    bool const open = event->to == WEIR_BREAKER_OPEN || event->to == WEIR_BREAKER_FORCED_OPEN;
    pthread_mutex_lock(&caller->lock);
    if (slot_in_set(slot)) {
        if (open)
            slot_rest_until(slot, event->to == WEIR_BREAKER_OPEN ? event->until_ns : WEIR_NEVER);
        else if (slot->rest.place != 0)
            slot_rest_over(slot, event->at_ns);
    }
    caller_note_next_rest(caller);
    pthread_mutex_unlock(&caller->lock);
    weir__caller_tell(caller, &(weir_caller_event){.kind = WEIR_CALLER_BREAKER,
                                                   .at_ns = event->at_ns,
                                                   .member = slot->view.id,
                                                   .breaker = event});
}

/* Lock held. Makes the flag what the detector says now: that is the last word about it. */
static void slot_flag_ejected(weir__slot *slot)
{
    weir_caller *const caller = slot->caller;
    uint32_t const flag = WEIR_MEMBER_EJECTED;
    bool const out = weir_outlier_is_ejected(slot->host);
    int const result =
        weir_balancer_set_flags(caller->balancer, slot->view.id, out ? flag : 0, out ? 0 : flag);
    caller->flags_behind |= result == WEIR_ENOMEM;
}

void weir__caller_on_outlier(const weir_outlier_event *event, void *user)
{
    weir_caller *const caller = user;
    if (event->kind == WEIR_OUTLIER_EJECTED || event->kind == WEIR_OUTLIER_RETURNED) {
        pthread_mutex_lock(&caller->lock);
        weir__slot *const slot = weir__map_get(&caller->slots, event->id, strlen(event->id));
        if (slot != NULL)
            slot_flag_ejected(slot);
        pthread_mutex_unlock(&caller->lock);
    }
    weir__caller_tell(caller, &(weir_caller_event){.kind = WEIR_CALLER_OUTLIER,
                                                   .at_ns = event->at_ns,
                                                   .member = event->id,
                                                   .outlier = event});
}

/* Flags that could not be set for want of memory are tried again. */
static void caller_catch_up(weir_caller *caller)
{
    weir__slot *slot;
    pthread_mutex_lock(&caller->lock);
    bool const behind = caller->flags_behind;
    caller->flags_behind = false;
    for (size_t i = 0; behind && (slot = weir__map_next(&caller->slots, &i)) != NULL;)
        slot_flag_ejected(slot);
    pthread_mutex_unlock(&caller->lock);
}

static uint64_t caller_run(void *self, uint64_t now_ns)
{
    weir_caller *const caller = self;
    weir_task const balancer = weir_balancer_task(caller->balancer);
    weir_task const outlier = weir_outlier_task(caller->outlier);
    caller_catch_up(caller);
    uint64_t const balancer_ns = balancer.run(balancer.self, now_ns);
    uint64_t const outlier_ns = outlier.run(outlier.self, now_ns);
    return balancer_ns < outlier_ns ? balancer_ns : outlier_ns;
}

weir_task weir_caller_task(weir_caller *caller)
{
    return (weir_task){.run = caller_run, .self = caller};
}

int weir_caller_uneject(weir_caller *caller, const char *id, uint64_t now_ns)
{
    weir__reader *const reader = weir__read_begin(); /* Keeps the slot while the lock is free. */
    pthread_mutex_lock(&caller->lock);
    weir__slot *const slot = weir__map_get(&caller->slots, id, strlen(id));
    pthread_mutex_unlock(&caller->lock);
    int const result = slot != NULL ? weir_outlier_uneject(slot->host, now_ns) : WEIR_ENOTFOUND;
    weir__read_end(reader);
    return result;
}

void weir__slot_free(const weir_env *env, weir__slot *slot)
{
    weir_outlier_remove(slot->host);
    weir_breaker_destroy(slot->breaker);
    weir__free(env, slot, sizeof *slot + slot->id_size + 1);
}

static weir__slot *slot_new(weir_caller *caller, const char *id, int *result)
{
    size_t const size = strlen(id);
    weir__slot *const slot = weir__alloc(&caller->env, sizeof *slot + size + 1);
    *result = WEIR_ENOMEM;
    if (slot == NULL)
        return NULL;
    slot->caller = caller;
    slot->id_size = size;
    slot->view.id = memcpy(slot + 1, id, size + 1);
    weir_breaker_options options = caller->breaker_options;
    options.on_event = slot_on_breaker;
    options.user = slot;
    options.env = &caller->env;
    *result = weir_breaker_create(&slot->breaker, &options);
    if (*result == WEIR_OK)
        *result = weir_outlier_add(caller->outlier, slot->view.id, NULL, &slot->host);
    if (*result == WEIR_OK)
        return slot;
    weir__slot_free(&caller->env, slot);
    return NULL;
}

/* The next set in the making: new slots, and the members as the balancer is to see them. */
typedef struct caller_draft {
    weir_member *members;
    weir__slot **slots;
    size_t count, made;
    weir__map map;
} caller_draft;

static int draft_add_slot(weir_caller *caller, caller_draft *draft, const weir_member *member)
{
    int result = WEIR_EINVAL;
    if (member->id == NULL)
        return WEIR_EINVAL;
    size_t const size = strlen(member->id);
    weir__slot *slot = weir__map_get(&caller->slots, member->id, size);
    if (slot == NULL)
        slot = slot_new(caller, member->id, &result);
    if (slot == NULL)
        return result;
    draft->members[draft->made] = *member;
    draft->members[draft->made].user = slot;
    draft->slots[draft->made++] = slot;
    return weir__map_put(&draft->map, slot->view.id, size, slot);
}

static int draft_fill(weir_caller *caller, caller_draft *draft, const weir_member *members,
                      uint64_t version)
{
    weir__map_init(&draft->map, &caller->env);
    draft->members = weir__alloc(&caller->env, (draft->count + 1) * sizeof *draft->members);
    draft->slots = weir__alloc(&caller->env, (draft->count + 1) * sizeof(weir__slot *));
    if (draft->members == NULL || draft->slots == NULL ||
        weir__map_reserve(&draft->map, draft->count))
        return WEIR_ENOMEM;
    for (size_t i = 0; i < draft->count; i++) {
        int const result = draft_add_slot(caller, draft, &members[i]);
        if (result != WEIR_OK)
            return result;
    }
    return weir_balancer_update(caller->balancer, draft->members, draft->count, version);
}

static void draft_release(weir_caller *caller, caller_draft *draft, bool slots_too)
{
    for (size_t i = 0; slots_too && i < draft->made; i++) {
        weir__slot *const slot = draft->slots[i];
        if (weir__map_get(&caller->slots, slot->view.id, slot->id_size) != slot)
            weir__slot_free(&caller->env, slot);
    }
    weir__free(&caller->env, draft->members, (draft->count + 1) * sizeof *draft->members);
    weir__free(&caller->env, draft->slots, (draft->count + 1) * sizeof(weir__slot *));
    weir__map_free(&draft->map);
}

static void caller_sweep(weir_caller *caller)
{
    uint64_t const horizon = caller->left != NULL ? weir__grace_horizon() : 0;
    weir__slot **link = &caller->left;
    while (*link != NULL) {
        weir__slot *const slot = *link;
        bool const over =
            slot->left <= horizon && atomic_load_explicit(&slot->in_use, memory_order_acquire) == 0;
        if (!over) {
            link = &slot->next;
            continue;
        }
        *link = slot->next;
        weir__slot_free(&caller->env, slot);
    }
}

/* The balancer has the new set already. */
static void draft_take_over(weir_caller *caller, caller_draft *draft, const weir_member *members)
{
    uint64_t const mark = weir__grace_mark();
    weir__slot *slot;
    for (size_t i = 0; i < draft->count; i++)
        atomic_store(&draft->slots[i]->user, members[i].user);
    for (size_t i = 0; (slot = weir__map_next(&caller->slots, &i)) != NULL;) {
        if (weir__map_get(&draft->map, slot->view.id, slot->id_size) != NULL)
            continue;
        weir__heap_remove(&caller->rests, &slot->rest);
        weir_outlier_leave(slot->host);
        slot->left = mark;
        slot->next = caller->left;
        caller->left = slot;
    }
    weir__map const old = caller->slots;
    caller->slots = draft->map;
    draft->map = old;
    caller_note_next_rest(caller);
    caller_sweep(caller);
}

int weir_caller_set_members(weir_caller *caller, const weir_member *members, size_t count,
                            uint64_t version)
{
    if (count > 0 && members == NULL)
        return WEIR_EINVAL;
    caller_draft draft = {.count = count};
    int result = WEIR_OK;
    pthread_mutex_lock(&caller->lock);
    bool const newer = version == 0 || version > caller->newest;
    if (newer) {
        result = draft_fill(caller, &draft, members, version);
        if (result == WEIR_OK)
            draft_take_over(caller, &draft, members);
        draft_release(caller, &draft, result != WEIR_OK);
    } else if (version < caller->newest) {
        result = WEIR_ESTALE;
    }
    if (result == WEIR_OK && version > caller->newest)
        caller->newest = version;
    pthread_mutex_unlock(&caller->lock);
    return result;
}
