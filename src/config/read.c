#include "config/config.h"

#include "base/json.h"
#include "base/number.h"
#include "base/xxhash.h"

#include <string.h>

static bool read_has_label(const weir_config_client *client, weir_bytes label)
{
    for (size_t i = 0; i < client->label_count; i++)
        if (weir__config_same(label, client->labels[i]))
            return true;
    return false;
}

/* All of a list with commas between. */
static bool read_has_labels(const weir_config_client *client, weir_bytes labels)
{
    const char *const data = labels.data;
    for (size_t from = 0; from < labels.size;) {
        const char *const comma = memchr(data + from, ',', labels.size - from);
        size_t const to = comma != NULL ? (size_t)(comma - data) : labels.size;
        if (!read_has_label(client, (weir_bytes){data + from, to - from}))
            return false;
        from = to + 1;
    }
    return true;
}

/* The salt seeds, so that shares of two rules have nothing to do with one another. */
static bool read_in_share(const weir_config_client *client, const weir__config_record *rule)
{
    if (rule->permille >= 1000)
        return true;
    if (client->id == NULL)
        return false;
    uint64_t const seed = weir__xxhash64(rule->salt.data, rule->salt.size, 0);
    return weir__xxhash64(client->id, strlen(client->id), seed) % 1000 < rule->permille;
}

static bool read_rule_takes(const weir__config_entry *entry, const weir__config_item *item,
                            const weir_config_client *client)
{
    weir__config_record rule;
    weir_bytes const raw = {weir__config_bytes(entry, item->raw_at), item->raw_size};
    return weir__config_record_parse(raw, &rule) &&
           (rule.environment.size == 0 ||
            weir__config_same(rule.environment, client->environment)) &&
           read_has_labels(client, rule.labels) && read_in_share(client, &rule);
}

static bool read_layer_takes(const weir__config_entry *entry, const weir__config_item *item,
                             const weir_config_client *client)
{
    if (item->layer == WEIR_CONFIG_GRAY)
        return read_rule_takes(entry, item, client);
    weir_bytes const environment = weir__config_item_environment(entry, item);
    weir_bytes const label = weir__config_item_label(entry, item);
    return (environment.size == 0 || weir__config_same(environment, client->environment)) &&
           (label.size == 0 || weir__config_same(label, client->label));
}

static const weir__config_item *read_item(const weir_config *config,
                                          const weir__config_entry *entry,
                                          const weir_config_client *client)
{
    const weir_config_client *const who = client != NULL ? client : &config->options.client;
    for (uint32_t i = 0; i < entry->count; i++) {
        const weir__config_item *const item = &entry->items[i];
        if (!item->deleted &&
            (item->layer == WEIR_CONFIG_DEFAULT || read_layer_takes(entry, item, who)))
            return item;
    }
    return NULL;
}

const weir__config_item *weir__config_choose(weir_config *config, const char *name,
                                             const weir_config_client *client,
                                             const weir__config_entry **entry, int *code)
{
    const weir__config_entry *const found = weir__config_find(config, name, strlen(name));
    const weir__config_item *const item = found != NULL ? read_item(config, found, client) : NULL;
    *entry = found;
    if (item != NULL)
        *code = WEIR_OK;
    else
        *code = atomic_load_explicit(&config->ready, memory_order_acquire) ? WEIR_ENOTFOUND
                                                                           : WEIR_EBUSY;
    return item;
}

static weir_config_info read_info(const weir__config_item *item)
{
    return (weir_config_info){.size = item->value_size,
                              .version = item->version,
                              .revision = item->revision,
                              .modified_ms = item->modified_ms,
                              .layer = (weir_config_layer)item->layer};
}

int weir_config_get(weir_config *config, const char *name, const weir_config_client *client,
                    void *out, size_t room, weir_config_info *info)
{
    const weir__config_entry *entry;
    int code;
    weir__reader *const reader = weir__read_begin();
    const weir__config_item *const item = weir__config_choose(config, name, client, &entry, &code);
    if (item != NULL) {
        size_t const size = item->value_size;
        if (info != NULL)
            *info = read_info(item);
        if (size < room) {
            memcpy(out, weir__config_bytes(entry, item->value_at), size);
            ((char *)out)[size] = '\0';
        } else {
            code = WEIR_ETOOLARGE;
        }
    }
    weir__read_end(reader);
    return code;
}

/* ---- Typed ---- */

typedef union read_result {
    bool boolean;
    int64_t i64;
    uint64_t u64;
    double real;
} read_result;

typedef bool (*read_parser)(weir_bytes value, read_result *out);

static bool read_bool(weir_bytes value, read_result *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (weir__config_same(value, words[i])) {
            out->boolean = i % 2 != 0;
            return true;
        }
    return false;
}

