#include "base/outbox.h"

int weir__outbox_init(weir__outbox *outbox, const weir_env *env, size_t event_size, size_t capacity)
{
    outbox->telling = false;
    outbox->dropped = 0;
    return weir__ring_init(&outbox->ring, env, event_size, capacity);
}

void weir__outbox_free(weir__outbox *outbox, const weir_env *env)
{
    weir__ring_free(&outbox->ring, env);
}

void weir__outbox_add(weir__outbox *outbox, const void *event)
{
    if (!weir__ring_push(&outbox->ring, event))
        outbox->dropped++;
}

void weir__outbox_unlock(weir__outbox *outbox, pthread_mutex_t *lock, void *event,
                         void (*tell)(const void *event, void *user), void *user)
{
    if (!outbox->telling) {
        outbox->telling = true;
        while (weir__ring_pop(&outbox->ring, event)) {
            pthread_mutex_unlock(lock);
            tell(event, user);
            pthread_mutex_lock(lock);
        }
        outbox->telling = false;
    }
    pthread_mutex_unlock(lock);
}
