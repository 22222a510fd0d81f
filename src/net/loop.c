#include <weir/loop.h>

#include "base/heap.h"
#include "net/loop.h"
#include "net/loop_backend.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#define WEIR__LOOP_BATCH       64
#define WEIR__LOOP_FIRST_POSTS 16

typedef struct loop_post {
    weir_loop_post_fn fn;
    void *user;
} loop_post;

typedef struct loop_posts {
    loop_post *calls;
    size_t count, capacity;
} loop_posts;

struct weir_loop_timer {
    weir__heap_node node; /* First: a node of the heap is its timer. */
    weir_loop *loop;
    weir_loop_timer *prev, *next; /* All timers of the loop. */
    weir_loop_timer_fn fn;
    void *user;
    size_t size; /* Of the whole allocation: it may be a task's. */
};

struct weir_loop_task {
    weir_loop_timer timer; /* First: a task's timer is the task. */
    weir_task task;
    uint64_t woken_ns; /* While it runs: when it was asked to run again. */
};

struct weir_loop {
    weir_env env; /* Fixed after create, as are ops, waker and scratch. */
    const weir__loop_backend_ops *ops;
    int waker[2];
    char *scratch;
    /* The loop's thread only: */
    weir__loop_backend backend;
    weir_loop_watch *watches;
    weir_loop_timer *timers;
    weir__heap heap;
    size_t timer_count;
    uint64_t now_ns;
    weir_loop_watch *waking; /* Its watch on waker[0]. */
    weir__loop_deferred deferred;
    weir__loop_ready ready[WEIR__LOOP_BATCH];
    int ready_count, ready_at;
    weir_loop_task *current; /* The task that runs; NULL once it is destroyed. */
    loop_posts taken;        /* Posts being called. */
    bool busy;               /* Within an iteration. */
    /* Any thread: */
    pthread_mutex_t lock; /* Guards all below. */
    loop_posts posts;
    bool stopping, running, started;
    bool woken; /* The waker was written to, and not yet read. */
    pthread_t thread;
    int thread_result;
};

/* ---- Waking ---- */

/* Lock held. */
static void loop_wake(weir_loop *loop)
{
    if (loop->woken)
        return;
    loop->woken = true;
    uint64_t const one = 1;
    while (write(loop->waker[1], &one, sizeof one) < 0 && errno == EINTR) {
    }
}

int weir_loop_post(weir_loop *loop, weir_loop_post_fn fn, void *user)
{
    pthread_mutex_lock(&loop->lock);
    loop_posts *const posts = &loop->posts;
    if (posts->count == posts->capacity) {
        size_t const capacity = posts->capacity > 0 ? posts->capacity * 2 : WEIR__LOOP_FIRST_POSTS;
        loop_post *const calls =
            weir__resize(&loop->env, posts->calls, posts->capacity * sizeof(loop_post),
                         capacity * sizeof(loop_post));
        if (calls == NULL) {
            pthread_mutex_unlock(&loop->lock);
            return WEIR_ENOMEM;
        }
        posts->calls = calls;
        posts->capacity = capacity;
    }
    posts->calls[posts->count++] = (loop_post){fn, user};
    loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
    return WEIR_OK;
}

