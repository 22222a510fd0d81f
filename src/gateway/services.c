/* Services as the config center has them: those with a route are proxied to. */
#include "gateway/checks.h"

#include <stdio.h>
#include <string.h>

#define SERVICES_RETRY_NS (UINT64_C(100) * WEIR__NS_PER_MS) /* Of a change without memory. */

/* ---- Routing ---- */

/* Looks for the whole path, then for all but its last segment, and so on. */
weir__service *weir__gateway_route(const weir_gateway *gateway, weir_http_slice path)
{
    const char *const query = path.size > 0 ? memchr(path.data, '?', path.size) : NULL;
    size_t size = query != NULL ? (size_t)(query - path.data) : path.size;
    while (size > 0) {
        weir__service *const service = size <= gateway->longest_route
                                           ? weir__map_get(&gateway->routes, path.data, size)
                                           : NULL;
        if (service != NULL)
            return service;
        do
            size--;
        while (size > 0 && path.data[size] != '/');
    }
    return weir__map_get(&gateway->routes, "/", 1);
}

/* Before its route goes: nothing is left that points to it. */
static void route_remove(weir_gateway *gateway, const weir__service *service)
{
    const char *const route = service->extras.route;
    size_t const size = strlen(route);
    if (weir__map_get(&gateway->routes, route, size) == service)
        (void)weir__map_remove(&gateway->routes, route, size);
}

/* Of two with one route, the first by name has it. WEIR_OK or WEIR_ENOMEM: as it was. */
static int routes_build(weir_gateway *gateway)
{
    weir__map routes;
    weir__map_init(&routes, &gateway->env);
    if (weir__map_reserve(&routes, gateway->service_count))
        return WEIR_ENOMEM;
    gateway->longest_route = 0;
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir__service *const service = gateway->services[i];
        const char *const route = service->extras.route;
        size_t const size = strlen(route);
        bool const taken = weir__map_get(&routes, route, size) != NULL;
        if (taken && !service->route_taken)
            weir__gateway_problem(gateway, weir__service_name(service),
                                  "its route is that of another, which has the calls");
        service->route_taken = taken;
        if (!taken)
            (void)weir__map_put(&routes, route, size, service); /* Room was reserved. */
        if (size > gateway->longest_route)
            gateway->longest_route = size;
    }
    weir__map_free(&gateway->routes);
    gateway->routes = routes;
    return WEIR_OK;
}

/* ---- What may be written ---- */

int weir__services_check(const char *directive, weir_bytes value, weir_mesh_error *error,
                         void *user)
{
    weir_gateway *const gateway = user;
    weir__extras extras;
    weir__complaint complaint = {.field = ""};
    weir__extras_init(&extras, &gateway->env);
    int result = weir__extras_take(&extras, directive, value, &complaint);
    if (result == WEIR_OK)
        result = weir__checks_try(gateway, &extras.health);
    if (result == WEIR_EINVAL && complaint.field[0] == '\0')
        (void)weir__complain(&complaint, "health", "this method, path or host cannot be sent");
    weir__extras_free(&extras);
    memcpy(error->field, complaint.field, sizeof error->field);
    memcpy(error->message, complaint.message, sizeof error->message);
    return result;
}

/* ---- What has changed ---- */

static void services_mark(weir_gateway *gateway, const char *name, size_t size)
{
    const weir__text *const dirty = &gateway->dirty;
    if (dirty->size > size && memcmp(dirty->data + dirty->size - size - 1, name, size) == 0 &&
        (dirty->size == size + 1 || dirty->data[dirty->size - size - 2] == '\0'))
        return; /* The last to be marked was the same. */
    weir__text_bytes(&gateway->dirty, name, size);
    weir__text_bytes(&gateway->dirty, "", 1);
    if (!weir__text_ok(&gateway->dirty))
        gateway->all_dirty = true;
}

static void services_mark_all(weir_gateway *gateway)
{
    for (size_t i = 0; i < gateway->service_count; i++) {
        const char *const name = weir__service_name(gateway->services[i]);
        services_mark(gateway, name, strlen(name));
    }
}

static bool services_on_config(const weir_config_event *event, void *user)
{
    weir_gateway *const gateway = user;
    size_t const prefix = strlen(WEIR__GATEWAY_PREFIX);
    if (event->kind == WEIR_CONFIG_OVER) {
        weir_config_watch_stop(gateway->watch);
        gateway->watch = NULL;
    } else {
        const char *const name = event->value.name + prefix;
        size_t const size = strcspn(name, "/");
        if (size == 1 && name[0] == '_')
            services_mark_all(gateway); /* It makes no service. */
        else
            services_mark(gateway, name, size);
    }
    weir__center_wake(gateway);
    return true;
}

static weir__service *services_of(const weir_gateway *gateway, const weir_mesh_service *mesh)
{
    for (size_t i = 0; i < gateway->service_count; i++)
        if (gateway->services[i]->mesh == mesh)
            return gateway->services[i];
    return NULL;
}

