#include "config/config.h"

#include "base/map.h"

#include <string.h>

#define WRITE_FEW 32

/* One key of a transaction: what is to become of it, and what is known of it now. */
typedef struct write_target {
    weir__config_edit edit; /* Its strings are copies, at the end of the call. */
    size_t key_at, name_at; /* In `keys`; the name is behind the root. */
    size_t key_size;
    bool ours;                        /* Put or deleted by this attempt... */
    size_t head_at, head_size;        /* ...its record's line, in `heads`... */
    size_t past_at, past_size;        /* ...the key of the version that it replaces... */
    size_t from_at, from_size, to_at; /* ...and those that are beyond the bound. */
    weir_bytes raw;                   /* Known: its record; borrowed from the view or a result. */
    uint64_t mod_revision;
    uint64_t floor; /* A version that was there once, though the kv may not know it any more. */
    weir__config_record record; /* Version 0: there is none, or none of ours. */
} write_target;

typedef struct write_call {
    weir__config_call call; /* First. */
    weir_config_done_fn done;
    void *user;
    size_t bytes, count;
    bool fresh;   /* What is known is from the kv itself. */
    bool reading; /* This attempt only asks. */
    unsigned attempts;
    weir__text keys;
    weir__text heads; /* Of this attempt. */
    weir_kv_compare *compares;
    weir_kv_op *ops; /* Three a target, then one a target to read. */
    write_target targets[];
} write_call;

/* ---- Ends ---- */

static void write_release(weir__config_call *call)
{
    write_call *const write = (write_call *)call;
    weir_env const env = call->env;
    write->keys.env = write->heads.env = &env; /* The config's is gone, perhaps. */
    weir__text_free(&write->keys);
    weir__text_free(&write->heads);
    weir__free(&env, write, write->bytes);
}

static void write_closed(weir__config_call *call)
{
    const write_call *const write = (const write_call *)call;
    weir_config_result const result = {.code = WEIR_ECLOSED};
    if (write->done != NULL)
        write->done(&result, write->user);
}

static void write_finish(write_call *write, const weir_config_result *result)
{
    weir__config_call_remove(&write->call);
    if (write->done != NULL)
        write->done(result, write->user);
    write_release(&write->call);
}

static void write_fail(write_call *write, int code)
{
    weir_config_result const result = {.code = code};
    write_finish(write, &result);
}

/* A version that was not the one to compare with is an answer, not an error. */
static void write_differs(write_call *write, const write_target *target, uint64_t revision)
{
    weir_config_result result = {.code = WEIR_OK, .succeeded = false, .revision = revision};
    weir__config_words words;
    weir__config_key key;
    weir_bytes const inner = {write->keys.data + target->name_at,
                              target->key_size - (target->name_at - target->key_at)};
    if (weir__config_key_parse(inner, &key))
        weir__config_value_of(&key, target->raw, target->mod_revision, &words, &result.current);
    write_finish(write, &result);
}

/* ---- One attempt: what to do, given what is known ---- */

static weir_bytes write_value(const write_call *write, const write_target *target)
{
    return target->edit.from_first ? write->targets[0].record.value : target->edit.value;
}

/* The one that it becomes. */
static uint64_t write_version(const write_target *target)
{
    uint64_t const known = target->record.version;
    return (known > target->floor ? known : target->floor) + 1;
}

static bool write_changes(const write_target *target)
{
    switch (target->edit.what) {
    case WEIR__CONFIG_READ: return false;
    case WEIR__CONFIG_REMOVE: return target->record.version > 0 && !target->record.deleted;
    case WEIR__CONFIG_SET:
    case WEIR__CONFIG_RULE:
    case WEIR__CONFIG_DROP: break;
    }
    return true;
}

/* Where a promotion goes is written in the rule. */
static bool write_missing(const write_target *target)
{
    return (target->edit.what == WEIR__CONFIG_DROP || target->edit.what == WEIR__CONFIG_READ) &&
           (target->record.version == 0 || target->record.deleted);
}

static bool write_unequal(const write_target *target)
{
    uint64_t const version = target->record.deleted ? 0 : target->record.version;
    return target->edit.compare && version != target->edit.version;
}

