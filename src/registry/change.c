#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

/*
 * A change is a transaction on what is there, compared by revision. The first attempt believes the
 * view, which may be behind; one that fails reads along what is there instead, and so does one that
 * would have to be refused: no is only said to what was read.
 */

#define CHANGE_TRIES 16

static int change_attempt(weir__reg_change *change);

/* ---- One change ---- */

static void change_drop(weir__reg_change *change, weir__reg_record **record)
{
    if (*record != NULL)
        weir__reg_release(change->registry, *record);
    *record = NULL;
}

static void change_free(weir__reg_change *change)
{
    weir_env const env = change->env;
    change_drop(change, &change->wanted);
    change_drop(change, &change->base);
    weir__text_free(&change->text);
    weir__free(&env, change, change->size);
}

static void change_unlink(weir__reg_change *change)
{
    *change->link = change->next;
    if (change->next != NULL)
        change->next->link = change->link;
}

static void change_finish(weir__reg_change *change, int code, uint64_t revision)
{
    weir_registry_done_fn const done = change->done;
    void *const user = change->user;
    weir__reg_change_result const told = {{.code = code, .revision = revision},
                                          change->marked,
                                          change->stamp};
    change_unlink(change);
    change_free(change);
    if (done != NULL)
        done(&told.result, user);
}

void weir__reg_changes_close(weir_registry *registry)
{
    for (weir__reg_change *change; (change = registry->changes) != NULL;) {
        weir_registry_done_fn const done = change->done;
        weir__reg_change_result const told = {{.code = WEIR_ECLOSED}, false, 0};
        change_unlink(change);
        /* What it holds may be shared with the view, which goes now; it keeps its memory alone. */
        change_drop(change, &change->wanted);
        change_drop(change, &change->base);
        change->registry = NULL;
        if (done != NULL)
            done(&told.result, change->user);
    }
}

static const char *change_store(char **tail, const char *bytes, size_t size)
{
    char *const at = *tail;
    memcpy(at, bytes, size);
    *tail += size;
    return at;
}

/* The keys and all strings go into its tail. */
static weir__reg_change *change_create(weir_registry *registry, weir__reg_change_kind kind,
                                       const char *service, const char *id, const char *name,
                                       const char *value)
{
    size_t const service_size = strlen(service);
    size_t const id_size = strlen(id);
    size_t const key_size = registry->root_size + service_size + 1 + id_size;
    size_t const name_size = name != NULL ? strlen(name) + 1 : 0;
    size_t const value_size = value != NULL ? strlen(value) + 1 : 0;
    size_t const size = sizeof(weir__reg_change) + 2 * key_size + 1 + service_size + id_size + 2 +
                        name_size + value_size;
    weir__reg_change *const change = weir__alloc(&registry->env, size);
    if (change == NULL)
        return NULL;
    change->env = registry->env;
    change->registry = registry;
    change->kind = kind;
    change->size = size;
    weir__text_init(&change->text, &change->env);
    char *tail = change->tail;
    change->key_size = key_size;
    change->key = change_store(&tail, registry->root, registry->root_size);
    (void)change_store(&tail, service, service_size);
    (void)change_store(&tail, "/", 1);
    (void)change_store(&tail, id, id_size);
    change->mark_size = key_size + 1; /* The same with another slash. */
    change->mark = change_store(&tail, change->key, key_size - id_size);
    (void)change_store(&tail, "/", 1);
    (void)change_store(&tail, id, id_size);
    change->service = change_store(&tail, service, service_size + 1);
    change->id = change_store(&tail, id, id_size + 1);
    change->name = name != NULL ? change_store(&tail, name, name_size) : NULL;
    change->value = value != NULL ? change_store(&tail, value, value_size) : NULL;
    return change;
}

static weir__reg_item *change_item(const weir__reg_change *change)
{
    weir_registry *const registry = change->registry;
    return weir__reg_item_of(weir__reg_find(&registry->items, change->key + registry->root_size,
                                            change->key_size - registry->root_size));
}

/* As the view has it. */
static void change_believe(weir__reg_change *change)
{
    weir__reg_item *const item = change_item(change);
    if (item == NULL)
        return;
    change->base = item->record;
    change->base->refs++;
    change->mod_revision = item->record->instance.revision;
}

static int change_begin(weir__reg_change *change, weir_registry_done_fn done, void *user)
{
    weir_registry *const registry = change->registry;
    (void)weir__reg_now(registry);
    change->done = done;
    change->user = user;
    change->next = registry->changes;
    change->link = &registry->changes;
    if (change->next != NULL)
        change->next->link = &change->next;
    registry->changes = change;
    change_believe(change);
    int const code = change_attempt(change);
    if (code != WEIR_OK) {
        change_unlink(change);
        change_free(change);
    }
    return code;
}

