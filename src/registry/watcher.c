#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

static weir_registry_watch *watcher_of(weir__reg_follower *self)
{
    return (weir_registry_watch *)(void *)self;
}

/* One event, and whether to go on. */
static bool watcher_tell(weir__reg_follower *self, const weir_registry_event *event)
{
    weir_registry_watch *const watch = watcher_of(self);
    return watch->fn(event, watch->user) && !self->stopped;
}

static bool watcher_tell_bare(weir__reg_follower *self, weir_registry_event_kind kind,
                              uint64_t revision)
{
    weir_registry_event const event = {.kind = kind, .revision = revision, .service = "", .id = ""};
    return watcher_tell(self, &event);
}

/* What was decoded for an event only: no reader has seen it. */
static void watcher_drop(weir_registry *registry, weir__reg_record *record)
{
    if (record == NULL)
        return;
    registry->bytes -= record->waste.size;
    weir__reg_record_free(&registry->env, record);
}

/* ---- The list ---- */

static bool watcher_begin(weir__reg_follower *self, uint64_t revision)
{
    return watcher_tell_bare(self, WEIR_REGISTRY_RESYNC, revision);
}

static bool watcher_pair(weir__reg_follower *self, const weir_kv_pair *pair)
{
    weir_registry *const registry = self->registry;
    weir__reg_name name;
    weir__reg_record *record = NULL;
    if (!weir__reg_parse_key(registry, pair->key, &name) || name.mark)
        return true;
    int const code = weir__reg_decode(registry, name.service, name.id, pair, &record);
    if (code == WEIR_ENOMEM)
        weir__reg_follow_fail(self);
    if (code != WEIR_OK)
        return code == WEIR_EPROTOCOL; /* The view counts it. */
    weir_registry_event const event = {.kind = WEIR_REGISTRY_LISTED,
                                       .revision = self->revision,
                                       .service = name.service,
                                       .id = name.id,
                                       .instance = &record->instance};
    bool const on = watcher_tell(self, &event);
    watcher_drop(registry, record);
    return on;
}

static bool watcher_listed(weir__reg_follower *self)
{
    return watcher_tell_bare(self, WEIR_REGISTRY_SYNCED, self->revision - 1);
}

/* ---- The watch ---- */

/* Events of one revision, in one batch. */
typedef struct watcher_group {
    const weir_kv_event *events;
    size_t count;
    bool marks; /* Some leave on purpose. */
} watcher_group;

static watcher_group watcher_group_at(const weir_registry *registry,
                                      const weir_kv_watch_event *told, size_t at)
{
    watcher_group group = {.events = &told->events[at]};
    uint64_t const revision = told->events[at].pair.mod_revision;
    weir__reg_name name;
    for (; at < told->count && told->events[at].pair.mod_revision == revision; at++) {
        group.count++;
        group.marks =
            group.marks ||
            (told->events[at].kind == WEIR_KV_PUT &&
             weir__reg_parse_key(registry, told->events[at].pair.key, &name) && name.mark);
    }
    return group;
}

static bool watcher_marked(const weir_registry *registry, const watcher_group *group,
                           const weir__reg_name *gone)
{
    weir__reg_name name;
    for (size_t i = 0; group->marks && i < group->count; i++)
        if (group->events[i].kind == WEIR_KV_PUT &&
            weir__reg_parse_key(registry, group->events[i].pair.key, &name) && name.mark &&
            strcmp(name.key, gone->key) == 0)
            return true;
    return false;
}

static weir_registry_event_kind watcher_kind(const weir_kv_event *event, const weir_instance *now,
                                             const weir_instance *before)
{
    if (event->pair.version == 1)
        return WEIR_REGISTRY_REGISTERED;
    if (before != NULL && (weir_instance_effective(now) != weir_instance_effective(before) ||
                           now->draining != before->draining))
        return WEIR_REGISTRY_STATUS;
    return WEIR_REGISTRY_CHANGED;
}

/* WEIR_EPROTOCOL: a value that is no instance makes no event. */
static int watcher_decode(weir_registry *registry, const weir_kv_event *event,
                          const weir__reg_name *name, weir__reg_record **now,
                          weir__reg_record **before)
{
    int code = WEIR_OK;
    if (event->kind == WEIR_KV_PUT)
        code = weir__reg_decode(registry, name->service, name->id, &event->pair, now);
    if (code != WEIR_OK || event->previous.create_revision == 0)
        return code;
    code = weir__reg_decode(registry, name->service, name->id, &event->previous, before);
    return code == WEIR_ENOMEM ? code : WEIR_OK;
}