void weir__services_on_event(const weir_mesh_event *event, void *user)
{
    weir_gateway *const gateway = user;
    weir__service *const service = services_of(gateway, event->service);
    if (event->kind == WEIR_MESH_PROBLEM)
        weir__gateway_problem(gateway,
                              event->name[0] != '\0' ? event->name
                                                     : weir_mesh_service_name(event->service),
                              event->error->message);
    else if (event->kind == WEIR_MESH_MEMBERS && service != NULL)
        service->checks_due = true;
}

/* ---- One service ---- */

void weir__service_release(weir_gateway *gateway, weir__service *service)
{
    if (service == NULL || --service->users > 0)
        return;
    weir__checks_free(&gateway->env, service);
    weir__extras_free(&service->extras);
    weir_mesh_close(service->mesh);
    weir__free(&gateway->env, service, sizeof *service);
}

/* The gateway's own directive of a service, into its extras. */
static int services_take(weir_gateway *gateway, const char *service, const char *directive,
                         weir__extras *extras)
{
    char name[WEIR_CONFIG_NAME_SIZE];
    char text[WEIR__EXTRAS_SIZE + 1];
    weir__complaint complaint;
    weir_config_info info = {.size = 0};
    const char *const owners[] = {service, "_"};
    size_t const count = strcmp(directive, "route") == 0 ? 1 : 2; /* A route is nobody else's. */
    int result = WEIR_ENOTFOUND;
    for (size_t i = 0; i < count && result == WEIR_ENOTFOUND; i++) {
        (void)snprintf(name, sizeof name, WEIR__GATEWAY_PREFIX "%s/%s", owners[i], directive);
        result = weir_config_get(gateway->config, name, NULL, text, sizeof text, &info);
    }
    if (result == WEIR_ENOTFOUND || result == WEIR_EBUSY)
        return WEIR_OK;
    if (result == WEIR_OK)
        result = weir__extras_take(extras, directive, (weir_bytes){text, info.size}, &complaint);
    else
        result = weir__complain(&complaint, directive, "is too long");
    if (result == WEIR_EINVAL)
        weir__gateway_problem(gateway, name, complaint.message);
    return result;
}

static int services_read(weir_gateway *gateway, const char *service, weir__extras *extras)
{
    weir__extras_init(extras, &gateway->env);
    int result = WEIR_OK;
    for (size_t i = 0; result == WEIR_OK && i < WEIR__EXTRAS; i++)
        result = services_take(gateway, service, weir__extras_names[i], extras);
    return result;
}

