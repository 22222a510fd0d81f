#include <weir/mesh.h>

#include "mesh/mesh.h"

#include <stdio.h>
#include <string.h>

#define MESH_MAX_PREFIX 127
#define MESH_ANY_BEHIND "**"

/* ---- Telling ---- */

void weir__mesh_wake(weir_mesh *mesh)
{
    if (mesh->woken)
        return;
    mesh->woken = true;
    if (mesh->options.on_wake != NULL)
        mesh->options.on_wake(mesh->options.user);
}

void weir__mesh_tell(weir_mesh_service *service, weir_mesh_event_kind kind)
{
    weir_mesh *const mesh = service->mesh;
    weir_mesh_event const event = {.kind = kind, .service = service, .name = ""};
    mesh->stats.policies += kind == WEIR_MESH_POLICY;
    mesh->stats.members += kind == WEIR_MESH_MEMBERS;
    if (mesh->options.on_event != NULL)
        mesh->options.on_event(&event, mesh->options.user);
}

static weir_mesh_error mesh_error_of(const weir__complaint *complaint, uint32_t line)
{
    weir_mesh_error error = {.line = line};
    memcpy(error.field, complaint->field, sizeof error.field);
    memcpy(error.message, complaint->message, sizeof error.message);
    return error;
}

void weir__mesh_problem(weir_mesh_service *service, const char *name,
                        const weir__complaint *complaint, uint32_t line)
{
    weir_mesh *const mesh = service->mesh;
    weir_mesh_error const error = mesh_error_of(complaint, line);
    weir_mesh_event const event = {.kind = WEIR_MESH_PROBLEM,
                                   .service = service,
                                   .name = name,
                                   .error = &error};
    mesh->stats.problems++;
    if (mesh->options.on_event != NULL)
        mesh->options.on_event(&event, mesh->options.user);
}

bool weir__mesh_accepts(const weir_mesh *mesh, const weir_instance *instance, const char *address)
{
    const weir_mesh_options *const o = &mesh->options;
    return o->accept == NULL || o->accept(instance, address, o->user);
}

/* ---- What may be written ---- */

static int mesh_check_members(weir__mesh_members *members, weir_bytes value, weir_mesh_error *error)
{
    weir__complaint complaint = {.field = ""};
    uint32_t line = 0;
    int const result = weir__mesh_members_parse(members, value, &line, &complaint);
    if (result == WEIR_EINVAL)
        *error = mesh_error_of(&complaint, line);
    return result;
}

/* Whether a caller can be made of it: its parts know best. */
static int mesh_try(weir__policy *policy, const char *directive, weir__complaint *complaint)
{
    weir_caller *caller;
    weir_caller_options const options = weir__policy_options(policy);
    int const result = weir_caller_create(&caller, &options);
    weir_caller_destroy(caller);
    return result == WEIR_EINVAL
               ? weir__complain(complaint, directive, "these values do not go together")
               : result;
}

int weir_mesh_check(const char *directive, weir_bytes value, const weir_env *env,
                    weir_mesh_error *error)
{
    weir_env loaded;
    weir__complaint complaint = {.field = ""};
    weir__policy policy;
    *error = (weir_mesh_error){.line = 0};
    if (weir__env_load(&loaded, env)) {
        (void)weir__complain(&complaint, "env", "is of an unknown version");
        *error = mesh_error_of(&complaint, 0);
        return WEIR_EINVAL;
    }
    if (strcmp(directive, "members") == 0) {
        weir__mesh_members members;
        weir__mesh_members_init(&members, &loaded);
        int const result = mesh_check_members(&members, value, error);
        weir__mesh_members_free(&members);
        return result;
    }
    weir__policy_init(&policy, &loaded);
    int result = weir__policy_take(&policy, directive, value, &complaint);
    if (result == WEIR_OK)
        result = mesh_try(&policy, directive, &complaint);
    if (result == WEIR_EINVAL)
        *error = mesh_error_of(&complaint, 0);
    return result;
}