/* ---- What is there ---- */

static int change_read(weir__reg_change *change, const weir_kv_op_result *results, size_t count)
{
    change_drop(change, &change->base);
    change->mod_revision = change->mark_revision = change->mark_stamp = 0;
    change->fresh = true;
    if (count < 2)
        return WEIR_EPROTOCOL;
    if (results[1].count > 0) {
        change->mark_revision = results[1].pairs[0].mod_revision;
        change->mark_stamp = weir__reg_decode_mark(results[1].pairs[0].value);
    }
    if (results[0].count == 0)
        return WEIR_OK;
    change->mod_revision = results[0].pairs[0].mod_revision;
    int const code = weir__reg_decode(change->registry, change->service, change->id,
                                      &results[0].pairs[0], &change->base);
    return code == WEIR_EPROTOCOL ? WEIR_OK : code; /* It can be replaced, or taken out. */
}

/* ---- What becomes of it ---- */

static void change_edit_metadata(const weir__reg_change *change, weir_instance *edited,
                                 weir_label *labels)
{
    size_t count = 0;
    bool found = false;
    for (size_t i = 0; i < edited->metadata_count; i++) {
        labels[count] = edited->metadata[i];
        if (strcmp(labels[count].key, change->name) == 0) {
            found = true;
            if (change->value == NULL)
                continue;
            labels[count].value = change->value;
        }
        count++;
    }
    if (!found && change->value != NULL)
        labels[count++] = (weir_label){change->name, change->value};
    edited->metadata = labels;
    edited->metadata_count = count;
}

static void change_edit_registration(weir__reg_change *change, weir_instance *edited)
{
    const weir_instance *const base = change->base != NULL ? &change->base->instance : NULL;
    *edited = change->wanted->instance;
    edited->node = change->registry->node;
    if (edited->stamp == 0) { /* It wins over all that is there. */
        uint64_t const wall_ms = weir__wall_ns(&change->env) / WEIR__NS_PER_MS;
        edited->stamp = wall_ms > change->mark_stamp ? wall_ms : change->mark_stamp + 1;
        if (base != NULL && edited->stamp < base->stamp)
            edited->stamp = base->stamp;
    }
    if (change->kind == WEIR__REG_PUT_BACK && base == NULL)
        return;
    edited->override = base != NULL ? base->override : WEIR_INSTANCE_UNKNOWN;
    if (base != NULL && base->stamp == edited->stamp && base->draining)
        edited->draining = true;
}

/* The new value, or the mark, into `text`. */
static int change_write(weir__reg_change *change)
{
    weir_label labels[WEIR_REGISTRY_MAX_METADATA + 1];
    weir_instance edited = WEIR_INSTANCE_INIT;
    weir__text_clear(&change->text);
    if (change->kind == WEIR__REG_DEREGISTER) {
        weir__text_str(&change->text, "{\"stamp\":");
        weir__text_u64(&change->text, change->base != NULL ? change->base->instance.stamp : 0);
        weir__text_str(&change->text, "}");
        return weir__text_ok(&change->text) ? WEIR_OK : WEIR_ENOMEM;
    }
    if (change->kind <= WEIR__REG_PUT_BACK)
        change_edit_registration(change, &edited);
    else
        edited = change->base->instance;
    change->stamp = edited.stamp;
    if (change->kind == WEIR__REG_SET_STATUS)
        edited.status = change->status;
    else if (change->kind == WEIR__REG_SET_OVERRIDE)
        edited.override = change->status;
    else if (change->kind == WEIR__REG_DRAIN)
        edited.draining = change->draining;
    else if (change->kind == WEIR__REG_SET_METADATA)
        change_edit_metadata(change, &edited, labels);
    if (edited.metadata_count > WEIR_REGISTRY_MAX_METADATA)
        return WEIR_ETOOLARGE;
    weir__reg_encode(&edited, &change->text);
    if (!weir__text_ok(&change->text))
        return WEIR_ENOMEM;
    return change->text.size <= WEIR_REGISTRY_MAX_BYTES ? WEIR_OK : WEIR_ETOOLARGE;
}

/* Whether it may be done to what is there. */
static int change_judge(weir__reg_change *change)
{
    change->marked = false;
    if (change->kind > WEIR__REG_DEREGISTER && change->base == NULL)
        return change->mod_revision > 0 ? WEIR_EPROTOCOL : WEIR_ENOTFOUND;
    if (change->kind == WEIR__REG_DEREGISTER)
        return change->mod_revision > 0 ? WEIR_OK : WEIR_ENOTFOUND;
    uint64_t const stamp = change->kind < WEIR__REG_DEREGISTER ? change->wanted->instance.stamp : 0;
    if (stamp == 0)
        return WEIR_OK;
    change->marked = change->mark_revision > 0 && change->mark_stamp >= stamp;
    bool const older = change->base != NULL && change->base->instance.stamp > stamp;
    return change->marked || older ? WEIR_ESTALE : WEIR_OK;
}

