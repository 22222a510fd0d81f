#include <weir/registry.h>

#include "base/json.h"
#include "registry/registry.h"

#include <stdio.h>
#include <string.h>

#define INSTANCE_MAX_VALUE                                                                         \
    (UINT64_C(4) * WEIR_REGISTRY_MAX_BYTES) /* Of what others may have put there. */
#define INSTANCE_MAX_MS UINT64_C(864000000)

static const char *instance_str(const char *str)
{
    return str != NULL ? str : "";
}

/* ---- Validation ---- */

/* UTF-8 alone: JSON would have to replace what is not, and names would not be what they were. */
static bool instance_text(const char *str, size_t least, size_t most)
{
    size_t const size = strlen(instance_str(str));
    return size >= least && size <= most && weir__text_is_utf8(instance_str(str), size);
}

int weir__reg_validate_name(const char *name)
{
    if (!instance_text(name, 1, WEIR_REGISTRY_MAX_NAME))
        return WEIR_EINVAL;
    for (const char *p = name; *p != '\0'; p++)
        if (*p == '/' || (unsigned char)*p < 0x20 || *p == 0x7f)
            return WEIR_EINVAL;
    return WEIR_OK;
}

int weir__reg_validate_label(const char *key, const char *value)
{
    return instance_text(key, 1, WEIR_REGISTRY_MAX_NAME) &&
                   instance_text(value, 0, WEIR_REGISTRY_MAX_BYTES)
               ? WEIR_OK
               : WEIR_EINVAL;
}

static bool instance_endpoints_valid(const weir_instance *instance)
{
    if (instance->endpoint_count > WEIR_REGISTRY_MAX_ENDPOINTS)
        return false;
    for (size_t i = 0; i < instance->endpoint_count; i++) {
        const weir_endpoint *const endpoint = &instance->endpoints[i];
        if (!instance_text(endpoint->name, 1, WEIR_REGISTRY_MAX_NAME) ||
            !instance_text(endpoint->host, 0, WEIR_REGISTRY_MAX_BYTES) || endpoint->port > 65535)
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(instance->endpoints[j].name, endpoint->name) == 0)
                return false;
    }
    return true;
}

static bool instance_metadata_valid(const weir_instance *instance)
{
    if (instance->metadata_count > WEIR_REGISTRY_MAX_METADATA)
        return false;
    for (size_t i = 0; i < instance->metadata_count; i++) {
        const weir_label *const label = &instance->metadata[i];
        if (weir__reg_validate_label(label->key, label->value))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(instance->metadata[j].key, label->key) == 0)
                return false;
    }
    return true;
}

static bool instance_status_valid(weir_instance_status status, bool unknown)
{
    return (unsigned)status <= WEIR_INSTANCE_OUT_OF_SERVICE &&
           (unknown || status != WEIR_INSTANCE_UNKNOWN);
}

