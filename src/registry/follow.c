#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

#define FOLLOW_PAGE 256

static void follow_pump(weir__reg_follower *self);

int weir__reg_follow_init(weir__reg_follower *self, weir_registry *registry, const char *service,
                          const weir__reg_follow_hooks *hooks)
{
    size_t const service_size = service != NULL ? strlen(service) + 1 : 0;
    self->registry = registry;
    self->hooks = hooks;
    self->retry_ns = WEIR_NEVER;
    self->prefix_size = registry->root_size + service_size;
    self->prefix = weir__alloc(&registry->env, 2 * self->prefix_size + 1);
    if (self->prefix == NULL)
        return WEIR_ENOMEM;
    memcpy(self->prefix, registry->root, registry->root_size);
    if (service != NULL) {
        memcpy(self->prefix + registry->root_size, service, service_size - 1);
        self->prefix[self->prefix_size - 1] = '/';
    }
    weir__text_init(&self->from, &registry->env);
    self->next = registry->followers;
    self->link = &registry->followers;
    if (self->next != NULL)
        self->next->link = &self->next;
    registry->followers = self;
    return WEIR_OK;
}

static weir_kv_keys follow_keys(const weir__reg_follower *self)
{
    return weir_kv_prefix((weir_bytes){self->prefix, self->prefix_size},
                          self->prefix + self->prefix_size);
}

/* ---- Its end ---- */

static void follow_unwatch(weir__reg_follower *self)
{
    uint64_t const watch = self->watch;
    self->watch = 0;
    if (watch != 0)
        self->registry->kv.unwatch(self->registry->kv.self, watch);
}

static void follow_free(weir__reg_follower *self)
{
    weir_registry *const registry = self->registry;
    weir__text_free(&self->from);
    weir__free(&registry->env, self->prefix, 2 * self->prefix_size + 1);
    self->prefix = NULL;
    if (self->hooks->free_fn != NULL)
        self->hooks->free_fn(self);
}

void weir__reg_follow_stop(weir__reg_follower *self)
{
    if (self->stopped)
        return;
    self->stopped = true;
    follow_unwatch(self);
    if (self->ticket != NULL)
        self->ticket->owner = NULL;
    self->ticket = NULL;
    *self->link = self->next;
    if (self->next != NULL)
        self->next->link = self->link;
    if (self->depth == 0)
        follow_free(self);
}

/* Leaves a frame that looked at it. */
static void follow_leave(weir__reg_follower *self)
{
    if (--self->depth == 0 && self->stopped)
        follow_free(self);
}

/* ---- Failures ---- */

/* Whether what the view shows is kept up to date. */
static void follow_synced(weir__reg_follower *self, bool synced)
{
    weir_registry *const registry = self->registry;
    if (self != &registry->view)
        return;
    registry->listed = synced;
    if (synced)
        weir__reg_publish(registry);
    else
        atomic_store_explicit(&registry->synced, false, memory_order_release);
}

static void follow_later(weir__reg_follower *self)
{
    follow_synced(self, false);
    self->retry_ns = weir__add_ns(self->registry->now_ns, weir__reg_backoff_ns(self->failures++));
    if (self->retry_ns < self->registry->retry_ns)
        self->registry->retry_ns = self->retry_ns;
    weir__reg_wake(self->registry, self->retry_ns);
}

/* What is known may be out of date until all is listed again. */
static void follow_restart(weir__reg_follower *self)
{
    follow_unwatch(self);
    weir__text_clear(&self->from);
    self->begun = false;
    self->state = WEIR__REG_LIST;
    follow_synced(self, false);
}

void weir__reg_follow_fail(weir__reg_follower *self)
{
    follow_restart(self);
    follow_later(self);
}

void weir__reg_follow_rewind(weir__reg_follower *self, uint64_t revision)
{
    follow_unwatch(self);
    self->state = WEIR__REG_START;
    self->revision = revision;
    self->paused = true;
}

/* ---- The list ---- */

/* The next page begins just behind this key. */
static void follow_advance(weir__reg_follower *self, weir_bytes key)
{
    weir__text_clear(&self->from);
    weir__text_bytes(&self->from, key.data, key.size);
    weir__text_bytes(&self->from, "", 1);
}

/* False: no more of this page: it is paused, stopped, or has failed. */
static bool follow_pairs(weir__reg_follower *self, const weir_kv_op_result *page)
{
    for (size_t i = 0; i < page->count; i++) {
        bool const on = self->hooks->pair(self, &page->pairs[i]);
        if (self->stopped || self->retry_ns != WEIR_NEVER)
            return false;
        if (on && i + 1 < page->count)
            continue;
        follow_advance(self, page->pairs[i].key);
        if (!weir__text_ok(&self->from)) {
            weir__reg_follow_fail(self);
            return false;
        }
        self->paused = !on;
        return on;
    }
    return true;
}