static void write_past(const weir_config *config, write_call *write, write_target *target)
{
    uint64_t const old = target->record.version;
    const char *const key = write->keys.data + target->name_at;
    size_t const size = target->key_size - (target->name_at - target->key_at);
    weir__text *const text = &write->heads;
    target->past_size = target->from_size = 0;
    if (old == 0 || target->edit.what == WEIR__CONFIG_RULE)
        return;
    uint64_t const versions[] = {old, 0,
                                 old > config->options.history ? old - config->options.history + 1
                                                               : 0};
    size_t at[3];
    for (size_t i = 0; i < 3; i++) {
        at[i] = text->size;
        weir__text_str(text, config->options.history_root);
        weir__text_bytes(text, key, size);
        weir__config_version_write(text, versions[i]);
    }
    target->past_at = at[0];
    target->past_size = config->options.history > 0 ? at[1] - at[0] : 0;
    target->from_at = at[1];
    target->to_at = at[2];
    target->from_size = old > config->options.history ? at[2] - at[1] : 0;
}

/* The lines of the records to be, and the keys of history. */
static void write_heads(weir_config *config, write_call *write)
{
    uint64_t const ms = weir__wall_ns(&config->env) / WEIR__NS_PER_MS;
    weir__text_clear(&write->heads);
    for (size_t i = 0; i < write->count; i++) {
        write_target *const target = &write->targets[i];
        const weir__config_edit *const edit = &target->edit;
        target->ours = write_changes(target);
        target->head_size = target->past_size = target->from_size = 0;
        if (!target->ours || edit->what == WEIR__CONFIG_DROP)
            continue;
        weir__config_record record = {.version = write_version(target),
                                      .modified_ms = ms,
                                      .deleted = edit->what == WEIR__CONFIG_REMOVE};
        if (edit->source != NULL)
            record.source = weir_bytes_of(edit->source);
        if (edit->what == WEIR__CONFIG_RULE) {
            record.priority = edit->priority;
            record.permille = edit->permille;
            record.salt = weir_bytes_of(edit->salt);
            record.labels = weir_bytes_of(edit->labels != NULL ? edit->labels : "");
            record.environment =
                weir_bytes_of(edit->rule_environment != NULL ? edit->rule_environment : "");
        }
        weir_bytes const value = record.deleted ? (weir_bytes){"", 0} : write_value(write, target);
        target->head_at = write->heads.size;
        weir__config_record_write(&write->heads, &record);
        weir__text_bytes(&write->heads, value.data, value.size);
        target->head_size = write->heads.size - target->head_at;
        write_past(config, write, target);
    }
}

static weir_bytes write_slice(const weir__text *text, size_t at, size_t size)
{
    return (weir_bytes){text->data + at, size};
}

static weir_bytes write_key(const write_call *write, const write_target *target)
{
    return write_slice(&write->keys, target->key_at, target->key_size);
}

/* How many operations there are; the reads come after, at their fixed place. */
static size_t write_ops(write_call *write)
{
    size_t count = 0;
    for (size_t i = 0; i < write->count; i++) {
        const write_target *const target = &write->targets[i];
        weir_bytes const key = write_key(write, target);
        weir_kv_op op = {.kind = WEIR_KV_DELETE, .range = {.keys = {.key = key}}};
        write->compares[i] = (weir_kv_compare){.key = key,
                                               .target = WEIR_KV_MOD_REVISION,
                                               .relation = WEIR_KV_EQUAL,
                                               .number = target->mod_revision};
        if (target->ours && target->edit.what == WEIR__CONFIG_DROP)
            write->ops[count++] = op;
        if (target->head_size == 0)
            continue;
        op.kind = WEIR_KV_PUT;
        op.value = write_slice(&write->heads, target->head_at, target->head_size);
        write->ops[count++] = op;
        if (target->past_size > 0) {
            op.range.keys.key = write_slice(&write->heads, target->past_at, target->past_size);
            op.value = target->raw;
            write->ops[count++] = op;
        }
        if (target->from_size > 0)
            write->ops[count++] = (weir_kv_op){
                .kind = WEIR_KV_DELETE,
                .range = {
                    .keys = {.key = write_slice(&write->heads, target->from_at, target->from_size),
                             .end = write_slice(&write->heads, target->to_at, target->from_size)}}};
    }
    return count;
}

static int write_txn(write_call *write, size_t ops)
{
    const weir_kv *const kv = &write->call.config->kv;
    weir_kv_op *const reads = write->ops + 3 * write->count;
    weir_kv_txn txn = {.compares = write->compares,
                       .compare_count = write->count,
                       .then_ops = write->ops,
                       .then_count = ops,
                       .else_ops = reads,
                       .else_count = write->count};
    for (size_t i = 0; i < write->count; i++)
        reads[i] = (weir_kv_op){.kind = WEIR_KV_RANGE,
                                .range = {.keys = {.key = write_key(write, &write->targets[i])}}};
    if (write->reading) {
        txn.compare_count = 0;
        txn.then_ops = reads;
        txn.then_count = write->count;
        txn.else_count = 0;
    }
    return kv->txn(kv->self, &txn, weir__config_told, &write->call);
}

