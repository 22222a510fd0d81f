#include <weir/admin.h>

#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#define ROUTE_OF(name) WEIR__ADMIN_BIT(WEIR__ADMIN_##name)

#define ROUTE_LAYER  (ROUTE_OF(ENVIRONMENT) | ROUTE_OF(LABEL))
#define ROUTE_CLIENT (ROUTE_LAYER | ROUTE_OF(ID) | ROUTE_OF(LABELS))

/* Of one method at one place, those that need a parameter are before the one that does not. */
static const weir__admin_route route_table[] = {
    {.place = WEIR__ADMIN_CONFIG,
     .method = "GET",
     .needs = ROUTE_OF(WATCH),
     .allows = ROUTE_OF(PATTERN) | ROUTE_OF(REVISION),
     .run = weir__admin_watch_config},
    {.place = WEIR__ADMIN_CONFIG,
     .method = "GET",
     .allows = ROUTE_OF(PATTERN) | ROUTE_OF(WATCH),
     .run = weir__admin_export},
    {.place = WEIR__ADMIN_CONFIG, .method = "POST", .body = true, .run = weir__admin_import},
    {.place = WEIR__ADMIN_VALUE,
     .method = "GET",
     .needs = ROUTE_OF(HISTORY),
     .allows = ROUTE_LAYER,
     .run = weir__admin_get_history},
    {.place = WEIR__ADMIN_VALUE,
     .method = "GET",
     .needs = ROUTE_OF(VERSION),
     .allows = ROUTE_LAYER,
     .run = weir__admin_get_version},
    {.place = WEIR__ADMIN_VALUE,
     .method = "GET",
     .allows = ROUTE_CLIENT | ROUTE_OF(HISTORY),
     .run = weir__admin_get_value},
    {.place = WEIR__ADMIN_VALUE,
     .method = "PUT",
     .allows = ROUTE_LAYER | ROUTE_OF(SOURCE),
     .body = true,
     .compares = true,
     .run = weir__admin_change_value},
    {.place = WEIR__ADMIN_VALUE,
     .method = "DELETE",
     .allows = ROUTE_LAYER | ROUTE_OF(SOURCE),
     .compares = true,
     .run = weir__admin_change_value},
    {.place = WEIR__ADMIN_VALUE,
     .method = "POST",
     .needs = ROUTE_OF(ROLLBACK),
     .allows = ROUTE_LAYER,
     .run = weir__admin_post_value},
    {.place = WEIR__ADMIN_VALUE,
     .method = "POST",
     .needs = ROUTE_OF(PROMOTE),
     .run = weir__admin_post_value},
    {.place = WEIR__ADMIN_VALUE,
     .method = "POST",
     .allows = ROUTE_OF(ABANDON),
     .run = weir__admin_post_value},
    {.place = WEIR__ADMIN_SERVICES,
     .method = "GET",
     .needs = ROUTE_OF(WATCH),
     .allows = ROUTE_OF(OF_SERVICE) | ROUTE_OF(REVISION),
     .run = weir__admin_watch_services},
    {.place = WEIR__ADMIN_SERVICES,
     .method = "GET",
     .allows = ROUTE_OF(WATCH),
     .run = weir__admin_get_services},
    {.place = WEIR__ADMIN_SERVICE,
     .method = "GET",
     .allows = ROUTE_OF(AVAILABLE) | ROUTE_OF(ZONE) | ROUTE_OF(VERSION),
     .run = weir__admin_get_service},
    {.place = WEIR__ADMIN_INSTANCE, .method = "GET", .run = weir__admin_get_instance},
    {.place = WEIR__ADMIN_INSTANCE, .method = "PUT", .body = true, .run = weir__admin_register},
    {.place = WEIR__ADMIN_INSTANCE, .method = "DELETE", .run = weir__admin_deregister},
    {.place = WEIR__ADMIN_HEARTBEAT, .method = "POST", .run = weir__admin_heartbeat},
    {.place = WEIR__ADMIN_STATUS, .method = "PUT", .body = true, .run = weir__admin_put_status},
    {.place = WEIR__ADMIN_OVERRIDE, .method = "PUT", .body = true, .run = weir__admin_put_status},
    {.place = WEIR__ADMIN_DRAIN,
     .method = "POST",
     .allows = ROUTE_OF(OFF),
     .run = weir__admin_drain},
};

#define ROUTE_COUNT (sizeof route_table / sizeof route_table[0])

bool weir__admin_same(weir_http_slice text, const char *str)
{
    return text.size == strlen(str) && memcmp(text.data, str, text.size) == 0;
}

const weir__admin_route *weir__admin_route_find(const weir__admin_target *target,
                                                weir_http_slice method)
{
    bool const head = weir__admin_same(method, "HEAD");
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const weir__admin_route *const route = &route_table[i];
        if (route->place == target->place &&
            (head ? strcmp(route->method, "GET") == 0 : weir__admin_same(method, route->method)) &&
            (target->given & route->needs) == route->needs)
            return route;
    }
    return NULL;
}

void weir__admin_route_methods(weir__admin_place place, char *out)
{
    const char *last = "";
    size_t size = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const char *const method = route_table[i].method;
        if (route_table[i].place != place || strcmp(method, last) == 0)
            continue;
        int const wrote =
            snprintf(out + size, WEIR__ADMIN_METHODS_SIZE - size, "%s%s%s", size > 0 ? ", " : "",
                     method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
        size += (size_t)wrote;
        last = method;
    }
}

bool weir_admin_handle(weir_admin *admin, weir_http_exchange *exchange,
                       const weir_http_request *request)
{
    weir__admin_place const root = weir__admin_target_root(request->path);
    if (root == WEIR__ADMIN_ELSEWHERE || (root == WEIR__ADMIN_CONFIG && admin->config == NULL) ||
        (root == WEIR__ADMIN_SERVICES && admin->registry == NULL))
        return false;
    if (weir__admin_call_start(admin, exchange, request) != WEIR_OK)
        (void)weir_http_exchange_respond(exchange, 500, "text/plain", "memory: none\n", 13);
    return true;
}
