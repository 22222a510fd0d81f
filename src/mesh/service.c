/* A service: opened, kept as it is wanted, closed. */
#include "mesh/mesh.h"

#include <stdio.h>
#include <string.h>

#define SERVICE_RETRY_NS (UINT64_C(100) * WEIR__NS_PER_MS) /* Of a change that found no memory. */
#define SERVICE_LOOK_NS  WEIR__NS_PER_S                    /* At the registry's view, at least. */

/* ---- Policy ---- */

int weir__mesh_get(const weir_mesh_service *service, const char *directive, char *name, void *out,
                   size_t room, size_t *size)
{
    const weir_mesh *const mesh = service->mesh;
    const char *const owners[] = {service->name, "_"};
    weir_config_info info = {.size = 0};
    int result = WEIR_ENOTFOUND;
    for (size_t i = 0; i < 2 && result == WEIR_ENOTFOUND; i++) {
        (void)snprintf(name, WEIR_CONFIG_NAME_SIZE, "%.*s%s/%s", (int)mesh->prefix_size,
                       mesh->prefix, owners[i], directive);
        result = weir_config_get(mesh->options.config, name, NULL, out, room, &info);
    }
    *size = info.size;
    return result;
}

/* One directive into the policy, or not at all. */
static int service_take(weir_mesh_service *service, weir__policy *policy, const char *directive)
{
    char name[WEIR_CONFIG_NAME_SIZE];
    char text[WEIR__POLICY_TEXT];
    size_t size = 0;
    weir__complaint complaint;
    weir__policy trial = *policy;
    int result = weir__mesh_get(service, directive, name, text, sizeof text, &size);
    if (result == WEIR_ENOTFOUND || result == WEIR_EBUSY)
        return WEIR_OK;
    if (result == WEIR_ETOOLARGE)
        result = weir__complain(&complaint, directive, "has %zu bytes", size);
    else
        result = weir__policy_take(&trial, directive, (weir_bytes){text, size}, &complaint);
    if (result == WEIR_OK)
        *policy = trial;
    else if (result == WEIR_EINVAL)
        weir__mesh_problem(service, name, &complaint, 0);
    return result;
}

/* All directives. WEIR_EINVAL: some are malformed, and left out. */
static int service_read_policy(weir_mesh_service *service, weir__policy *policy)
{
    int result = WEIR_OK;
    weir__policy_init(policy, &service->mesh->env);
    for (const weir__policy_directive *d = weir__policy_directives; d->name != NULL; d++) {
        int const taken = service_take(service, policy, d->name);
        if (taken == WEIR_ENOMEM)
            return taken;
        if (taken != WEIR_OK)
            result = taken;
    }
    return result;
}

static void service_on_call(const weir_caller_event *event, void *user)
{
    const weir_mesh_service *const service = user;
    const weir_mesh_options *const o = &service->mesh->options;
    o->on_call(service->name, event, o->user);
}

/* Directives that are each well formed, and still do not go together. */
static void service_complain(weir_mesh_service *service)
{
    weir__complaint complaint;
    (void)weir__complain(&complaint, "balance", "these directives do not go together");
    weir__mesh_problem(service, "", &complaint, 0);
}

static int service_put_policy(weir_mesh_service *service)
{
    weir__policy policy;
    int result = service_read_policy(service, &policy);
    if (result == WEIR_EINVAL)
        return WEIR_OK; /* Told; the old one stays. */
    if (result == WEIR_ENOMEM)
        return result;
    weir_caller_options const options = weir__policy_options(&policy);
    result = weir_caller_update(service->caller, &options);
    if (result == WEIR_ENOMEM)
        return result;
    if (result == WEIR_EINVAL) {
        service_complain(service);
        return WEIR_OK;
    }
    service->put_due = service->put_due || strcmp(service->policy.endpoint, policy.endpoint) != 0;
    service->policy = policy;
    service->options = weir__policy_options(&service->policy);
    weir__mesh_tell(service, WEIR_MESH_POLICY);
    return WEIR_OK;
}

/* The first policy: of malformed directives, the defaults. */
static int service_make_caller(weir_mesh_service *service)
{
    const weir_mesh *const mesh = service->mesh;
    if (service_read_policy(service, &service->policy) == WEIR_ENOMEM)
        return WEIR_ENOMEM;
    weir_caller_options options = weir__policy_options(&service->policy);
    options.on_event = mesh->options.on_call != NULL ? service_on_call : NULL;
    options.user = service;
    int result = weir_caller_create(&service->caller, &options);
    if (result == WEIR_EINVAL) {
        service_complain(service);
        weir__policy_init(&service->policy, &mesh->env);
        weir_caller_options defaults = weir__policy_options(&service->policy);
        defaults.on_event = options.on_event;
        defaults.user = service;
        result = weir_caller_create(&service->caller, &defaults);
    }
    service->options = weir__policy_options(&service->policy);
    return result;
}

/* ---- Time ---- */

static uint64_t service_generation(const weir_mesh_service *service)
{
    weir_registry *const registry = service->mesh->options.registry;
    weir_registry_view view;
    if (registry == NULL)
        return 0;
    weir_registry_begin(registry, service->name, &view);
    uint64_t const generation = view.generation;
    weir_registry_end(&view);
    return generation;
}