/* The index of a service, or, if it is not there, the place where it belongs. */
static size_t services_place(const weir_gateway *gateway, const char *name, bool *there)
{
    size_t low = 0, high = gateway->service_count;
    *there = false;
    while (low < high) {
        size_t const middle = low + (high - low) / 2;
        int const order = strcmp(weir__service_name(gateway->services[middle]), name);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int services_reserve(weir_gateway *gateway)
{
    if (gateway->service_count < gateway->service_capacity)
        return WEIR_OK;
    size_t const capacity = gateway->service_capacity * 2 + 4;
    weir__service **const services =
        weir__resize(&gateway->env, gateway->services,
                     gateway->service_capacity * sizeof(weir__service *),
                     capacity * sizeof(weir__service *));
    if (services == NULL)
        return WEIR_ENOMEM;
    gateway->services = services;
    gateway->service_capacity = capacity;
    return WEIR_OK;
}

/* Takes over the extras. */
static int services_add(weir_gateway *gateway, size_t place, const char *name,
                        const weir__extras *extras)
{
    if (services_reserve(gateway))
        return WEIR_ENOMEM;
    weir__service *const service = weir__alloc(&gateway->env, sizeof *service);
    if (service == NULL)
        return WEIR_ENOMEM;
    int const result = weir_mesh_open(gateway->mesh, name, &service->mesh);
    if (result != WEIR_OK) {
        weir__free(&gateway->env, service, sizeof *service);
        return result;
    }
    service->caller = weir_mesh_service_caller(service->mesh);
    service->extras = *extras;
    service->users = 1;
    service->checks_due = true;
    memmove(gateway->services + place + 1, gateway->services + place,
            (gateway->service_count - place) * sizeof(weir__service *));
    gateway->services[place] = service;
    gateway->service_count++;
    return WEIR_OK;
}

static void services_remove(weir_gateway *gateway, size_t place)
{
    weir__service *const service = gateway->services[place];
    route_remove(gateway, service);
    gateway->service_count--;
    memmove(gateway->services + place, gateway->services + place + 1,
            (gateway->service_count - place) * sizeof(weir__service *));
    weir__service_release(gateway, service);
}

/* Malformed directives, though written by others, leave the service as it was. */
static int services_refresh(weir_gateway *gateway, const char *name)
{
    weir__extras extras;
    bool there;
    size_t const place = services_place(gateway, name, &there);
    int result = services_read(gateway, name, &extras);
    if (result != WEIR_OK) {
        weir__extras_free(&extras);
        return result == WEIR_EINVAL ? WEIR_OK : result;
    }
    if (extras.route == NULL) {
        weir__extras_free(&extras);
        if (there)
            services_remove(gateway, place);
        return WEIR_OK;
    }
    if (there) {
        weir__service *const service = gateway->services[place];
        route_remove(gateway, service);
        weir__extras_free(&service->extras);
        service->extras = extras;
        service->checks_due = true;
        return WEIR_OK;
    }
    result = services_add(gateway, place, name, &extras);
    if (result != WEIR_OK)
        weir__extras_free(&extras);
    if (result == WEIR_EINVAL)
        weir__gateway_problem(gateway, name, "is no name of a service");
    return result == WEIR_EINVAL ? WEIR_OK : result;
}

/* ---- All of them ---- */

static bool services_list(const char *name, weir_bytes value, const weir_config_info *info,
                          void *user)
{
    weir_gateway *const gateway = user;
    const char *const service = name + strlen(WEIR__GATEWAY_PREFIX);
    size_t const size = strcspn(service, "/");
    (void)value;
    (void)info;
    if (strcmp(service + size, "/route") == 0)
        services_mark(gateway, service, size);
    return true;
}

/* False: out of memory. */
static bool services_follow(weir_gateway *gateway)
{
    if (gateway->watch == NULL) {
        weir_config_watch const watch = {.pattern = WEIR__GATEWAY_PREFIX "**",
                                         .fn = services_on_config,
                                         .user = gateway};
        if (weir_config_watch_start(&gateway->watch, gateway->config, &watch))
            return false;
        gateway->all_dirty = true;
    }
    if (!gateway->all_dirty)
        return true;
    weir__text_clear(&gateway->dirty);
    weir_config_visit(gateway->config, WEIR__GATEWAY_PREFIX, NULL, services_list, gateway);
    services_mark_all(gateway);
    gateway->all_dirty = !weir__text_ok(&gateway->dirty);
    return !gateway->all_dirty;
}

/* Who is told of a problem may write, and so mark others: they come next time. */
static int services_refresh_dirty(weir_gateway *gateway)
{
    weir__text dirty = gateway->dirty;
    int result = WEIR_OK;
    weir__text_init(&gateway->dirty, &gateway->env);
    gateway->routes_due = gateway->routes_due || dirty.size > 0;
    for (size_t at = 0; result == WEIR_OK && at < dirty.size; at += strlen(dirty.data + at) + 1)
        result = services_refresh(gateway, dirty.data + at);
    gateway->all_dirty = gateway->all_dirty || result != WEIR_OK;
    weir__text_free(&dirty);
    return result;
}

/* WEIR_OK: all that has changed is in force. */
static int services_put(weir_gateway *gateway)
{
    if (!services_follow(gateway))
        return WEIR_ENOMEM;
    if (services_refresh_dirty(gateway))
        return WEIR_ENOMEM;
    if (gateway->routes_due && routes_build(gateway))
        return WEIR_ENOMEM;
    gateway->routes_due = false;
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir__service *const service = gateway->services[i];
        int const result = service->checks_due ? weir__checks_set(service, gateway) : WEIR_OK;
        if (result == WEIR_ENOMEM)
            return result;
        if (result == WEIR_EINVAL)
            weir__gateway_problem(gateway, weir__service_name(service),
                                  "its health check cannot be sent");
        service->checks_due = false;
    }
    return WEIR_OK;
}

uint64_t weir__services_run(void *self, uint64_t now_ns)
{
    weir_gateway *const gateway = self;
    weir_task const mesh = weir_mesh_task(gateway->mesh);
    uint64_t const next_ns = mesh.run(mesh.self, now_ns);
    uint64_t const again_ns = weir__add_ns(now_ns, SERVICES_RETRY_NS);
    gateway->put = services_put(gateway) == WEIR_OK;
    if (gateway->put && gateway->health_task != NULL)
        weir_loop_task_wake(gateway->health_task); /* Checks may owe flags. */
    return gateway->put || next_ns < again_ns ? next_ns : again_ns;
}

int weir__services_settle(weir_gateway *gateway)
{
    weir_mesh_stats stats;
    (void)weir__services_run(gateway, weir_loop_now_ns(gateway->loop));
    weir_mesh_get_stats(gateway->mesh, &stats);
    weir__center_wake(gateway);
    return gateway->put && stats.pending == 0 ? WEIR_OK : WEIR_ENOMEM;
}

void weir__services_free(weir_gateway *gateway)
{
    while (gateway->service_count > 0)
        services_remove(gateway, gateway->service_count - 1);
    weir__free(&gateway->env, gateway->services,
               gateway->service_capacity * sizeof(weir__service *));
    weir__map_free(&gateway->routes);
    weir__text_free(&gateway->dirty);
}
