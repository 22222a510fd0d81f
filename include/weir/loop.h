/**
 * @file weir/loop.h
 * Event loop: file descriptors, timers, tasks and calls from other threads, on one thread.
 *
 *   weir_loop_run():   wait --> descriptors --> posted calls --> timers and tasks --> wait ...
 *                       ^
 *      weir_loop_post(), weir_loop_stop() from any thread
 *
 * Linux: epoll(7), or poll(2) on request; elsewhere poll(2). The time is read once an iteration, on
 * the environment's clock, and all that is due by then fires in that one wake-up. A wait is rounded
 * up to the next millisecond, so nothing fires early.
 *
 * Threads:    weir_loop_post() and weir_loop_stop() from any thread; all else from the thread that
 *             runs the loop, or before any does. Callbacks come on that thread, without a lock.
 * Blocking:   in weir_loop_run(), weir_loop_run_once() and weir_loop_join() only.
 * Allocation: in create functions, and in weir_loop_post() when more calls are pending than ever
 *             before. Setting a timer allocates nothing and cannot fail.
 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_loop weir_loop;
typedef struct weir_loop_watch weir_loop_watch; /**< Interest in a file descriptor. */
typedef struct weir_loop_timer weir_loop_timer; /**< Something to call at a time. */
typedef struct weir_loop_task weir_loop_task;   /**< A weir_task, run when it wants to be. */

/** How the loop waits. */
typedef enum weir_loop_backend {
    WEIR_LOOP_BEST,  /**< The best there is: epoll on Linux, poll elsewhere. */
    WEIR_LOOP_EPOLL, /**< epoll(7). WEIR_EINVAL where there is none. */
    WEIR_LOOP_POLL,  /**< poll(2): time per wait grows with the descriptors; cannot be nested. */
} weir_loop_backend;

/** What a watch waits for, and what it tells: a sum of these. */
typedef enum weir_loop_events {
    WEIR_LOOP_READABLE = 1, /**< Data, a connection to accept, or the end of the stream. */
    WEIR_LOOP_WRITABLE = 2, /**< Room to write, or a connect() that is over. */
    /** Told only, next to the bits that are waited for: an error, or both directions are closed.
        A read or write tells which. */
    WEIR_LOOP_HANGUP = 4,
} weir_loop_events;

/** Start from WEIR_LOOP_OPTIONS_INIT, then change what you need. */
typedef struct weir_loop_options {
    size_t struct_size;        /**< Set by the macro; leave alone. */
    weir_loop_backend backend; /**< Default WEIR_LOOP_BEST. */
    const weir_env *env;       /**< NULL for defaults; copied. What runs on the loop shares it. */
} weir_loop_options;

#define WEIR_LOOP_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(weir_loop_options), .backend = WEIR_LOOP_BEST, .env = NULL           \
    }

/** `events`: a sum of weir_loop_events. May destroy any watch, its own too. */
typedef void (*weir_loop_watch_fn)(unsigned events, void *user);

/** `now_ns`: the loop's time. May set or destroy any timer, its own too. */
typedef void (*weir_loop_timer_fn)(uint64_t now_ns, void *user);

/** A posted call. */
typedef void (*weir_loop_post_fn)(void *user);

/**
 * Create a loop; nothing runs yet.
 *
 * @param out      receives the loop, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM or WEIR_ESYSTEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_loop_create(weir_loop **out, const weir_loop_options *options);

/**
 * Free the loop with all watches, timers and tasks left on it. NULL is allowed. Not from a
 * callback, and not while it runs. Descriptors stay open; calls posted and not yet made are
 * dropped.
 */
WEIR_API void weir_loop_destroy(weir_loop *loop);

/**
 * Wait and call back until weir_loop_stop(). A stop that came before ends it at once.
 *
 * @return WEIR_OK when stopped, WEIR_EBUSY if the loop is running already, WEIR_ESYSTEM.
 */
WEIR_API int weir_loop_run(weir_loop *loop);

