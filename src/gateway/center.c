/* What the gateway stands on: store, config center, registry, mesh, and the file as a source. */
#include "gateway/gateway.h"

#include "net/loop.h"

#include <stdio.h>
#include <string.h>

#define CENTER_SOURCE    "file"
#define CENTER_BATCH     100000 /* Directives of a file: in one transaction. */
#define CENTER_MAX_OPS   1000000
#define CENTER_MAX_BYTES (UINT64_C(64) << 20)

/* ---- Waking ---- */

static void center_wake_store(void *user)
{
    weir_gateway *const gateway = user;
    if (gateway->store_task != NULL)
        weir_loop_task_wake(gateway->store_task);
}

static void center_wake_registry(void *user)
{
    weir_gateway *const gateway = user;
    if (gateway->registry_task != NULL)
        weir_loop_task_wake(gateway->registry_task);
}

void weir__center_wake(weir_gateway *gateway)
{
    if (gateway->task != NULL)
        weir_loop_task_wake(gateway->task);
}

static void center_wake_mesh(void *user)
{
    weir__center_wake(user);
}

void weir__gateway_problem(weir_gateway *gateway, const char *name, const char *message)
{
    gateway->problems++;
    if (gateway->options.on_problem != NULL)
        gateway->options.on_problem(name, message, gateway->options.user);
}

static void center_on_problem(const weir_config_error *error, void *user)
{
    weir__gateway_problem(user, error->name, error->message);
}

/* All keys were read anew: what has changed meanwhile, nobody tells. */
static void center_on_sync(int code, void *user)
{
    weir_gateway *const gateway = user;
    if (code != WEIR_OK)
        return;
    gateway->all_dirty = true;
    weir__center_wake(gateway);
}

/* ---- Parts ---- */

static int center_open_store(weir_gateway *gateway, const char *folder, weir_gateway_error *error)
{
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    weir_store_error wrong = {.code = WEIR_OK};
    options.folder = folder;
    options.max_ops = CENTER_MAX_OPS;
    options.max_bytes = CENTER_MAX_BYTES;
    options.on_wake = center_wake_store;
    options.user = gateway;
    options.env = &gateway->env;
    int const result = weir_store_create(&gateway->store, &options, &wrong);
    if (result != WEIR_OK && result != WEIR_ENOMEM)
        (void)weir__gateway_fail(error, 0, "data", "%s%s%s: %s", folder,
                                 wrong.file[0] != '\0' ? "/" : "", wrong.file,
                                 wrong.message[0] != '\0' ? wrong.message : weir_strerror(result));
    return result;
}

static int center_create_config(weir_gateway *gateway, const weir_kv *kv,
                                const weir__conf_globals *globals)
{
    weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
    options.kv = kv;
    options.client.environment = globals->environment;
    options.client.label = globals->label;
    options.batch = CENTER_BATCH;
    options.on_sync = center_on_sync;
    options.on_problem = center_on_problem;
    options.user = gateway;
    options.env = &gateway->env;
    return weir_config_create(&gateway->config, &options);
}

static int center_create_registry(weir_gateway *gateway, const weir_kv *kv)
{
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.kv = kv;
    options.on_wake = center_wake_registry;
    options.user = gateway;
    options.env = &gateway->env;
    return weir_registry_create(&gateway->registry, &options);
}

/* Who can be called: there is no resolver here. */
static bool center_accepts(const weir_instance *instance, const char *address, void *user)
{
    weir_address parsed;
    (void)instance;
    (void)user;
    return weir_address_parse(&parsed, address) == WEIR_OK && parsed.port != 0;
}

static void center_on_call(const char *service, const weir_caller_event *event, void *user)
{
    weir_instrument_on_caller(((weir_gateway *)user)->instrument, service, event);
}

static int center_create_mesh(weir_gateway *gateway)
{
    weir_mesh_options options = WEIR_MESH_OPTIONS_INIT;
    options.config = gateway->config;
    options.registry = gateway->registry;
    options.prefix = WEIR__GATEWAY_PREFIX;
    options.check = weir__services_check;
    options.accept = center_accepts;
    options.on_event = weir__services_on_event;
    options.on_call = center_on_call;
    options.on_wake = center_wake_mesh;
    options.user = gateway;
    options.env = &gateway->env;
    return weir_mesh_create(&gateway->mesh, &options);
}

static int center_create_api(weir_gateway *gateway, const char *token)
{
    weir_admin_options options = WEIR_ADMIN_OPTIONS_INIT;
    options.config = gateway->config;
    options.registry = gateway->registry;
    options.token = token;
    options.max_body_bytes = WEIR__GATEWAY_ADMIN_BODY;
    options.env = &gateway->env;
    return weir_admin_create(&gateway->api, &options);
}