/* ---- Attempts ---- */

/* It is registered: that is as good as a heartbeat. */
static void change_renew(const weir__reg_change *change)
{
    weir__reg_item *const item = change->kind <= WEIR__REG_PUT_BACK ? change_item(change) : NULL;
    if (item != NULL)
        weir__reg_lease_renew(change->registry, item, change->registry->now_ns);
}

static void change_told(const weir_kv_result *result, void *user)
{
    weir__reg_change *const change = user;
    weir_registry *const registry = change->registry;
    if (registry == NULL) {
        change_free(change);
        return;
    }
    (void)weir__reg_now(registry);
    bool const asked = change->asking;
    change->asking = false;
    if (result->code == WEIR_OK && result->succeeded && !asked) {
        change_renew(change);
        change_finish(change, WEIR_OK, result->revision);
        return;
    }
    int code = result->code;
    if (code == WEIR_ENOTFOUND)
        registry->mark_lease = 0; /* It ended before its time. */
    else if (code == WEIR_OK)
        code = change_read(change, result->results, result->count);
    if (change->cancelled)
        code = WEIR_ECLOSED;
    if (code == WEIR_OK || code == WEIR_ENOTFOUND)
        code = change->tries < CHANGE_TRIES ? change_attempt(change) : WEIR_EBUSY;
    if (code != WEIR_OK)
        change_finish(change, code, 0);
}

static int change_commit(weir__reg_change *change)
{
    weir_registry *const registry = change->registry;
    weir_bytes const key = {change->key, change->key_size};
    weir_bytes const mark = {change->mark, change->mark_size};
    weir_bytes const value = {change->text.data, change->text.size};
    bool const registers = change->kind <= WEIR__REG_PUT_BACK;
    bool const leaves = change->kind == WEIR__REG_DEREGISTER;
    weir_kv_compare const compares[] = {
        {key, WEIR_KV_MOD_REVISION, WEIR_KV_EQUAL, change->mod_revision, {NULL, 0}},
        {mark, WEIR_KV_MOD_REVISION, WEIR_KV_EQUAL, change->mark_revision, {NULL, 0}},
    };
    weir_kv_op then_ops[2] = {
        {.kind = WEIR_KV_PUT, .range = {.keys = {.key = leaves ? mark : key}}, .value = value},
        {.kind = WEIR_KV_DELETE, .range = {.keys = {.key = leaves ? key : mark}}},
    };
    if (leaves)
        then_ops[0].lease = registry->mark_lease;
    weir_kv_op const else_ops[2] = {
        {.kind = WEIR_KV_RANGE, .range = {.keys = {.key = key}}},
        {.kind = WEIR_KV_RANGE, .range = {.keys = {.key = mark}}},
    };
    weir_kv_txn const txn = {.compares = compares,
                             .compare_count = registers ? 2 : 1,
                             .then_ops = then_ops,
                             .then_count =
                                 leaves || (registers && change->mark_revision > 0) ? 2 : 1,
                             .else_ops = else_ops,
                             .else_count = 2};
    return registry->kv.txn(registry->kv.self, &txn, change_told, change);
}

static int change_ask(weir__reg_change *change)
{
    weir_registry *const registry = change->registry;
    weir_kv_op const ops[2] = {
        {.kind = WEIR_KV_RANGE, .range = {.keys = {.key = {change->key, change->key_size}}}},
        {.kind = WEIR_KV_RANGE, .range = {.keys = {.key = {change->mark, change->mark_size}}}},
    };
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 2};
    change->asking = true;
    return registry->kv.txn(registry->kv.self, &txn, change_told, change);
}

static void change_granted(const weir_kv_lease_result *result, void *user)
{
    weir__reg_change *const change = user;
    weir_registry *const registry = change->registry;
    if (registry == NULL) {
        change_free(change);
        return;
    }
    int code = result->code;
    if (code == WEIR_OK) {
        registry->mark_lease = result->id;
        registry->mark_until_ns =
            weir__reg_now(registry) + registry->options.mark_ms / 2 * WEIR__NS_PER_MS;
        code = change_commit(change);
    }
    if (code != WEIR_OK)
        change_finish(change, code, 0);
}

