#include "base/fork.h"

#include <pthread.h>

static struct {
    pthread_once_t once;
    bool works;
    pthread_mutex_t lock; /* Guards the list; held over a fork, so that it is whole in the child. */
    weir__fork_watch *first;
} fork_list = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void fork_before(void)
{
    pthread_mutex_lock(&fork_list.lock);
    for (weir__fork_watch *watch = fork_list.first; watch != NULL; watch = watch->next)
        if (watch->prepare != NULL)
            watch->prepare(watch->self);
}

static void fork_in_parent(void)
{
    for (weir__fork_watch *watch = fork_list.first; watch != NULL; watch = watch->next)
        if (watch->in_parent != NULL)
            watch->in_parent(watch->self);
    pthread_mutex_unlock(&fork_list.lock);
}

static void fork_in_child(void)
{
    for (weir__fork_watch *watch = fork_list.first; watch != NULL; watch = watch->next)
        watch->in_child(watch->self);
    pthread_mutex_unlock(&fork_list.lock);
}

static void fork_start(void)
{
    fork_list.works = pthread_atfork(fork_before, fork_in_parent, fork_in_child) == 0;
}

int weir__fork_watch_add(weir__fork_watch *watch)
{
    pthread_once(&fork_list.once, fork_start);
    if (!fork_list.works)
        return WEIR_ENOMEM;
    pthread_mutex_lock(&fork_list.lock);
    watch->before = NULL;
    watch->next = fork_list.first;
    if (watch->next != NULL)
        watch->next->before = watch;
    fork_list.first = watch;
    pthread_mutex_unlock(&fork_list.lock);
    return WEIR_OK;
}

void weir__fork_watch_remove(weir__fork_watch *watch)
{
    pthread_mutex_lock(&fork_list.lock);
    if (watch->next != NULL)
        watch->next->before = watch->before;
    if (watch->before != NULL)
        watch->before->next = watch->next;
    else
        fork_list.first = watch->next;
    pthread_mutex_unlock(&fork_list.lock);
}