/* Values that were not known before are checked now. */
static int write_validate(weir_config *config, const write_call *write, weir_config_error *error)
{
    for (size_t i = 0; i < write->count; i++) {
        const write_target *const target = &write->targets[i];
        if (!target->edit.from_first)
            continue;
        int const code =
            weir__config_validate(config, target->edit.name, write_value(write, target), error);
        if (code != WEIR_OK)
            return code;
    }
    return WEIR_OK;
}

/*
 * Ask the kv: to change all, if nothing has changed since what is known; or, if what is known is
 * the view alone and speaks against it, what is there now. Returns what the kv says at once.
 * *over: it has ended without.
 */
static int write_attempt(write_call *write, uint64_t revision, bool *over)
{
    weir_config *const config = write->call.config;
    weir_config_result result = {.code = WEIR_OK, .succeeded = true, .revision = revision};
    *over = false;
    write->reading = false;
    for (size_t i = 0; i < write->count && !write->reading; i++) {
        const write_target *const target = &write->targets[i];
        bool const missing = write_missing(target);
        write->reading = !write->fresh && (missing || write_unequal(target));
        if (write->reading || !(missing || write_unequal(target)))
            continue;
        *over = true;
        if (missing)
            write_fail(write, WEIR_ENOTFOUND);
        else
            write_differs(write, target, revision);
        return WEIR_OK;
    }
    if (write->reading)
        return write_txn(write, 0);
    result.code = write_validate(config, write, &result.error);
    write_heads(config, write);
    if (result.code == WEIR_OK && !weir__text_ok(&write->heads))
        result.code = WEIR_ENOMEM;
    if (result.code == WEIR_ENOMEM && write->attempts == 0)
        return WEIR_ENOMEM; /* Within the call that began it. */
    size_t const ops = result.code == WEIR_OK ? write_ops(write) : 0;
    if (ops > 0)
        return write_txn(write, ops);
    if (result.code == WEIR_OK && !write->fresh) {
        write->reading = true;
        return write_txn(write, 0);
    }
    *over = true;
    result.succeeded = result.code == WEIR_OK;
    write_finish(write, &result);
    return WEIR_OK;
}

/* ---- Answers ---- */

/* Where it goes is known once the rule is: until then the edit names the layer for all. */
static bool write_place(write_call *write)
{
    const write_target *const first = &write->targets[0];
    if (write->count < 2 || first->edit.what != WEIR__CONFIG_DROP ||
        !write->targets[1].edit.from_first)
        return true;
    write_target *const to = &write->targets[1];
    weir_bytes const scope = first->record.environment;
    size_t const name_size = strlen(to->edit.name);
    weir_bytes const now = {write->keys.data + to->name_at + name_size,
                            to->key_size - (to->name_at - to->key_at) - name_size};
    weir_bytes const bare = {(const char *)now.data + 1, now.size > 0 ? now.size - 1 : 0};
    if (weir__config_equal(scope, bare))
        return true;
    to->floor = 0;
    to->key_at = write->keys.size;
    weir__text_str(&write->keys, write->call.config->options.root);
    to->name_at = write->keys.size;
    weir__text_str(&write->keys, to->edit.name);
    if (scope.size > 0)
        weir__text_str(&write->keys, "@");
    weir__text_bytes(&write->keys, scope.data, scope.size);
    to->key_size = write->keys.size - to->key_at;
    return false;
}

static void write_know(write_target *target, weir_bytes raw, uint64_t mod_revision)
{
    target->raw = raw;
    target->mod_revision = mod_revision;
    if (!weir__config_record_parse(raw, &target->record))
        target->record = (weir__config_record){.version = 0};
}

static void write_learn(write_call *write, const weir_kv_result *result)
{
    write->fresh = true;
    for (size_t i = 0; i < write->count; i++) {
        const weir_kv_op_result *const found = &result->results[i];
        if (found->count > 0)
            write_know(&write->targets[i], found->pairs[0].value, found->pairs[0].mod_revision);
        else
            write_know(&write->targets[i], (weir_bytes){"", 0}, 0);
    }
}

