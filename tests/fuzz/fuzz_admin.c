/* Targets: whatever they are, their strings fit into the room and are strings. */
#include "support/fuzz.h"

#include "admin/admin.h"

#include <string.h>

static void check_string(const char *text, const char *room, size_t size)
{
    if (text == NULL)
        return;
    FUZZ_CHECK(text >= room && text < room + size);
    FUZZ_CHECK(memchr(text, 0, (size_t)(room + size - text)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir__admin_target target;
    char methods[WEIR__ADMIN_METHODS_SIZE];
    weir_http_slice const path = {(const char *)data, size};
    weir__admin_place const root = weir__admin_target_root(path);
    if (root == WEIR__ADMIN_ELSEWHERE)
        return 0;
    size_t const room_size = weir__admin_target_room(path);
    char *const room = malloc(room_size);
    if (room == NULL)
        return 0;
    weir__admin_target_parse(&target, path, room);
    check_string(target.name, room, room_size);
    check_string(target.service, room, room_size);
    check_string(target.id, room, room_size);
    for (size_t i = 0; i < WEIR__ADMIN_PARAMS; i++)
        check_string(target.params[i], room, room_size);
    FUZZ_CHECK((target.name != NULL) == (target.place == WEIR__ADMIN_VALUE));
    FUZZ_CHECK(target.id == NULL || target.service != NULL);
    FUZZ_CHECK(memchr(target.error, 0, sizeof target.error) != NULL);
    weir__admin_route_methods(target.place, methods);
    FUZZ_CHECK((methods[0] == '\0') == (target.place == WEIR__ADMIN_NOTHING));
    const weir__admin_route *const route =
        weir__admin_route_find(&target, (weir_http_slice){"GET", 3});
    FUZZ_CHECK(route == NULL || route->place == target.place);
    weir__admin_target_check(&target, 0);
    free(room);
    return 0;
}