static void follow_page(weir__reg_follower *self, const weir_kv_result *result)
{
    if (result->code == WEIR_ECOMPACTED) {
        follow_restart(self); /* The history went while we turned pages. */
        return;
    }
    if (result->code != WEIR_OK) {
        weir__reg_follow_fail(self);
        return;
    }
    if (!self->begun) {
        self->begun = true;
        self->revision = result->revision;
        self->paused = !self->hooks->begin(self, self->revision);
        if (self->stopped || self->paused)
            return; /* This page is asked for again. */
    }
    uint64_t const total = result->results[0].total;
    uint64_t const count = result->results[0].count;
    if (!follow_pairs(self, &result->results[0]) || total > count)
        return;
    weir__text_clear(&self->from);
    self->state = WEIR__REG_START;
    self->revision++;
    bool const on = self->hooks->listed(self);
    self->paused = !self->stopped && (self->paused || !on);
}

static void follow_told_page(const weir_kv_result *result, void *user)
{
    weir__reg_ticket *const ticket = user;
    weir__reg_follower *const self = ticket->owner;
    weir_env const env = ticket->env;
    weir__free(&env, ticket, sizeof *ticket);
    if (self == NULL)
        return;
    self->ticket = NULL;
    self->depth++;
    (void)weir__reg_now(self->registry);
    follow_page(self, result);
    if (!self->stopped)
        follow_pump(self);
    follow_leave(self);
}

static void follow_ask(weir__reg_follower *self)
{
    weir_registry *const registry = self->registry;
    weir__reg_ticket *const ticket = weir__alloc(&registry->env, sizeof *ticket);
    if (ticket == NULL) {
        weir__reg_follow_fail(self);
        return;
    }
    *ticket = (weir__reg_ticket){.env = registry->env, .owner = self};
    weir_kv_range range = {.keys = follow_keys(self), .limit = FOLLOW_PAGE, .uncounted = true};
    if (self->begun)
        range.revision = self->revision;
    if (self->from.size > 0)
        range.keys.key = (weir_bytes){self->from.data, self->from.size};
    self->ticket = ticket;
    if (registry->kv.range(registry->kv.self, &range, follow_told_page, ticket) == WEIR_OK)
        return;
    self->ticket = NULL;
    weir__free(&registry->env, ticket, sizeof *ticket);
    weir__reg_follow_fail(self);
}

/* ---- The watch ---- */

static bool follow_told_events(const weir_kv_watch_event *event, void *user)
{
    weir__reg_follower *const self = user;
    bool on = true;
    self->depth++;
    (void)weir__reg_now(self->registry);
    if (event->code == WEIR_OK) {
        self->revision = event->revision + 1;
        on = self->hooks->events(self, event);
    } else {
        self->watch = 0;
        follow_restart(self);
        if (event->code == WEIR_ECLOSED) {
            self->state = WEIR__REG_OVER;
            self->hooks->over(self);
        } else if (!self->stopped) {
            follow_pump(self);
        }
    }
    follow_leave(self);
    return on;
}

static void follow_start(weir__reg_follower *self)
{
    weir_registry *const registry = self->registry;
    weir_kv_watch const watch = {.keys = follow_keys(self),
                                 .revision = self->revision,
                                 .fn = follow_told_events,
                                 .user = self};
    if (registry->kv.watch(registry->kv.self, &watch, &self->watch) == WEIR_OK) {
        self->state = WEIR__REG_WATCH;
        self->failures = 0;
        follow_synced(self, true);
        return;
    }
    self->watch = 0;
    follow_later(self);
}

/* Answers may come within the question: a loop, not a recursion. */
static void follow_pump(weir__reg_follower *self)
{
    if (self->pumping)
        return;
    self->pumping = true;
    self->depth++;
    while (!self->stopped && !self->paused && self->retry_ns == WEIR_NEVER &&
           self->ticket == NULL && self->state <= WEIR__REG_START) {
        if (self->state == WEIR__REG_LIST)
            follow_ask(self);
        else
            follow_start(self);
    }
    self->pumping = false;
    follow_leave(self);
}

void weir__reg_follow_begin(weir__reg_follower *self)
{
    follow_pump(self);
}

void weir__reg_follow_resume(weir__reg_follower *self)
{
    if (!self->paused)
        return;
    self->paused = false;
    follow_pump(self);
}

uint64_t weir__reg_follow_run(weir_registry *registry)
{
    if (registry->now_ns < registry->retry_ns)
        return registry->retry_ns;
    registry->retry_ns = WEIR_NEVER;
    weir__reg_follower *self = registry->followers;
    while (self != NULL) {
        if (self->retry_ns <= registry->now_ns) {
            self->retry_ns = WEIR_NEVER;
            follow_pump(self);
            self = registry->followers; /* It may have stopped any of them. */
            continue;
        }
        if (self->retry_ns < registry->retry_ns)
            registry->retry_ns = self->retry_ns;
        self = self->next;
    }
    return registry->retry_ns;
}
