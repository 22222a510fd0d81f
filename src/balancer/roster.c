#include "balancer/balancer.h"

static size_t roster_bytes(uint32_t room)
{
    return sizeof(weir__roster) + room * sizeof(weir__record *);
}

weir__roster *weir__roster_new(const weir_env *env, uint32_t room)
{
    weir__roster *const roster = weir__alloc(env, roster_bytes(room));
    if (roster == NULL)
        return NULL;
    roster->refs = 1;
    roster->room = room;
    weir__map_init(&roster->by_id, env);
    if (weir__map_reserve(&roster->by_id, room) == WEIR_OK)
        return roster;
    weir__roster_release(env, roster);
    return NULL;
}

void weir__roster_release(const weir_env *env, weir__roster *roster)
{
    if (--roster->refs > 0)
        return;
    weir__map_free(&roster->by_id);
    weir__free(env, roster, roster_bytes(roster->room));
}