/**
 * One iteration: wait until something is due, at most timeout_ns (real time; 0 = do not wait,
 * WEIR_NEVER = no limit), then make all calls that are due.
 *
 * @return WEIR_OK, WEIR_EBUSY when called from a callback, WEIR_ESYSTEM.
 */
WEIR_API int weir_loop_run_once(weir_loop *loop, uint64_t timeout_ns);

/** weir_loop_run_once() without waiting: for a loop nested in another, and for tests. */
WEIR_API int weir_loop_dispatch(weir_loop *loop);

/** End weir_loop_run() after its current iteration; remembered until one ends. Any thread. */
WEIR_API void weir_loop_stop(weir_loop *loop);

/**
 * Run the loop on a thread of its own, until stopped; then weir_loop_join() it.
 *
 * @return WEIR_OK, WEIR_EBUSY if it runs already, WEIR_ESYSTEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_loop_start(weir_loop *loop);

/**
 * Wait for the end of the thread of weir_loop_start(). Does not stop it.
 *
 * @return what weir_loop_run() returned there, or WEIR_EINVAL if there is no such thread.
 */
WEIR_API int weir_loop_join(weir_loop *loop);

/**
 * Have `fn(user)` called on the loop's thread, in the order of posting. Any thread; from a callback
 * too: then it is called after that callback returned.
 *
 * @return WEIR_OK or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_loop_post(weir_loop *loop, weir_loop_post_fn fn, void *user);

/** The time of this iteration, on the environment's clock. Never steps back. */
WEIR_API uint64_t weir_loop_now_ns(const weir_loop *loop);

/**
 * For nesting: a descriptor that is readable while weir_loop_dispatch() has descriptors or posted
 * calls to serve; wait on it for at most until weir_loop_next_ns(). -1 with WEIR_LOOP_POLL, which
 * has none. Owned by the loop.
 */
WEIR_API int weir_loop_fd(const weir_loop *loop);

/** When the next timer or task is due, on the environment's clock: 0 = now, WEIR_NEVER = none. */
WEIR_API uint64_t weir_loop_next_ns(const weir_loop *loop);

/**
 * Watch a descriptor; at most one watch each.
 *
 * @param fd      borrowed: destroy the watch before you close it.
 * @param events  a sum of WEIR_LOOP_READABLE and WEIR_LOOP_WRITABLE, or 0 = nothing for now.
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM or WEIR_ESYSTEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_loop_watch_create(weir_loop_watch **out, weir_loop *loop, int fd,
                                                    unsigned events, weir_loop_watch_fn fn,
                                                    void *user);

/**
 * Change what is waited for. Level-triggered: told again in each iteration while it holds.
 * With 0, nothing is told, not even a hangup.
 *
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ESYSTEM.
 */
WEIR_API int weir_loop_watch_set(weir_loop_watch *watch, unsigned events);

/** Watch no more: `fn` is not called again. NULL is allowed. */
WEIR_API void weir_loop_watch_destroy(weir_loop_watch *watch);

/** Create a timer, not set. WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
WEIR_API WEIR_MUST_CHECK int weir_loop_timer_create(weir_loop_timer **out, weir_loop *loop,
                                                    weir_loop_timer_fn fn, void *user);

/**
 * Fire once at at_ns on the environment's clock, instead of what was set before. A time that has
 * passed fires in this iteration or the next; WEIR_NEVER: not at all. Equal times fire in the order
 * of set.
 */
WEIR_API void weir_loop_timer_set(weir_loop_timer *timer, uint64_t at_ns);

/** It does not fire any more. NULL is allowed. */
WEIR_API void weir_loop_timer_destroy(weir_loop_timer *timer);

/**
 * Run a task on the loop: first in the next iteration, then whenever it says.
 *
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_loop_task_create(weir_loop_task **out, weir_loop *loop,
                                                   weir_task task);

/** Run it in the next iteration, whatever it said. From another thread, post a call of this. */
WEIR_API void weir_loop_task_wake(weir_loop_task *task);

/** Run it no more; may be called from its own run(). NULL is allowed. */
WEIR_API void weir_loop_task_destroy(weir_loop_task *task);

WEIR_END_DECLS

#endif