/* The addresses among members, as far as whoever calls them can tell. */
static int mesh_check_addresses(const weir_mesh *mesh, weir_bytes value, weir_mesh_error *error)
{
    weir__mesh_members members;
    weir__mesh_members_init(&members, &mesh->env);
    int result = mesh_check_members(&members, value, error);
    for (size_t i = 0; result == WEIR_OK && i < members.count; i++)
        if (!weir__mesh_accepts(mesh, NULL, members.list[i].address)) {
            weir__complaint complaint;
            result = weir__complain(&complaint, "member", "\"%.60s\" cannot be called at \"%.40s\"",
                                    members.list[i].id, members.list[i].address);
            *error = mesh_error_of(&complaint, 0);
        }
    weir__mesh_members_free(&members);
    return result;
}

/* Cuts a name into service and directive; false: it is none. */
static bool mesh_split(const weir_mesh *mesh, const char *name, weir_bytes *service,
                       const char **directive)
{
    if (strncmp(name, mesh->prefix, mesh->prefix_size) != 0)
        return false;
    service->data = name + mesh->prefix_size;
    const char *const slash = strchr(name + mesh->prefix_size, '/');
    if (slash == NULL || slash[1] == '\0')
        return false;
    service->size = (size_t)(slash - name) - mesh->prefix_size;
    *directive = slash + 1;
    return service->size > 0 && service->size <= WEIR_MESH_MAX_NAME;
}

static bool mesh_is_all(weir_bytes service)
{
    return service.size == 1 && *(const char *)service.data == '_';
}

static int mesh_check(const weir_mesh *mesh, weir_bytes service, const char *directive,
                      weir_bytes value, weir_mesh_error *error)
{
    const weir_mesh_options *const o = &mesh->options;
    bool const members = strcmp(directive, "members") == 0;
    if (!mesh_is_all(service) && !weir__mesh_name_ok(service.data, service.size))
        return WEIR_ENOTFOUND;
    if (members && mesh_is_all(service))
        return WEIR_ENOTFOUND;
    if (members)
        return mesh_check_addresses(mesh, value, error);
    int const result = weir_mesh_check(directive, value, &mesh->env, error);
    return result == WEIR_ENOTFOUND && o->check != NULL ? o->check(directive, value, error, o->user)
                                                        : result;
}

static bool mesh_validate(const char *name, weir_bytes value, char *reason, void *user)
{
    const weir_mesh *const mesh = user;
    weir_bytes service;
    const char *directive;
    weir_mesh_error error = {.line = 0};
    int result = WEIR_ENOTFOUND;
    if (mesh_split(mesh, name, &service, &directive))
        result = mesh_check(mesh, service, directive, value, &error);
    if (result == WEIR_ENOTFOUND)
        (void)snprintf(reason, 128, "expected %.*s<service>/<directive>", (int)mesh->prefix_size,
                       mesh->prefix);
    else if (result == WEIR_ENOMEM)
        reason[0] = '\0';
    else if (result != WEIR_OK && error.line > 0)
        (void)snprintf(reason, 128, "line %u: %.40s: %.60s", error.line, error.field,
                       error.message);
    else if (result != WEIR_OK)
        (void)snprintf(reason, 128, "%.40s: %.80s", error.field, error.message);
    return result == WEIR_OK;
}

/* ---- Following the config ---- */

static void mesh_all_due(weir_mesh *mesh)
{
    for (weir_mesh_service *service = mesh->first; service != NULL; service = service->next)
        service->policy_due = service->members_due = true;
}

static void mesh_mark(weir_mesh *mesh, weir_bytes name, const char *directive)
{
    if (mesh_is_all(name)) {
        for (weir_mesh_service *service = mesh->first; service != NULL; service = service->next)
            service->policy_due = true;
        return;
    }
    weir_mesh_service *const service = weir__map_get(&mesh->services, name.data, name.size);
    if (service == NULL)
        return;
    if (strcmp(directive, "members") == 0)
        service->members_due = true;
    else
        service->policy_due = true;
}

static bool mesh_on_config(const weir_config_event *event, void *user)
{
    weir_mesh *const mesh = user;
    weir_bytes name;
    const char *directive;
    if (event->kind == WEIR_CONFIG_OVER) {
        weir_config_watch_stop(mesh->watch);
        mesh->watch = NULL;
        mesh->closed = event->code == WEIR_ECLOSED;
    } else if (mesh_split(mesh, event->value.name, &name, &directive)) {
        mesh_mark(mesh, name, directive);
    }
    weir__mesh_wake(mesh);
    return true;
}