static bool watcher_event(weir__reg_follower *self, const watcher_group *group,
                          const weir_kv_event *event)
{
    weir_registry *const registry = self->registry;
    weir__reg_name name;
    weir__reg_record *now = NULL;
    weir__reg_record *before = NULL;
    if (!weir__reg_parse_key(registry, event->pair.key, &name) || name.mark)
        return true;
    bool on = true;
    int const code = watcher_decode(registry, event, &name, &now, &before);
    if (code == WEIR_OK) {
        weir_registry_event told = {.revision = event->pair.mod_revision,
                                    .service = name.service,
                                    .id = name.id,
                                    .instance = now != NULL ? &now->instance : NULL,
                                    .previous = before != NULL ? &before->instance : NULL};
        if (now != NULL)
            told.kind = watcher_kind(event, told.instance, told.previous);
        else
            told.kind = watcher_marked(registry, group, &name) ? WEIR_REGISTRY_DEREGISTERED
                                                               : WEIR_REGISTRY_EXPIRED;
        on = watcher_tell(self, &told);
    } else if (code == WEIR_ENOMEM) {
        weir__reg_follow_fail(self);
        on = false;
    }
    watcher_drop(registry, now);
    watcher_drop(registry, before);
    return on;
}

/*
 * It pauses exactly where it says so: its watch ends, and begins again at that place, be it within
 * a revision, once it resumes.
 */
static void watcher_pause(weir__reg_follower *self, const weir_kv_watch_event *told,
                          const watcher_group *group, size_t taken)
{
    weir_registry_watch *const watch = watcher_of(self);
    uint64_t const revision = group->events[0].pair.mod_revision;
    size_t const next = (size_t)(group->events - told->events) + group->count;
    watch->skip = 0;
    if (taken < group->count) {
        watch->skip_revision = revision;
        watch->skip = taken;
        weir__reg_follow_rewind(self, revision);
    } else {
        weir__reg_follow_rewind(self, next < told->count ? told->events[next].pair.mod_revision
                                                         : told->revision + 1);
    }
}

static bool watcher_events(weir__reg_follower *self, const weir_kv_watch_event *told)
{
    weir_registry_watch *const watch = watcher_of(self);
    for (size_t at = 0; at < told->count;) {
        watcher_group const group = watcher_group_at(self->registry, told, at);
        bool const rest =
            watch->skip > 0 && group.events[0].pair.mod_revision == watch->skip_revision;
        for (size_t i = rest ? (size_t)watch->skip : 0; i < group.count; i++) {
            if (watcher_event(self, &group, &group.events[i]))
                continue;
            if (!self->stopped && self->retry_ns == WEIR_NEVER)
                watcher_pause(self, told, &group, i + 1);
            return false;
        }
        watch->skip = 0;
        at += group.count;
    }
    return true;
}

static void watcher_over(weir__reg_follower *self)
{
    (void)watcher_tell_bare(self, WEIR_REGISTRY_CLOSED, self->revision - 1);
}

static void watcher_free(weir__reg_follower *self)
{
    weir_registry_watch *const watch = watcher_of(self);
    weir_registry *const registry = self->registry;
    registry->watches--;
    weir__free(&registry->env, watch, sizeof *watch);
}

static const weir__reg_follow_hooks watcher_hooks = {
    .begin = watcher_begin,
    .pair = watcher_pair,
    .listed = watcher_listed,
    .events = watcher_events,
    .over = watcher_over,
    .free_fn = watcher_free,
};

/* ---- Public ---- */

int weir_registry_watch_start(weir_registry *registry, const weir_registry_watch_options *options,
                              weir_registry_watch **out)
{
    *out = NULL;
    weir_registry_watch_options loaded = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    if (weir__options_load(&loaded, sizeof loaded, options, options->struct_size) ||
        loaded.fn == NULL || (loaded.service != NULL && weir__reg_validate_name(loaded.service)))
        return WEIR_EINVAL;
    weir_registry_watch *const watch = weir__alloc(&registry->env, sizeof *watch);
    if (watch == NULL)
        return WEIR_ENOMEM;
    watch->fn = loaded.fn;
    watch->user = loaded.user;
    if (weir__reg_follow_init(&watch->follower, registry, loaded.service, &watcher_hooks)) {
        weir__free(&registry->env, watch, sizeof *watch);
        return WEIR_ENOMEM;
    }
    registry->watches++;
    (void)weir__reg_now(registry);
    if (loaded.revision > 0) {
        watch->follower.state = WEIR__REG_START;
        watch->follower.revision = loaded.revision;
    }
    *out = watch;
    weir__reg_follow_begin(&watch->follower);
    return WEIR_OK;
}

void weir_registry_watch_resume(weir_registry_watch *watch)
{
    (void)weir__reg_now(watch->follower.registry);
    weir__reg_follow_resume(&watch->follower);
}

void weir_registry_watch_stop(weir_registry_watch *watch)
{
    if (watch != NULL)
        weir__reg_follow_stop(&watch->follower);
}

const char *weir_registry_event_name(weir_registry_event_kind kind)
{
    switch (kind) {
    case WEIR_REGISTRY_REGISTERED: return "registered";
    case WEIR_REGISTRY_CHANGED: return "changed";
    case WEIR_REGISTRY_STATUS: return "status";
    case WEIR_REGISTRY_DEREGISTERED: return "deregistered";
    case WEIR_REGISTRY_EXPIRED: return "expired";
    case WEIR_REGISTRY_RESYNC: return "resync";
    case WEIR_REGISTRY_LISTED: return "listed";
    case WEIR_REGISTRY_SYNCED: return "synced";
    case WEIR_REGISTRY_CLOSED: return "closed";
    }
    return "unknown";
}