/* Who is told reads what was written, even if the watch tells of it later. */
static void write_into_view(weir_config *config, const write_call *write, uint64_t revision)
{
    for (size_t i = 0; i < write->count && config->in_sync; i++) {
        const write_target *const target = &write->targets[i];
        weir_bytes const inner = {write->keys.data + target->name_at,
                                  target->key_size - (target->name_at - target->key_at)};
        weir_bytes raw = {NULL, 0};
        weir__config_key key;
        if (!target->ours || !weir__config_key_parse(inner, &key))
            continue;
        if (target->head_size > 0)
            raw = write_slice(&write->heads, target->head_at, target->head_size);
        int const code = weir__config_put(config, &key, raw, revision);
        if (code != WEIR_OK)
            weir__config_lost(config, code);
    }
}

static void write_succeeded(write_call *write, uint64_t revision)
{
    weir_config_result result = {.code = WEIR_OK, .succeeded = true, .revision = revision};
    write_into_view(write->call.config, write, revision);
    for (size_t i = write->count; i-- > 0;)
        if (write->targets[i].ours && write->targets[i].edit.what != WEIR__CONFIG_DROP)
            result.version = write_version(&write->targets[i]);
    write_finish(write, &result);
}

static void write_told(weir__config_call *call, const weir_kv_result *result)
{
    write_call *const write = (write_call *)call;
    bool over;
    if (result->code != WEIR_OK) {
        write_fail(write, result->code);
        return;
    }
    if (result->succeeded && !write->reading) {
        write_succeeded(write, result->revision);
        return;
    }
    if (++write->attempts > WEIR__CONFIG_ATTEMPTS) {
        write_fail(write, WEIR_EBUSY);
        return;
    }
    write_learn(write, result);
    int code = WEIR_OK;
    if (write_place(write)) {
        code = write_attempt(write, result->revision, &over);
    } else { /* Of that layer nothing is known yet. */
        write->reading = true;
        code = weir__text_ok(&write->keys) ? write_txn(write, 0) : WEIR_ENOMEM;
    }
    if (code != WEIR_OK)
        write_fail(write, code);
}

/* ---- Beginning ---- */

static size_t write_length(const char *str)
{
    return str != NULL ? strlen(str) + 1 : 0;
}

static size_t write_strings(const weir__config_edit *e)
{
    return write_length(e->name) + write_length(e->environment) + write_length(e->label) +
           write_length(e->rule) + write_length(e->source) + write_length(e->rule_environment) +
           write_length(e->labels) + write_length(e->salt) + e->value.size;
}

static const char *write_copy(char **at, const char *str)
{
    size_t const size = write_length(str);
    if (size == 0)
        return NULL;
    char *const copy = memcpy(*at, str, size);
    *at += size;
    return copy;
}

static void write_copy_edit(weir__config_edit *to, const weir__config_edit *from, char **at)
{
    *to = *from;
    to->name = write_copy(at, from->name);
    to->environment = write_copy(at, from->environment);
    to->label = write_copy(at, from->label);
    to->rule = write_copy(at, from->rule);
    to->source = write_copy(at, from->source);
    to->rule_environment = write_copy(at, from->rule_environment);
    to->labels = write_copy(at, from->labels);
    to->salt = write_copy(at, from->salt);
    if (from->value.size > 0)
        to->value.data = memcpy(*at, from->value.data, from->value.size);
    *at += from->value.size;
}

static void write_know_view(weir_config *config, const write_call *write, write_target *target)
{
    weir_bytes const inner = write_slice(&write->keys, target->name_at,
                                         target->key_size - (target->name_at - target->key_at));
    weir__config_key key;
    write_know(target, (weir_bytes){"", 0}, 0);
    target->floor = 0;
    if (target->edit.what == WEIR__CONFIG_READ || !weir__config_key_parse(inner, &key))
        return;
    const weir__config_entry *const entry = weir__config_find(config, key.name.data, key.name.size);
    const weir__config_item *const item = weir__config_item_of(entry, key.scope);
    if (item != NULL)
        target->floor = item->version;
    if (item != NULL && item->raw_size > 0)
        write_know(target, (weir_bytes){weir__config_bytes(entry, item->raw_at), item->raw_size},
                   item->revision);
}