/* The member that is not as it should be; NULL = all is well. */
static const char *instance_complaint(const weir_instance *o)
{
    const struct {
        const char *name;
        bool good;
    } members[] = {
        {"service", weir__reg_validate_name(o->service) == WEIR_OK},
        {"id", weir__reg_validate_name(o->id) == WEIR_OK},
        {"endpoints", instance_endpoints_valid(o)},
        {"metadata", instance_metadata_valid(o)},
        {"host", instance_text(o->host, 0, WEIR_REGISTRY_MAX_BYTES)},
        {"version", instance_text(o->version, 0, WEIR_REGISTRY_MAX_BYTES)},
        {"zone", instance_text(o->zone, 0, WEIR_REGISTRY_MAX_BYTES)},
        {"check_url", instance_text(o->check_url, 0, WEIR_REGISTRY_MAX_BYTES)},
        {"port", o->port <= 65535},
        {"weight", o->weight <= 65535},
        {"renew_ms", o->renew_ms <= INSTANCE_MAX_MS},
        {"expire_ms", o->expire_ms <= INSTANCE_MAX_MS},
        {"stamp", o->stamp <= WEIR__REG_MAX_STAMP},
        {"status", instance_status_valid(o->status, false)},
        {"override", instance_status_valid(o->override, true)},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (!members[i].good)
            return members[i].name;
    return NULL;
}

int weir__reg_validate(const weir_instance *o)
{
    return instance_complaint(o) == NULL ? WEIR_OK : WEIR_EINVAL;
}

/* ---- Copies ---- */

static size_t instance_size(const char *str)
{
    return strlen(instance_str(str)) + 1;
}

static size_t instance_record_size(const weir_instance *o)
{
    size_t size = sizeof(weir__reg_record) + o->endpoint_count * sizeof(weir_endpoint) +
                  o->metadata_count * sizeof(weir_label);
    size += instance_size(o->service) + instance_size(o->id) + instance_size(o->host) +
            instance_size(o->version) + instance_size(o->zone) + instance_size(o->check_url) +
            instance_size(o->node);
    for (size_t i = 0; i < o->endpoint_count; i++)
        size += instance_size(o->endpoints[i].name) + instance_size(o->endpoints[i].host);
    for (size_t i = 0; i < o->metadata_count; i++)
        size += instance_size(o->metadata[i].key) + instance_size(o->metadata[i].value);
    return size;
}

static const char *instance_store(char **tail, const char *str)
{
    size_t const size = instance_size(str);
    char *const copy = memcpy(*tail, instance_str(str), size);
    *tail += size;
    return copy;
}

weir__reg_record *weir__reg_record_copy(const weir_env *env, const weir_instance *from)
{
    size_t const size = instance_record_size(from);
    weir__reg_record *const record = weir__alloc(env, size);
    if (record == NULL)
        return NULL;
    record->waste.size = (uint32_t)size;
    record->refs = 1;
    weir_instance *const o = &record->instance;
    *o = *from;
    o->struct_size = sizeof *o;
    weir_endpoint *const endpoints = (weir_endpoint *)(record + 1);
    weir_label *const metadata = (weir_label *)(endpoints + o->endpoint_count);
    char *tail = (char *)(metadata + o->metadata_count);
    o->service = instance_store(&tail, from->service);
    o->id = instance_store(&tail, from->id);
    o->host = instance_store(&tail, from->host);
    o->version = instance_store(&tail, from->version);
    o->zone = instance_store(&tail, from->zone);
    o->check_url = instance_store(&tail, from->check_url);
    o->node = instance_store(&tail, from->node);
    for (size_t i = 0; i < o->endpoint_count; i++) {
        const weir_endpoint *const endpoint = &from->endpoints[i];
        bool const own = *instance_str(endpoint->host) != '\0';
        endpoints[i].name = instance_store(&tail, endpoint->name);
        endpoints[i].host = own ? instance_store(&tail, endpoint->host) : o->host;
        endpoints[i].port = endpoint->port;
    }
    for (size_t i = 0; i < o->metadata_count; i++) {
        metadata[i].key = instance_store(&tail, from->metadata[i].key);
        metadata[i].value = instance_store(&tail, from->metadata[i].value);
    }
    o->endpoints = o->endpoint_count > 0 ? endpoints : NULL;
    o->metadata = o->metadata_count > 0 ? metadata : NULL;
    return record;
}

void weir__reg_record_free(const weir_env *env, weir__reg_record *record)
{
    if (record != NULL)
        weir__free(env, record, record->waste.size);
}

/* ---- JSON ---- */

static void instance_put_text(weir__text *out, const char *name, const char *value)
{
    if (*instance_str(value) == '\0')
        return;
    weir__text_str(out, name);
    weir__text_json(out, value, strlen(value));
}

static void instance_put_number(weir__text *out, const char *name, uint64_t value)
{
    weir__text_str(out, name);
    weir__text_u64(out, value);
}

static void instance_put_lists(weir__text *out, const weir_instance *o)
{
    for (size_t i = 0; i < o->endpoint_count; i++) {
        const weir_endpoint *const endpoint = &o->endpoints[i];
        instance_put_text(out,
                          i == 0 ? ",\"endpoints\":[{\"name\":" : ",{\"name\":", endpoint->name);
        if (strcmp(instance_str(endpoint->host), instance_str(o->host)) != 0)
            instance_put_text(out, ",\"host\":", endpoint->host);
        instance_put_number(out, ",\"port\":", endpoint->port);
        weir__text_str(out, i + 1 < o->endpoint_count ? "}" : "}]");
    }
    for (size_t i = 0; i < o->metadata_count; i++) {
        instance_put_text(out, i == 0 ? ",\"metadata\":{" : ",", o->metadata[i].key);
        weir__text_str(out, ":");
        const char *const value = instance_str(o->metadata[i].value);
        weir__text_json(out, value, strlen(value));
    }
    if (o->metadata_count > 0)
        weir__text_str(out, "}");
}

void weir__reg_encode(const weir_instance *o, weir__text *out)
{
    weir__text_str(out, "{\"status\":\"");
    weir__text_str(out, weir_instance_status_name(o->status));
    weir__text_str(out, "\"");
    if (o->override != WEIR_INSTANCE_UNKNOWN)
        instance_put_text(out, ",\"override\":", weir_instance_status_name(o->override));
    if (o->draining)
        weir__text_str(out, ",\"draining\":true");
    instance_put_text(out, ",\"host\":", o->host);
    instance_put_number(out, ",\"port\":", o->port);
    instance_put_number(out, ",\"weight\":", o->weight);
    instance_put_lists(out, o);
    instance_put_text(out, ",\"version\":", o->version);
    instance_put_text(out, ",\"zone\":", o->zone);
    instance_put_text(out, ",\"check_url\":", o->check_url);
    if (o->permanent)
        weir__text_str(out, ",\"permanent\":true");
    if (o->renew_ms > 0)
        instance_put_number(out, ",\"renew_ms\":", o->renew_ms);
    if (o->expire_ms > 0)
        instance_put_number(out, ",\"expire_ms\":", o->expire_ms);
    instance_put_number(out, ",\"stamp\":", o->stamp);
    instance_put_text(out, ",\"node\":", o->node);
    weir__text_str(out, "}");
}

/* What is read, before it is copied into one piece. */
typedef struct instance_draft {
    weir__json json;
    weir__text strings; /* Has room for all: it never moves. */
    weir_instance instance;
    weir_endpoint endpoints[WEIR_REGISTRY_MAX_ENDPOINTS];
    weir_label metadata[WEIR_REGISTRY_MAX_METADATA];
    const char *member; /* That the error is in; NULL = in none. */
    size_t member_size;
} instance_draft;

/* From `at` on, what was appended to the strings, as a C string. */
static const char *instance_close(instance_draft *draft, size_t at)
{
    if (memchr(draft->strings.data + at, 0, draft->strings.size - at) != NULL)
        (void)weir__json_fail(&draft->json, "a NUL byte");
    weir__text_bytes(&draft->strings, "", 1);
    return draft->strings.data + at;
}

static void instance_take_text(instance_draft *draft, const char **out)
{
    size_t const at = draft->strings.size;
    if (weir__json_text(&draft->json, &draft->strings))
        *out = instance_close(draft, at);
}

static void instance_take_u32(weir__json *json, uint32_t *out)
{
    uint64_t value = 0;
    if (weir__json_u64(json, 0, 65535, &value))
        *out = (uint32_t)value;
}

static void instance_take_status(instance_draft *draft, weir_instance_status *out)
{
    char name[16];
    if (!weir__json_copy(&draft->json, name, sizeof name))
        return;
    unsigned status = WEIR_INSTANCE_UNKNOWN;
    while (status <= WEIR_INSTANCE_OUT_OF_SERVICE &&
           strcmp(name, weir_instance_status_name((weir_instance_status)status)) != 0)
        status++;
    if (status > WEIR_INSTANCE_OUT_OF_SERVICE)
        (void)weir__json_fail(&draft->json, "not a status");
    else
        *out = (weir_instance_status)status;
}

static void instance_take_endpoints(instance_draft *draft)
{
    weir__json *const json = &draft->json;
    (void)weir__json_array(json);
    while (weir__json_element(json)) {
        if (draft->instance.endpoint_count == WEIR_REGISTRY_MAX_ENDPOINTS) {
            (void)weir__json_fail(json, "too many endpoints");
            return;
        }
        weir_endpoint *const endpoint = &draft->endpoints[draft->instance.endpoint_count++];
        (void)weir__json_object(json);
        while (weir__json_member(json)) {
            if (weir__json_is(json, "name"))
                instance_take_text(draft, &endpoint->name);
            else if (weir__json_is(json, "host"))
                instance_take_text(draft, &endpoint->host);
            else if (weir__json_is(json, "port"))
                instance_take_u32(json, &endpoint->port);
            else
                (void)weir__json_skip(json);
        }
    }
}

static void instance_take_metadata(instance_draft *draft)
{
    weir__json *const json = &draft->json;
    (void)weir__json_object(json);
    while (weir__json_member(json)) {
        if (draft->instance.metadata_count == WEIR_REGISTRY_MAX_METADATA) {
            (void)weir__json_fail(json, "too much metadata");
            return;
        }
        weir_label *const label = &draft->metadata[draft->instance.metadata_count++];
        size_t const at = draft->strings.size;
        weir__json_unescape(json, &draft->strings);
        label->key = instance_close(draft, at);
        instance_take_text(draft, &label->value);
    }
}

static bool instance_take_string_member(instance_draft *draft)
{
    weir_instance *const o = &draft->instance;
    const struct {
        const char *name;
        const char **out;
    } members[] = {{"host", &o->host},
                   {"version", &o->version},
                   {"zone", &o->zone},
                   {"node", &o->node},
                   {"check_url", &o->check_url}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (weir__json_is(&draft->json, members[i].name)) {
            instance_take_text(draft, members[i].out);
            return true;
        }
    return false;
}

/* What is not known is left alone: a later version may have put it there. */
static void instance_take_member(instance_draft *draft)
{
    weir__json *const json = &draft->json;
    weir_instance *const o = &draft->instance;
    if (weir__json_is(json, "status"))
        instance_take_status(draft, &o->status);
    else if (weir__json_is(json, "override"))
        instance_take_status(draft, &o->override);
    else if (weir__json_is(json, "draining"))
        (void)weir__json_bool(json, &o->draining);
    else if (weir__json_is(json, "permanent"))
        (void)weir__json_bool(json, &o->permanent);
    else if (weir__json_is(json, "port"))
        instance_take_u32(json, &o->port);
    else if (weir__json_is(json, "weight"))
        instance_take_u32(json, &o->weight);
    else if (weir__json_is(json, "endpoints"))
        instance_take_endpoints(draft);
    else if (weir__json_is(json, "metadata"))
        instance_take_metadata(draft);
    else if (weir__json_is(json, "renew_ms"))
        (void)weir__json_u64(json, 0, INSTANCE_MAX_MS, &o->renew_ms);
    else if (weir__json_is(json, "expire_ms"))
        (void)weir__json_u64(json, 0, INSTANCE_MAX_MS, &o->expire_ms);
    else if (weir__json_is(json, "stamp"))
        (void)weir__json_u64(json, 0, WEIR__REG_MAX_STAMP, &o->stamp);
    else if (!instance_take_string_member(draft))
        (void)weir__json_skip(json);
}

/* Room for the strings of a value: unescaped they are shorter, and a NUL takes a quote's place. */
static int instance_scratch(weir_registry *registry, size_t size)
{
    if (registry->scratch_size >= size)
        return WEIR_OK;
    char *const grown =
        weir__resize(&registry->env, registry->scratch, registry->scratch_size, size);
    if (grown == NULL)
        return WEIR_ENOMEM;
    registry->scratch = grown;
    registry->scratch_size = size;
    return WEIR_OK;
}

/* Into a draft whose strings have room for as many bytes and 2 more. False: it is no instance. */
static bool instance_read(instance_draft *draft, const void *text, size_t size)
{
    weir__json *const json = &draft->json;
    draft->instance.endpoints = draft->endpoints;
    draft->instance.metadata = draft->metadata;
    weir__json_begin(json, text, size);
    (void)weir__json_object(json);
    while (weir__json_member(json)) {
        const char *const member = json->token;
        size_t const member_size = json->token_size;
        instance_take_member(draft);
        if (json->error != NULL) {
            draft->member = member;
            draft->member_size = member_size;
        }
    }
    return weir__json_end(json);
}

int weir__reg_decode(weir_registry *registry, const char *service, const char *id,
                     const weir_kv_pair *pair, weir__reg_record **out)
{
    *out = NULL;
    if (pair->value.size > INSTANCE_MAX_VALUE)
        return WEIR_EPROTOCOL;
    if (instance_scratch(registry, pair->value.size + 2))
        return WEIR_ENOMEM;
    instance_draft draft = {.instance = WEIR_INSTANCE_INIT};
    draft.strings.env = &registry->env;
    draft.strings.data = registry->scratch;
    draft.strings.capacity = registry->scratch_size;
    draft.instance.service = service;
    draft.instance.id = id;
    draft.instance.revision = pair->mod_revision;
    if (!instance_read(&draft, pair->value.data, pair->value.size) ||
        weir__reg_validate(&draft.instance))
        return WEIR_EPROTOCOL;
    *out = weir__reg_record_copy(&registry->env, &draft.instance);
    if (*out == NULL)
        return WEIR_ENOMEM;
    registry->bytes += (*out)->waste.size;
    return WEIR_OK;
}

uint64_t weir__reg_decode_mark(weir_bytes value)
{
    weir__json json;
    uint64_t stamp = 0;
    weir__json_begin(&json, value.data, value.size);
    (void)weir__json_object(&json);
    while (weir__json_member(&json)) {
        if (weir__json_is(&json, "stamp"))
            (void)weir__json_u64(&json, 0, WEIR__REG_MAX_STAMP, &stamp);
        else
            (void)weir__json_skip(&json);
    }
    return weir__json_end(&json) ? stamp : 0;
}

/* ---- For everybody ---- */

static int instance_refuse(weir_instance_error *error, int code, const instance_draft *draft,
                           const char *field, const char *message)
{
    if (error == NULL)
        return code;
    *error = (weir_instance_error){.code = code};
    if (draft != NULL) {
        error->line = weir__json_line(&draft->json);
        (void)snprintf(error->field, sizeof error->field, "%.*s", (int)draft->member_size,
                       draft->member != NULL ? draft->member : "");
    } else {
        (void)snprintf(error->field, sizeof error->field, "%s", field);
    }
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return code;
}

static int instance_parse(weir_instance **out, instance_draft *draft, const char *text, size_t size,
                          const weir_env *env, weir_instance_error *error)
{
    if (!instance_read(draft, text, size))
        return instance_refuse(error, WEIR_EPROTOCOL, draft, "", draft->json.error);
    const char *const complaint = instance_complaint(&draft->instance);
    if (complaint != NULL)
        return instance_refuse(error, WEIR_EINVAL, NULL, complaint, "not what it may be");
    weir__reg_record *const record = weir__reg_record_copy(env, &draft->instance);
    if (record == NULL)
        return instance_refuse(error, WEIR_ENOMEM, NULL, "", weir_strerror(WEIR_ENOMEM));
    *out = &record->instance;
    return WEIR_OK;
}

int weir_instance_parse(weir_instance **out, const char *service, const char *id, const char *text,
                        size_t size, const weir_env *env, weir_instance_error *error)
{
    weir_env loaded;
    *out = NULL;
    if (weir__env_load(&loaded, env) != WEIR_OK)
        return instance_refuse(error, WEIR_EINVAL, NULL, "", "not an environment");
    if (size > INSTANCE_MAX_VALUE)
        return instance_refuse(error, WEIR_ETOOLARGE, NULL, "", weir_strerror(WEIR_ETOOLARGE));
    instance_draft draft = {.instance = WEIR_INSTANCE_INIT};
    char *const scratch = weir__alloc(&loaded, size + 2);
    if (scratch == NULL)
        return instance_refuse(error, WEIR_ENOMEM, NULL, "", weir_strerror(WEIR_ENOMEM));
    draft.strings = (weir__text){.env = &loaded, .data = scratch, .capacity = size + 2};
    draft.instance.service = service;
    draft.instance.id = id;
    int const code = instance_parse(out, &draft, text, size, &loaded, error);
    weir__free(&loaded, scratch, size + 2);
    return code;
}

void weir_instance_destroy(weir_instance *instance, const weir_env *env)
{
    weir_env loaded;
    if (instance == NULL || weir__env_load(&loaded, env) != WEIR_OK)
        return;
    weir__reg_record_free(&loaded,
                          (weir__reg_record *)(void *)((char *)instance -
                                                       offsetof(weir__reg_record, instance)));
}

int weir_instance_format(const weir_instance *instance, const weir_env *env,
                         weir_instance_write_fn write, void *user)
{
    weir_env loaded;
    weir__text text;
    if (weir__env_load(&loaded, env) != WEIR_OK)
        return WEIR_EINVAL;
    weir__text_init(&text, &loaded);
    weir__reg_encode(instance, &text);
    int const code = weir__text_ok(&text) ? WEIR_OK : WEIR_ENOMEM;
    if (code == WEIR_OK)
        write(text.data, text.size, user);
    weir__text_free(&text);
    return code;
}

/* ---- Keys ---- */

bool weir__reg_parse_key(const weir_registry *registry, weir_bytes key, weir__reg_name *name)
{
    size_t const root = registry->root_size;
    if (key.size <= root)
        return false;
    const char *const p = (const char *)key.data + root;
    size_t const size = key.size - root;
    const char *const slash = memchr(p, '/', size);
    if (slash == NULL || memchr(p, 0, size) != NULL)
        return false;
    size_t const service = (size_t)(slash - p);
    name->mark = service + 1 < size && slash[1] == '/';
    const char *const id = slash + 1 + name->mark;
    size_t const id_size = size - (size_t)(id - p);
    if (service > WEIR_REGISTRY_MAX_NAME || id_size > WEIR_REGISTRY_MAX_NAME)
        return false;
    memcpy(name->service, p, service);
    name->service[service] = '\0';
    memcpy(name->id, id, id_size);
    name->id[id_size] = '\0';
    memcpy(name->key, name->service, service);
    name->key[service] = '/';
    memcpy(name->key + service + 1, name->id, id_size + 1);
    name->key_size = service + 1 + id_size;
    return weir__reg_validate_name(name->service) == WEIR_OK &&
           weir__reg_validate_name(name->id) == WEIR_OK;
}

/* ---- Names ---- */

const char *weir_instance_status_name(weir_instance_status status)
{
    switch (status) {
    case WEIR_INSTANCE_UNKNOWN: break;
    case WEIR_INSTANCE_UP: return "UP";
    case WEIR_INSTANCE_DOWN: return "DOWN";
    case WEIR_INSTANCE_STARTING: return "STARTING";
    case WEIR_INSTANCE_OUT_OF_SERVICE: return "OUT_OF_SERVICE";
    }
    return "UNKNOWN";
}