/* WEIR_OK: all that was due is in force, or told of. Who is told may write: that is due anew. */
static int service_apply(weir_mesh_service *service)
{
    if (service->policy_due) {
        service->policy_due = false;
        if (service_put_policy(service)) {
            service->policy_due = true;
            return WEIR_ENOMEM;
        }
        service->due_ns = 0; /* Its caller may want to run at other times. */
    }
    if (service->members_due) {
        service->members_due = false;
        if (weir__mesh_read_members(service)) {
            service->members_due = true;
            return WEIR_ENOMEM;
        }
        service->put_due = true;
    }
    if (!service->put_due && service_generation(service) == service->generation)
        return WEIR_OK;
    service->put_due = true;
    if (weir__mesh_put_members(service))
        return WEIR_ENOMEM;
    service->put_due = false;
    service->due_ns = 0;
    return WEIR_OK;
}

uint64_t weir__mesh_service_run(weir_mesh_service *service, uint64_t now_ns)
{
    uint64_t next_ns = weir__add_ns(now_ns, SERVICE_LOOK_NS);
    if (service->users == 0)
        return WEIR_NEVER;
    if (service_apply(service) != WEIR_OK)
        next_ns = weir__add_ns(now_ns, SERVICE_RETRY_NS);
    if (service->due_ns <= now_ns)
        service->due_ns = service->task.run(service->task.self, now_ns);
    return service->due_ns < next_ns ? service->due_ns : next_ns;
}

/* ---- Life ---- */

static void service_free(weir_mesh_service *service)
{
    if (service == NULL)
        return;
    weir_mesh *const mesh = service->mesh;
    weir_registry_watch_stop(service->watch);
    weir_caller_destroy(service->caller);
    weir__mesh_members_free(&service->fixed);
    weir__free(&mesh->env, service, service->bytes);
}

void weir__mesh_reap(weir_mesh *mesh)
{
    for (weir_mesh_service **link = &mesh->first; *link != NULL && mesh->running == 0;) {
        weir_mesh_service *const service = *link;
        if (service->users > 0) {
            link = &service->next;
            continue;
        }
        *link = service->next;
        (void)weir__map_remove(&mesh->services, service->name, strlen(service->name));
        mesh->stats.services--;
        service_free(service);
    }
}

static bool service_on_registry(const weir_registry_event *event, void *user)
{
    (void)event;
    weir__mesh_wake(user);
    return true;
}

static int service_follow(weir_mesh_service *service)
{
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    if (service->mesh->options.registry == NULL)
        return WEIR_OK;
    options.service = service->name;
    options.fn = service_on_registry;
    options.user = service->mesh;
    return weir_registry_watch_start(service->mesh->options.registry, &options, &service->watch);
}

bool weir__mesh_name_ok(const char *name, size_t size)
{
    if (size == 0 || size > WEIR_MESH_MAX_NAME || (size == 1 && name[0] == '_'))
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || strchr("/@:${}", name[i]) != NULL)
            return false;
    return weir__text_is_utf8(name, size);
}

static uint64_t service_revision(const weir_mesh *mesh)
{
    weir_config_status status;
    weir_config_get_status(mesh->options.config, &status);
    return status.revision;
}

static int service_new(weir_mesh *mesh, const char *name, weir_mesh_service **out)
{
    uint64_t const revision = service_revision(mesh);
    size_t const size = strlen(name);
    size_t const bytes = sizeof(weir_mesh_service) + size + 1;
    weir_mesh_service *const service = *out = weir__alloc(&mesh->env, bytes);
    if (service == NULL)
        return WEIR_ENOMEM;
    service->mesh = mesh;
    service->bytes = bytes;
    service->users = 1;
    service->put_due = true;
    weir__mesh_members_init(&service->fixed, &mesh->env);
    memcpy(service->name, name, size + 1);
    int result = service_make_caller(service);
    if (result == WEIR_OK)
        result = weir__mesh_read_members(service);
    if (result == WEIR_OK)
        result = weir__mesh_put_members(service);
    if (result == WEIR_OK)
        result = service_follow(service);
    if (result == WEIR_OK)
        result = weir__map_put(&mesh->services, service->name, size, service);
    if (result != WEIR_OK)
        return result;
    /* Who was told of a problem may have written, before this could be found. */
    service->policy_due = service->members_due = service_revision(mesh) != revision;
    service->put_due = false;
    service->task = weir_caller_task(service->caller);
    service->next = mesh->first;
    mesh->first = service;
    mesh->stats.services++;
    return WEIR_OK;
}

int weir_mesh_open(weir_mesh *mesh, const char *name, weir_mesh_service **out)
{
    *out = NULL;
    if (name == NULL || !weir__mesh_name_ok(name, strlen(name)))
        return WEIR_EINVAL;
    weir_mesh_service *service = weir__map_get(&mesh->services, name, strlen(name));
    if (service != NULL) {
        service->users++;
        *out = service;
        return WEIR_OK;
    }
    int const result = service_new(mesh, name, &service);
    if (result != WEIR_OK) {
        service_free(service);
        return result;
    }
    *out = service;
    weir__mesh_wake(mesh);
    return WEIR_OK;
}

void weir_mesh_close(weir_mesh_service *service)
{
    if (service == NULL)
        return;
    service->users--;
    if (service->users == 0)
        weir__mesh_reap(service->mesh);
}

weir_caller *weir_mesh_caller(weir_mesh *mesh, const char *name)
{
    weir_mesh_service *service = NULL;
    if (weir_mesh_open(mesh, name, &service))
        return NULL;
    if (service->asked)
        service->users--;
    service->asked = true;
    return service->caller;
}

weir_caller *weir_mesh_service_caller(const weir_mesh_service *service)
{
    return service->caller;
}

const char *weir_mesh_service_name(const weir_mesh_service *service)
{
    return service->name;
}

const weir_caller_options *weir_mesh_service_options(const weir_mesh_service *service)
{
    return &service->options;
}