/* False: out of memory. */
static bool mesh_follow(weir_mesh *mesh)
{
    weir_config_status status;
    weir_config_get_status(mesh->options.config, &status);
    if (status.syncs != mesh->syncs)
        mesh_all_due(mesh);
    mesh->syncs = status.syncs;
    if (mesh->watch != NULL || mesh->closed)
        return true;
    weir_config_watch const watch = {.pattern = mesh->prefix, .fn = mesh_on_config, .user = mesh};
    if (weir_config_watch_start(&mesh->watch, mesh->options.config, &watch))
        return false;
    mesh_all_due(mesh);
    return true;
}

/* ---- Time ---- */

static uint64_t mesh_run(void *self, uint64_t now_ns)
{
    weir_mesh *const mesh = self;
    uint64_t next_ns = WEIR_NEVER;
    mesh->woken = false;
    mesh->running++;
    if (!mesh_follow(mesh))
        next_ns = weir__add_ns(now_ns, WEIR__NS_PER_S);
    for (weir_mesh_service *service = mesh->first; service != NULL; service = service->next) {
        uint64_t const at_ns = weir__mesh_service_run(service, now_ns);
        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    mesh->running--;
    weir__mesh_reap(mesh);
    return mesh->woken ? now_ns : next_ns; /* Events may have opened some. */
}

weir_task weir_mesh_task(weir_mesh *mesh)
{
    return (weir_task){.run = mesh_run, .self = mesh};
}

void weir_mesh_get_stats(const weir_mesh *mesh, weir_mesh_stats *stats)
{
    *stats = mesh->stats;
    for (const weir_mesh_service *s = mesh->first; s != NULL; s = s->next)
        stats->pending += s->policy_due || s->members_due || s->put_due;
}

/* ---- Life ---- */

static bool mesh_options_ok(const weir_mesh_options *o)
{
    size_t const size = o->prefix != NULL ? strlen(o->prefix) : 0;
    return o->config != NULL && size >= 1 && size <= MESH_MAX_PREFIX &&
           strpbrk(o->prefix, "*?") == NULL;
}

static int mesh_start(weir_mesh *mesh)
{
    weir_config_validator const validator = {.pattern = mesh->prefix,
                                             .check = WEIR_CONFIG_CHECK_CUSTOM,
                                             .fn = mesh_validate,
                                             .user = mesh};
    int const result = weir_config_add_validator(mesh->options.config, &validator, NULL);
    if (result != WEIR_OK)
        return result;
    return mesh_follow(mesh) ? WEIR_OK : WEIR_ENOMEM;
}

int weir_mesh_create(weir_mesh **out, const weir_mesh_options *options)
{
    *out = NULL;
    weir_mesh_options loaded = WEIR_MESH_OPTIONS_INIT;
    weir_env env;
    if (options == NULL ||
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size) ||
        !mesh_options_ok(&loaded) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    size_t const size = strlen(loaded.prefix);
    weir_mesh *const mesh = weir__alloc(&env, sizeof *mesh + size + sizeof MESH_ANY_BEHIND);
    if (mesh == NULL)
        return WEIR_ENOMEM;
    mesh->options = loaded;
    mesh->env = env;
    mesh->prefix_size = size;
    memcpy(mesh->prefix, loaded.prefix, size);
    memcpy(mesh->prefix + size, MESH_ANY_BEHIND, sizeof MESH_ANY_BEHIND);
    mesh->options.prefix = NULL;
    weir__map_init(&mesh->services, &mesh->env);
    int const result = mesh_start(mesh);
    if (result != WEIR_OK) {
        weir_mesh_destroy(mesh);
        return result;
    }
    *out = mesh;
    return WEIR_OK;
}

void weir_mesh_destroy(weir_mesh *mesh)
{
    if (mesh == NULL)
        return;
    weir_env const env = mesh->env;
    weir_config_remove_validators(mesh->options.config, mesh);
    weir_config_watch_stop(mesh->watch);
    for (weir_mesh_service *service = mesh->first; service != NULL; service = service->next)
        service->users = 0;
    weir__mesh_reap(mesh);
    weir__map_free(&mesh->services);
    weir__free(&env, mesh, sizeof *mesh + mesh->prefix_size + sizeof MESH_ANY_BEHIND);
}