void weir_loop_stop(weir_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

/* ---- What is due ---- */

static void loop_call_ready(weir_loop *loop)
{
    for (loop->ready_at = 0; loop->ready_at < loop->ready_count; loop->ready_at++) {
        weir__loop_ready const *const ready = &loop->ready[loop->ready_at];
        if (ready->watch != NULL && ready->watch->events != 0)
            ready->watch->fn(ready->events, ready->watch->user);
    }
    loop->ready_count = 0;
}

/*
 * The waker was written to. It is read under the lock, so that a post made later writes to it anew.
 * The two lists change places: posting goes on into the other while these are called.
 */
static void loop_call_posts(unsigned events, void *user)
{
    (void)events;
    weir_loop *const loop = user;
    uint64_t drained[8];
    pthread_mutex_lock(&loop->lock);
    loop->woken = false;
    while (read(loop->waker[0], drained, sizeof drained) < 0 && errno == EINTR) {
    }
    loop_posts const taken = loop->posts;
    loop->posts = loop->taken;
    loop->taken = taken;
    pthread_mutex_unlock(&loop->lock);
    for (size_t i = 0; i < taken.count; i++)
        taken.calls[i].fn(taken.calls[i].user);
    loop->taken.count = 0;
}

/* A timer set from here on is for the next iteration: it sorts behind all that are due now. */
static void loop_call_timers(weir_loop *loop)
{
    uint64_t const settings = loop->heap.settings;
    weir__heap_node *node;
    while ((node = weir__heap_first(&loop->heap)) != NULL && node->at_ns <= loop->now_ns &&
           node->order < settings) {
        weir_loop_timer *const timer = (weir_loop_timer *)node;
        weir__heap_remove(&loop->heap, node);
        timer->fn(loop->now_ns, timer->user);
    }
}

static void loop_call_deferred(weir_loop *loop)
{
    weir__loop_deferred *deferred;
    while ((deferred = loop->deferred.next) != &loop->deferred) {
        weir__loop_undefer(deferred);
        deferred->fn(deferred);
    }
}

void weir__loop_defer(weir_loop *loop, weir__loop_deferred *deferred)
{
    if (deferred->next != NULL)
        return;
    deferred->prev = loop->deferred.prev;
    deferred->next = &loop->deferred;
    deferred->prev->next = deferred;
    loop->deferred.prev = deferred;
}

void weir__loop_undefer(weir__loop_deferred *deferred)
{
    if (deferred->next == NULL)
        return;
    deferred->prev->next = deferred->next;
    deferred->next->prev = deferred->prev;
    deferred->prev = deferred->next = NULL;
}

/* ---- Iterations ---- */

static void loop_read_clock(weir_loop *loop)
{
    uint64_t const now_ns = weir__now_ns(&loop->env);
    if (now_ns > loop->now_ns)
        loop->now_ns = now_ns;
}

uint64_t weir_loop_now_ns(const weir_loop *loop)
{
    return loop->now_ns;
}

uint64_t weir_loop_next_ns(const weir_loop *loop)
{
    return loop->deferred.next != &loop->deferred ? 0 : weir__heap_next_ns(&loop->heap);
}

/* Rounded up: a wait that ends early would only have to be repeated. */
static int loop_timeout_ms(weir_loop *loop, uint64_t timeout_ns)
{
    uint64_t const next_ns = weir_loop_next_ns(loop);
    if (timeout_ns > 0 && next_ns != WEIR_NEVER) {
        loop_read_clock(loop);
        uint64_t const left_ns = next_ns > loop->now_ns ? next_ns - loop->now_ns : 0;
        timeout_ns = left_ns < timeout_ns ? left_ns : timeout_ns;
    }
    if (timeout_ns == WEIR_NEVER)
        return -1;
    uint64_t const ms = timeout_ns / WEIR__NS_PER_MS + (timeout_ns % WEIR__NS_PER_MS != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int loop_iterate(weir_loop *loop, uint64_t timeout_ns)
{
    loop->busy = true;
    loop_call_deferred(loop);
    int const timeout_ms = loop_timeout_ms(loop, timeout_ns);
    int const count = loop->ops->wait(&loop->backend, loop->ready, WEIR__LOOP_BATCH, timeout_ms);
    loop->ready_count = count > 0 ? count : 0;
    bool const failed = count < 0 && errno != EINTR;
    loop_read_clock(loop);
    loop_call_ready(loop);
    loop_call_timers(loop);
    loop_call_deferred(loop);
    loop->busy = false;
    return failed ? WEIR_ESYSTEM : WEIR_OK;
}

int weir_loop_run_once(weir_loop *loop, uint64_t timeout_ns)
{
    return loop->busy ? WEIR_EBUSY : loop_iterate(loop, timeout_ns);
}

int weir_loop_dispatch(weir_loop *loop)
{
    return weir_loop_run_once(loop, 0);
}

/* True once, for each stop. Else the loop goes on. */
static bool loop_take_stop(weir_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool const stop = loop->stopping;
    loop->stopping = false;
    pthread_mutex_unlock(&loop->lock);
    return stop;
}

/* Claims the loop for one runner. */
static bool loop_claim(weir_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool const free = !loop->running;
    loop->running = true;
    pthread_mutex_unlock(&loop->lock);
    return free;
}

static int loop_run_claimed(weir_loop *loop)
{
    int result = WEIR_OK;
    while (result == WEIR_OK && !loop_take_stop(loop))
        result = loop_iterate(loop, WEIR_NEVER);
    pthread_mutex_lock(&loop->lock);
    loop->running = false;
    pthread_mutex_unlock(&loop->lock);
    return result;
}

int weir_loop_run(weir_loop *loop)
{
    return loop_claim(loop) ? loop_run_claimed(loop) : WEIR_EBUSY;
}

static void *loop_thread(void *arg)
{
    weir_loop *const loop = arg;
    loop->thread_result = loop_run_claimed(loop);
    return NULL;
}

int weir_loop_start(weir_loop *loop)
{
    if (!loop_claim(loop))
        return WEIR_EBUSY;
    pthread_mutex_lock(&loop->lock);
    bool const joined = !loop->started;
    int const error = joined ? pthread_create(&loop->thread, NULL, loop_thread, loop) : 0;
    bool const begun = joined && error == 0;
    loop->started = !joined || begun;
    loop->running = begun;
    pthread_mutex_unlock(&loop->lock);
    if (error != 0)
        errno = error;
    return begun ? WEIR_OK : joined ? WEIR_ESYSTEM : WEIR_EBUSY;
}

int weir_loop_join(weir_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool const started = loop->started;
    loop->started = false;
    pthread_mutex_unlock(&loop->lock);
    if (!started || pthread_join(loop->thread, NULL) != 0)
        return WEIR_EINVAL;
    return loop->thread_result;
}

int weir_loop_fd(const weir_loop *loop)
{
    return loop->backend.fd;
}

const weir_env *weir__loop_env(const weir_loop *loop)
{
    return &loop->env;
}

char *weir__loop_scratch(weir_loop *loop)
{
    return loop->scratch;
}

/* ---- Watches ---- */

int weir_loop_watch_create(weir_loop_watch **out, weir_loop *loop, int fd, unsigned events,
                           weir_loop_watch_fn fn, void *user)
{
    *out = NULL;
    if (fd < 0 || fn == NULL || events > (WEIR_LOOP_READABLE | WEIR_LOOP_WRITABLE))
        return WEIR_EINVAL;
    weir_loop_watch *const watch = weir__alloc(&loop->env, sizeof *watch);
    if (watch == NULL)
        return WEIR_ENOMEM;
    *watch = (weir_loop_watch){.loop = loop, .fn = fn, .user = user, .fd = fd};
    int const result = weir_loop_watch_set(watch, events);
    if (result != WEIR_OK) {
        weir__free(&loop->env, watch, sizeof *watch);
        return result;
    }
    watch->next = loop->watches;
    if (watch->next != NULL)
        watch->next->prev = watch;
    loop->watches = watch;
    *out = watch;
    return WEIR_OK;
}

int weir_loop_watch_set(weir_loop_watch *watch, unsigned events)
{
    if (events > (WEIR_LOOP_READABLE | WEIR_LOOP_WRITABLE))
        return WEIR_EINVAL;
    unsigned const old_events = watch->events;
    if (events == old_events)
        return WEIR_OK;
    watch->events = events;
    int const result = watch->loop->ops->update(&watch->loop->backend, watch, old_events);
    if (result != WEIR_OK)
        watch->events = old_events;
    return result;
}

void weir_loop_watch_destroy(weir_loop_watch *watch)
{
    if (watch == NULL)
        return;
    weir_loop *const loop = watch->loop;
    (void)weir_loop_watch_set(watch, 0);
    for (int i = loop->ready_at; i < loop->ready_count; i++)
        if (loop->ready[i].watch == watch)
            loop->ready[i].watch = NULL;
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else
        loop->watches = watch->next;
    if (watch->next != NULL)
        watch->next->prev = watch->prev;
    weir__free(&loop->env, watch, sizeof *watch);
}

/* ---- Timers ---- */

/* Room in the heap for every timer there is, so that setting one cannot fail. */
static weir_loop_timer *loop_add_timer(weir_loop *loop, weir_loop_timer_fn fn, void *user,
                                       size_t size)
{
    if (weir__heap_reserve(&loop->heap, loop->timer_count + 1) != WEIR_OK)
        return NULL;
    weir_loop_timer *const timer = weir__alloc(&loop->env, size);
    if (timer == NULL)
        return NULL;
    *timer =
        (weir_loop_timer){.loop = loop, .next = loop->timers, .fn = fn, .user = user, .size = size};
    if (timer->next != NULL)
        timer->next->prev = timer;
    loop->timers = timer;
    loop->timer_count++;
    return timer;
}

int weir_loop_timer_create(weir_loop_timer **out, weir_loop *loop, weir_loop_timer_fn fn,
                           void *user)
{
    *out = NULL;
    if (fn == NULL)
        return WEIR_EINVAL;
    *out = loop_add_timer(loop, fn, user, sizeof **out);
    return *out != NULL ? WEIR_OK : WEIR_ENOMEM;
}

void weir_loop_timer_set(weir_loop_timer *timer, uint64_t at_ns)
{
    weir_loop *const loop = timer->loop;
    if (at_ns == WEIR_NEVER)
        weir__heap_remove(&loop->heap, &timer->node);
    else
        (void)weir__heap_set(&loop->heap, &timer->node,
                             at_ns > loop->now_ns ? at_ns : loop->now_ns);
}

void weir_loop_timer_destroy(weir_loop_timer *timer)
{
    if (timer == NULL)
        return;
    weir_loop *const loop = timer->loop;
    weir__heap_remove(&loop->heap, &timer->node);
    if (timer->prev != NULL)
        timer->prev->next = timer->next;
    else
        loop->timers = timer->next;
    if (timer->next != NULL)
        timer->next->prev = timer->prev;
    loop->timer_count--;
    weir__free(&loop->env, timer, timer->size);
}

/* ---- Tasks ---- */

static void loop_run_task(uint64_t now_ns, void *user)
{
    weir_loop_task *const task = user;
    weir_loop *const loop = task->timer.loop;
    loop->current = task;
    task->woken_ns = WEIR_NEVER;
    uint64_t const next_ns = task->task.run(task->task.self, now_ns);
    if (loop->current != task)
        return; /* Destroyed by itself. */
    loop->current = NULL;
    weir_loop_timer_set(&task->timer, next_ns < task->woken_ns ? next_ns : task->woken_ns);
}

int weir_loop_task_create(weir_loop_task **out, weir_loop *loop, weir_task task)
{
    *out = NULL;
    if (task.run == NULL)
        return WEIR_EINVAL;
    weir_loop_timer *const timer = loop_add_timer(loop, loop_run_task, NULL, sizeof **out);
    if (timer == NULL)
        return WEIR_ENOMEM;
    *out = (weir_loop_task *)timer;
    timer->user = *out;
    (*out)->task = task;
    weir_loop_task_wake(*out);
    return WEIR_OK;
}

void weir_loop_task_wake(weir_loop_task *task)
{
    weir_loop *const loop = task->timer.loop;
    if (loop->current == task)
        task->woken_ns = loop->now_ns;
    else
        weir_loop_timer_set(&task->timer, loop->now_ns);
}

void weir_loop_task_destroy(weir_loop_task *task)
{
    if (task == NULL)
        return;
    if (task->timer.loop->current == task)
        task->timer.loop->current = NULL;
    weir_loop_timer_destroy(&task->timer);
}

/* ---- Life ---- */

static const weir__loop_backend_ops *loop_backend_for(weir_loop_backend backend)
{
    switch (backend) {
    case WEIR_LOOP_POLL: return &weir__loop_poll;
#if defined(__linux__)
    case WEIR_LOOP_BEST:
    case WEIR_LOOP_EPOLL: return &weir__loop_epoll;
#else
    case WEIR_LOOP_BEST: return &weir__loop_poll;
    case WEIR_LOOP_EPOLL: return NULL;
#endif
    }
    return NULL;
}

/* On failure the caller destroys: what was not opened is -1 or NULL. */
static int loop_open(weir_loop *loop)
{
    loop->scratch = weir__alloc(&loop->env, WEIR__LOOP_SCRATCH_SIZE);
    if (loop->scratch == NULL)
        return WEIR_ENOMEM;
    loop->backend.env = &loop->env;
    if (loop->ops->open(&loop->backend) != WEIR_OK || loop->ops->waker(loop->waker) != WEIR_OK)
        return WEIR_ESYSTEM;
    return weir_loop_watch_create(&loop->waking, loop, loop->waker[0], WEIR_LOOP_READABLE,
                                  loop_call_posts, loop);
}

int weir_loop_create(weir_loop **out, const weir_loop_options *options)
{
    *out = NULL;
    weir_loop_options loaded = WEIR_LOOP_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size) != WEIR_OK)
        return WEIR_EINVAL;
    const weir__loop_backend_ops *const ops = loop_backend_for(loaded.backend);
    weir_env env;
    if (ops == NULL || weir__env_load(&env, loaded.env) != WEIR_OK)
        return WEIR_EINVAL;
    weir_loop *const loop = weir__alloc(&env, sizeof *loop);
    if (loop == NULL)
        return WEIR_ENOMEM;
    loop->env = env;
    loop->ops = ops;
    loop->backend.fd = loop->waker[0] = loop->waker[1] = -1;
    loop->deferred.prev = loop->deferred.next = &loop->deferred;
    weir__heap_init(&loop->heap, &loop->env);
    pthread_mutex_init(&loop->lock, NULL);
    loop_read_clock(loop);
    int const result = loop_open(loop);
    if (result != WEIR_OK) {
        int const error = errno;
        weir_loop_destroy(loop);
        errno = error;
        return result;
    }
    *out = loop;
    return WEIR_OK;
}

static void loop_free_posts(weir_loop *loop, loop_posts *posts)
{
    weir__free(&loop->env, posts->calls, posts->capacity * sizeof(loop_post));
}

void weir_loop_destroy(weir_loop *loop)
{
    if (loop == NULL)
        return;
    while (loop->timers != NULL)
        weir_loop_timer_destroy(loop->timers);
    while (loop->watches != NULL)
        weir_loop_watch_destroy(loop->watches);
    if (loop->waker[0] >= 0)
        (void)close(loop->waker[0]);
    if (loop->waker[1] >= 0 && loop->waker[1] != loop->waker[0])
        (void)close(loop->waker[1]);
    loop->ops->close(&loop->backend);
    weir__heap_free(&loop->heap);
    loop_free_posts(loop, &loop->posts);
    loop_free_posts(loop, &loop->taken);
    pthread_mutex_destroy(&loop->lock);
    weir_env const env = loop->env;
    weir__free(&env, loop->scratch, WEIR__LOOP_SCRATCH_SIZE);
    weir__free(&env, loop, sizeof *loop);
}