static void write_add_key(const weir_config *config, write_call *write, write_target *target)
{
    bool const past = target->edit.what == WEIR__CONFIG_READ;
    target->key_at = write->keys.size;
    weir__text_str(&write->keys, past ? config->options.history_root : config->options.root);
    target->name_at = write->keys.size;
    weir__config_key_write(&write->keys, &target->edit);
    if (past)
        weir__config_version_write(&write->keys, target->edit.version);
    target->key_size = write->keys.size - target->key_at;
}

static write_call *write_create(weir_config *config, const weir__config_edit *edits, size_t count)
{
    size_t bytes = sizeof(write_call) + count * (sizeof(write_target) + sizeof(weir_kv_compare) +
                                                 4 * sizeof(weir_kv_op));
    for (size_t i = 0; i < count; i++)
        bytes += write_strings(&edits[i]);
    write_call *const write = weir__alloc(&config->env, bytes);
    if (write == NULL)
        return NULL;
    write->bytes = bytes;
    write->count = count;
    write->compares = (weir_kv_compare *)(write->targets + count);
    write->ops = (weir_kv_op *)(write->compares + count);
    char *strings = (char *)(write->ops + 4 * count);
    weir__text_init(&write->keys, &config->env);
    weir__text_init(&write->heads, &config->env);
    weir__text_str(&write->heads, "");
    for (size_t i = 0; i < count; i++) {
        write_copy_edit(&write->targets[i].edit, &edits[i], &strings);
        write_add_key(config, write, &write->targets[i]);
    }
    write->call.told = write_told;
    write->call.closed = write_closed;
    write->call.release = write_release;
    return write;
}

/* Whether a key is among those before it: for so few, looking is quicker than hashing. */
static bool write_twice_few(const write_call *write, size_t at)
{
    weir_bytes const key = write_key(write, &write->targets[at]);
    size_t i = 0;
    while (i < at && !weir__config_equal(write_key(write, &write->targets[i]), key))
        i++;
    return i < at;
}

/* The first key that is there twice is set in *at, or the count. WEIR_OK or WEIR_ENOMEM. */
static int write_twice_many(weir_config *config, const write_call *write, size_t *at)
{
    weir__map keys;
    weir__map_init(&keys, &config->env);
    int code = weir__map_reserve(&keys, write->count);
    for (*at = 0; code == WEIR_OK && *at < write->count; ++*at) {
        weir_bytes const key = write_key(write, &write->targets[*at]);
        if (weir__map_get(&keys, key.data, key.size) != NULL)
            break;
        code = weir__map_put(&keys, key.data, key.size, config);
    }
    weir__map_free(&keys);
    return code;
}

/* No key twice. WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
static int write_distinct(weir_config *config, const write_call *write, weir_config_error *error)
{
    size_t at = 0;
    int code = WEIR_OK;
    if (write->count > WRITE_FEW)
        code = write_twice_many(config, write, &at);
    else
        while (at < write->count && !write_twice_few(write, at))
            at++;
    return code == WEIR_OK && at < write->count
               ? weir__config_refuse(error, WEIR_EINVAL, write->targets[at].edit.name,
                                     "changed twice")
               : code;
}

int weir__config_submit(weir_config *config, const weir__config_edit *edits, size_t count,
                        weir_config_done_fn done, void *user, weir_config_error *error)
{
    bool over;
    if (count == 0)
        return weir__config_refuse(error, WEIR_EINVAL, "", "nothing to change");
    for (size_t i = 0; i < count; i++) {
        int const bad = weir__config_edit_check(config, &edits[i], error);
        if (bad != WEIR_OK)
            return bad;
    }
    write_call *const write = write_create(config, edits, count);
    if (write == NULL)
        return weir__config_refuse(error, WEIR_ENOMEM, "", weir_strerror(WEIR_ENOMEM));
    write->done = done;
    write->user = user;
    weir__config_call_add(config, &write->call);
    int code = weir__text_ok(&write->keys) ? write_distinct(config, write, error) : WEIR_ENOMEM;
    if (code == WEIR_OK) {
        for (size_t i = 0; i < count; i++)
            write_know_view(config, write, &write->targets[i]);
        if (!write_place(write))
            write_know_view(config, write, &write->targets[1]);
        code = weir__text_ok(&write->keys) ? write_attempt(write, config->revision, &over)
                                           : WEIR_ENOMEM;
    }
    if (code == WEIR_OK)
        return WEIR_OK;
    weir__config_call_remove(&write->call);
    write_release(&write->call);
    if (code == WEIR_EINVAL && error != NULL && error->code == WEIR_EINVAL)
        return code;
    return weir__config_refuse(error, code, edits[0].name, weir_strerror(code));
}