static int center_create_tasks(weir_gateway *gateway)
{
    weir_loop *const loop = gateway->loop;
    weir_task const task = {.run = weir__services_run, .self = gateway};
    int result = weir_loop_task_create(&gateway->store_task, loop, weir_store_task(gateway->store));
    if (result == WEIR_OK)
        result =
            weir_loop_task_create(&gateway->config_task, loop, weir_config_task(gateway->config));
    if (result == WEIR_OK)
        result = weir_loop_task_create(&gateway->registry_task, loop,
                                       weir_registry_task(gateway->registry));
    if (result == WEIR_OK)
        result = weir_loop_task_create(&gateway->api_task, loop, weir_admin_task(gateway->api));
    if (result == WEIR_OK)
        result = weir_loop_task_create(&gateway->task, loop, task);
    return result;
}

int weir__center_create(weir_gateway *gateway, const weir__conf_globals *globals,
                        weir_gateway_error *error)
{
    gateway->all_dirty = true;
    int result = center_open_store(gateway, globals->data, error);
    if (result != WEIR_OK)
        return result;
    weir_kv const kv = weir_store_kv(gateway->store);
    result = center_create_config(gateway, &kv, globals);
    if (result == WEIR_OK)
        result = center_create_registry(gateway, &kv);
    if (result == WEIR_OK)
        result = center_create_mesh(gateway);
    if (result == WEIR_OK)
        result = center_create_api(gateway, globals->token);
    return result == WEIR_OK ? center_create_tasks(gateway) : result;
}

/* What stands on another goes before it. */
void weir__center_destroy(weir_gateway *gateway)
{
    weir_loop_task_destroy(gateway->task);
    weir_loop_task_destroy(gateway->api_task);
    weir_loop_task_destroy(gateway->registry_task);
    weir_loop_task_destroy(gateway->config_task);
    weir_loop_task_destroy(gateway->store_task);
    gateway->task = gateway->registry_task = gateway->store_task = NULL;
    weir_admin_destroy(gateway->api);
    weir_config_watch_stop(gateway->watch);
    weir_mesh_destroy(gateway->mesh);
    weir_registry_destroy(gateway->registry);
    weir_config_destroy(gateway->config);
    weir_store_destroy(gateway->store);
}

/* ---- The file ---- */

static void center_published(const weir_config_result *result, void *user)
{
    weir_gateway *const gateway = user;
    gateway->published = result->code;
}

/* The line of the file that says this name. */
static const weir__conf_value *center_find(const weir_gateway_config *config, const char *name)
{
    char full[WEIR_CONFIG_NAME_SIZE];
    for (size_t i = 0; i < config->count; i++) {
        const weir__conf_value *const value = &config->list[i];
        (void)snprintf(full, sizeof full, WEIR__GATEWAY_PREFIX "%s/%s",
                       config->services[value->service].name, value->name);
        if (strcmp(full, name) == 0)
            return value;
    }
    return NULL;
}

static int center_blame(int result, const weir_gateway_config *config,
                        const weir_config_error *wrong, weir_gateway_error *error)
{
    const weir__conf_value *const value = center_find(config, wrong->name);
    if (result == WEIR_EBUSY)
        return WEIR_ENOMEM; /* The store is here: only without memory is it not in sync. */
    if (result == WEIR_EINVAL)
        return weir__gateway_fail(error, value != NULL ? value->line : 0,
                                  value != NULL ? value->name : "service", "%.127s",
                                  wrong->message);
    if (result != WEIR_ENOMEM && result != WEIR_OK)
        (void)weir__gateway_fail(error, 0, "data", "%s", weir_strerror(result));
    return result;
}

/* Names for all values, each with its NUL. */
static void center_names(const weir_gateway_config *config, weir__text *names)
{
    for (size_t i = 0; i < config->count; i++) {
        weir__text_format(names, WEIR__GATEWAY_PREFIX "%s/%s",
                          config->services[config->list[i].service].name, config->list[i].name);
        weir__text_bytes(names, "", 1);
    }
}

static int center_put(weir_gateway *gateway, const weir_gateway_config *config,
                      const weir__text *names, weir_config_change *changes,
                      weir_gateway_error *error)
{
    const char *name = names->data;
    weir_config_error wrong = {.code = WEIR_OK};
    for (size_t i = 0; i < config->count; i++) {
        changes[i].name = name;
        changes[i].value =
            (weir_bytes){config->values.data + config->list[i].at, config->list[i].size};
        name += strlen(name) + 1;
    }
    gateway->published = WEIR_OK;
    int result = weir_config_publish(gateway->config, CENTER_SOURCE, NULL, NULL, changes,
                                     config->count, center_published, gateway, &wrong);
    if (result == WEIR_OK)
        result = weir_store_commit(gateway->store);
    return center_blame(result == WEIR_OK ? gateway->published : result, config, &wrong, error);
}

int weir__center_publish(weir_gateway *gateway, const weir_gateway_config *config,
                         weir_gateway_error *error)
{
    weir__text names;
    size_t const bytes = (config->count + 1) * sizeof(weir_config_change);
    weir_config_change *const changes = weir__alloc(&gateway->env, bytes);
    weir__text_init(&names, &gateway->env);
    center_names(config, &names);
    int const result = changes == NULL || !weir__text_ok(&names)
                           ? WEIR_ENOMEM
                           : center_put(gateway, config, &names, changes, error);
    weir__text_free(&names);
    weir__free(&gateway->env, changes, bytes);
    return result;
}
