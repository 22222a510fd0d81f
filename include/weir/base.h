/**
 * @file weir/base.h
 * What every module shares: exports, results, outcomes, the environment and tasks.
 *
 *   your program --- calls, and a time ---> module --- values, callbacks ---> your program
 *                                             |
 *                                             +--- weir_env: memory, clocks, randomness
 *
 * Threads:    everything here is a plain value.
 * Blocking:   never.
 * Allocation: never.
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEIR_BEGIN_DECLS extern "C" {
#define WEIR_END_DECLS   }
#else
#define WEIR_BEGIN_DECLS
#define WEIR_END_DECLS
#endif

#ifndef WEIR_API
#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif
#endif

#if defined(__GNUC__)
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define WEIR_MUST_CHECK
#endif

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

/** A time that never comes, on any clock. */
#define WEIR_NEVER UINT64_MAX

WEIR_BEGIN_DECLS

/** Results of fallible functions: WEIR_OK, or one negative reason. */
typedef enum weir_error {
    WEIR_OK = 0,
    WEIR_EINVAL = -1,      /**< An argument or option is out of its documented range. */
    WEIR_ENOMEM = -2,      /**< The allocator returned NULL; nothing was changed. */
    WEIR_ESYSTEM = -3,     /**< A system call failed; errno says how. */
    WEIR_EOPEN = -4,       /**< Refused: the circuit is open. */
    WEIR_ELIMITED = -5,    /**< Refused: over the rate; it would pass later. */
    WEIR_ENEVER = -6,      /**< Refused: the cost exceeds the burst; it can never pass. */
    WEIR_EEMPTY = -7,      /**< There is no member at all. */
    WEIR_EDOWN = -8,       /**< There are members, and none may be used now. */
    WEIR_ESATURATED = -9,  /**< Members are well, and each is at its limit of calls in flight. */
    WEIR_EDEADLINE = -10,  /**< The deadline has passed, or would before the work could start. */
    WEIR_ESTALE = -11,     /**< Older than what is already in force; ignored. */
    WEIR_ENOTFOUND = -12,  /**< No such thing under that name or id. */
    WEIR_EPROTOCOL = -13,  /**< The peer, or a text, breaks its format. */
    WEIR_ETOOLARGE = -14,  /**< Well formed, and over a configured limit of size. */
    WEIR_ECLOSED = -15,    /**< The connection or the object is closed or closing. */
    WEIR_EBUSY = -16,      /**< Not now: a previous use of the same object is not over. */
    WEIR_EFAILED = -17,    /**< The call was made, and did not succeed. */
    WEIR_ECOMPACTED = -18, /**< That revision is forgotten; read again from a newer one. */
    WEIR_ECORRUPT = -19,   /**< What was stored is damaged; nothing was changed. */
    WEIR_EREADONLY = -20,  /**< A write failed before; no more are accepted. */
    WEIR_EEXISTS = -21,    /**< There is one of that name already. */
} weir_error;

/** How a guarded call ended. */
typedef enum weir_outcome {
    WEIR_SUCCESS,   /**< It did what it should. */
    WEIR_FAILURE,   /**< It broke: an error answer, a refused or reset connection. */
    WEIR_TIMEOUT,   /**< No answer within the time allowed. Counts as a failure. */
    WEIR_OVERLOAD,  /**< Healthy, and turned the call away (429; 503 with Retry-After). */
    WEIR_IGNORED,   /**< Says nothing about health, e.g. the fault was in the request. */
    WEIR_CANCELLED, /**< The caller lost interest before it ended. Says nothing either. */
} weir_outcome;

/**
 * Hooks to the outside world; a NULL member means the libc default. Every module copies it when
 * created, so it need not live on; `user` must. Hooks may be called from any thread that calls
 * weir, and must not call weir.
 */
typedef struct weir_env {
    size_t struct_size; /**< Set by WEIR_ENV_INIT. */
    /** Allocate (ptr NULL), resize, or free (new_size 0, returns NULL). Aligned as malloc() is. */
    void *(*realloc_fn)(void *ptr, size_t old_size, size_t new_size, void *user);
    /** Monotonic nanoseconds. One that steps back is tolerated: weir keeps the latest it saw. */
    uint64_t (*now_ns)(void *user);
    /** Nanoseconds since 1970-01-01 UTC; may jump. Never used to measure or to wait. */
    uint64_t (*wall_ns)(void *user);
    /** 64 random bits. Asked for seeds, at create: its speed does not matter, its quality does. */
    uint64_t (*random)(void *user);
    /** Let `ns` pass. Asked by the blocking functions alone. */
    void (*sleep_ns)(uint64_t ns, void *user);
    void *user; /**< Passed to every hook; borrowed. */
} weir_env;

#define WEIR_ENV_INIT                                                                              \
    {                                                                                              \
        .struct_size = sizeof(weir_env), .realloc_fn = NULL, .now_ns = NULL, .wall_ns = NULL,      \
        .random = NULL, .sleep_ns = NULL, .user = NULL                                             \
    }

/**
 * Something to do later. A module that needs time to pass offers one; a loop, a thread or the
 * simulator runs it.
 */
typedef struct weir_task {
    /** Do what is due at now_ns; return when to run next on the same clock, or WEIR_NEVER. */
    uint64_t (*run)(void *self, uint64_t now_ns);
    void *self; /**< Borrowed: outlives the task. */
} weir_task;

/** A piece of metadata: who reads it says what NULL means. */
typedef struct weir_label {
    const char *key;
    const char *value;
} weir_label;

/** Static English text for a result code. Never NULL; never freed. Any thread. */
WEIR_API const char *weir_strerror(int code);

/** Static name of an outcome, lower case: "success", "failure", ... Never NULL. Any thread. */
WEIR_API const char *weir_outcome_name(weir_outcome outcome);

WEIR_END_DECLS

#endif