/* On WEIR_OK it may be over, and freed, already. */
static int change_attempt(weir__reg_change *change)
{
    weir_registry *const registry = change->registry;
    change->tries++;
    int code = change_judge(change);
    if (code != WEIR_OK && !change->fresh)
        return change_ask(change);
    if (code == WEIR_OK)
        code = change_write(change);
    if (code != WEIR_OK && change->tries > 1) {
        change_finish(change, code, 0);
        return WEIR_OK;
    }
    if (code != WEIR_OK)
        return code;
    if (change->kind == WEIR__REG_DEREGISTER &&
        (registry->mark_lease == 0 || registry->now_ns >= registry->mark_until_ns))
        return registry->kv.grant(registry->kv.self, 0, registry->options.mark_ms / 2 * 3,
                                  change_granted, change);
    return change_commit(change);
}

/* ---- Public ---- */

int weir__reg_change_register(weir_registry *registry, weir__reg_change_kind kind,
                              weir__reg_record *record, weir_registry_done_fn done, void *user,
                              weir__reg_change **out)
{
    weir__reg_change *const change =
        change_create(registry, kind, record->instance.service, record->instance.id, NULL, NULL);
    if (change == NULL)
        return WEIR_ENOMEM;
    change->wanted = record;
    record->refs++;
    if (out != NULL)
        *out = change; /* It may be over before this returns. */
    int const code = change_begin(change, done, user);
    if (code != WEIR_OK && out != NULL)
        *out = NULL;
    return code;
}

int weir_registry_register(weir_registry *registry, const weir_instance *instance,
                           weir_registry_done_fn done, void *user)
{
    weir_instance loaded = WEIR_INSTANCE_INIT;
    if (weir__options_load(&loaded, sizeof loaded, instance, instance->struct_size) ||
        weir__reg_validate_lease(registry, &loaded) || weir__reg_validate(&loaded))
        return WEIR_EINVAL;
    weir__reg_record *const record = weir__reg_record_copy(&registry->env, &loaded);
    if (record == NULL)
        return WEIR_ENOMEM;
    registry->bytes += record->waste.size;
    int const code =
        weir__reg_change_register(registry, WEIR__REG_REGISTER, record, done, user, NULL);
    weir__reg_release(registry, record);
    return code;
}

static int change_start(weir_registry *registry, weir__reg_change_kind kind, const char *service,
                        const char *id, weir__reg_change **out)
{
    *out = NULL;
    if (weir__reg_validate_name(service) || weir__reg_validate_name(id))
        return WEIR_EINVAL;
    *out = change_create(registry, kind, service, id, NULL, NULL);
    return *out != NULL ? WEIR_OK : WEIR_ENOMEM;
}

int weir_registry_deregister(weir_registry *registry, const char *service, const char *id,
                             weir_registry_done_fn done, void *user)
{
    weir__reg_change *change;
    int const code = change_start(registry, WEIR__REG_DEREGISTER, service, id, &change);
    return code == WEIR_OK ? change_begin(change, done, user) : code;
}

static int change_status(weir_registry *registry, weir__reg_change_kind kind, const char *service,
                         const char *id, weir_instance_status status, weir_registry_done_fn done,
                         void *user)
{
    weir__reg_change *change;
    if ((unsigned)status > WEIR_INSTANCE_OUT_OF_SERVICE ||
        (kind == WEIR__REG_SET_STATUS && status == WEIR_INSTANCE_UNKNOWN))
        return WEIR_EINVAL;
    int const code = change_start(registry, kind, service, id, &change);
    if (code != WEIR_OK)
        return code;
    change->status = status;
    return change_begin(change, done, user);
}

int weir_registry_set_status(weir_registry *registry, const char *service, const char *id,
                             weir_instance_status status, weir_registry_done_fn done, void *user)
{
    return change_status(registry, WEIR__REG_SET_STATUS, service, id, status, done, user);
}

int weir_registry_set_override(weir_registry *registry, const char *service, const char *id,
                               weir_instance_status override, weir_registry_done_fn done,
                               void *user)
{
    return change_status(registry, WEIR__REG_SET_OVERRIDE, service, id, override, done, user);
}

int weir_registry_drain(weir_registry *registry, const char *service, const char *id, bool draining,
                        weir_registry_done_fn done, void *user)
{
    weir__reg_change *change;
    int const code = change_start(registry, WEIR__REG_DRAIN, service, id, &change);
    if (code != WEIR_OK)
        return code;
    change->draining = draining;
    return change_begin(change, done, user);
}

int weir_registry_set_metadata(weir_registry *registry, const char *service, const char *id,
                               const char *key, const char *value, weir_registry_done_fn done,
                               void *user)
{
    if (weir__reg_validate_name(service) || weir__reg_validate_name(id) ||
        weir__reg_validate_label(key, value))
        return WEIR_EINVAL;
    weir__reg_change *const change =
        change_create(registry, WEIR__REG_SET_METADATA, service, id, key, value);
    return change != NULL ? change_begin(change, done, user) : WEIR_ENOMEM;
}