static bool read_i64(weir_bytes value, read_result *out)
{
    weir__number_error ignored;
    const char *const text = value.data;
    bool const negative = value.size > 0 && text[0] == '-';
    uint64_t magnitude = 0;
    if (!weir__number_u64(text + negative, value.size - negative, 0, (uint64_t)INT64_MAX + negative,
                          &magnitude, &ignored))
        return false;
    /* -(m - 1) - 1: the magnitude of INT64_MIN has no positive of its own. */
    out->i64 = negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return true;
}

static bool read_double(weir_bytes value, read_result *out)
{
    return weir__json_read_double(value.data, value.size, &out->real);
}

static bool read_duration(weir_bytes value, read_result *out)
{
    weir__number_error ignored;
    return weir__number_duration(value.data, value.size, 0, UINT64_MAX, &out->u64, &ignored);
}

/* Reads where the value is: nothing is copied. */
static bool read_typed(weir_config *config, const char *name, const weir_config_client *client,
                       read_parser parse, read_result *out, int *code)
{
    const weir__config_entry *entry;
    int result;
    weir__reader *const reader = weir__read_begin();
    const weir__config_item *const item =
        weir__config_choose(config, name, client, &entry, &result);
    if (item != NULL &&
        !parse((weir_bytes){weir__config_bytes(entry, item->value_at), item->value_size}, out))
        result = WEIR_EPROTOCOL;
    weir__read_end(reader);
    if (code != NULL)
        *code = result;
    return result == WEIR_OK;
}

bool weir_config_get_bool(weir_config *config, const char *name, const weir_config_client *client,
                          bool fallback, int *code)
{
    read_result out;
    return read_typed(config, name, client, read_bool, &out, code) ? out.boolean : fallback;
}

int64_t weir_config_get_i64(weir_config *config, const char *name, const weir_config_client *client,
                            int64_t fallback, int *code)
{
    read_result out;
    return read_typed(config, name, client, read_i64, &out, code) ? out.i64 : fallback;
}

double weir_config_get_double(weir_config *config, const char *name,
                              const weir_config_client *client, double fallback, int *code)
{
    read_result out;
    return read_typed(config, name, client, read_double, &out, code) ? out.real : fallback;
}

uint64_t weir_config_get_duration(weir_config *config, const char *name,
                                  const weir_config_client *client, uint64_t fallback_ns, int *code)
{
    read_result out;
    return read_typed(config, name, client, read_duration, &out, code) ? out.u64 : fallback_ns;
}

const char *weir_config_get_string(weir_config *config, const char *name,
                                   const weir_config_client *client, const char *fallback,
                                   char *out, size_t room, int *code)
{
    weir_config_info info;
    int result = weir_config_get(config, name, client, out, room, &info);
    if (result == WEIR_OK && memchr(out, '\0', info.size) != NULL)
        result = WEIR_EPROTOCOL;
    if (result != WEIR_OK) {
        size_t const size = strlen(fallback);
        size_t const cut = size < room ? size : room - 1;
        memcpy(out, fallback, cut);
        out[cut] = '\0';
    }
    if (code != NULL)
        *code = result;
    return out;
}

static bool read_visit(const weir_config *config, const weir__config_entry *entry,
                       const char *prefix, const weir_config_client *client,
                       weir_config_visit_fn visit, void *user)
{
    const char *const name = weir__config_bytes(entry, entry->name_at);
    const weir__config_item *const item = read_item(config, entry, client);
    if (item == NULL || strncmp(name, prefix, strlen(prefix)) != 0)
        return true;
    weir_bytes const value = {weir__config_bytes(entry, item->value_at), item->value_size};
    weir_config_info const info = read_info(item);
    return visit(name, value, &info, user);
}

/* A section for each shard, so that a large table does not hold memory back for long. */
void weir_config_visit(weir_config *config, const char *prefix, const weir_config_client *client,
                       weir_config_visit_fn visit, void *user)
{
    const char *const begin = prefix != NULL ? prefix : "";
    bool more = true;
    for (size_t i = 0; more && i < WEIR__CONFIG_SHARDS; i++) {
        weir__reader *const reader = weir__read_begin();
        weir__config_slots *const slots =
            atomic_load_explicit(&config->shards[i].slots, memory_order_acquire);
        for (size_t at = 0; more && slots != NULL && at < slots->capacity; at++) {
            const weir__config_entry *const entry =
                atomic_load_explicit(&slots->slots[at].entry, memory_order_acquire);
            more = entry == NULL || read_visit(config, entry, begin, client, visit, user);
        }
        weir__read_end(reader);
    }
}
