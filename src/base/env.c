#include "base/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *env_realloc(void *ptr, size_t old_size, size_t new_size, void *user)
{
    (void)old_size;
    (void)user;
    if (new_size > 0)
        return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static uint64_t env_clock_ns(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * WEIR__NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t env_now_ns(void *user)
{
    (void)user;
    return env_clock_ns(CLOCK_MONOTONIC);
}

static uint64_t env_wall_ns(void *user)
{
    (void)user;
    return env_clock_ns(CLOCK_REALTIME);
}

/* Without a random device (a bare chroot), clocks and addresses still tell processes apart. */
static uint64_t env_random(void *user)
{
    (void)user;
    uint64_t bits = env_clock_ns(CLOCK_REALTIME) ^ env_clock_ns(CLOCK_MONOTONIC) << 20 ^
                    (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&bits;
    int const fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        uint64_t device = 0;
        if (read(fd, &device, sizeof device) == (ssize_t)sizeof device)
            bits = device;
        (void)close(fd);
    }
    return bits;
}

static void env_sleep_ns(uint64_t ns, void *user)
{
    (void)user;
    struct timespec left = {.tv_sec = (time_t)(ns / WEIR__NS_PER_S),
                            .tv_nsec = (long)(ns % WEIR__NS_PER_S)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int weir__env_load(weir_env *env, const weir_env *from)
{
    *env = (weir_env)WEIR_ENV_INIT;
    if (from != NULL && weir__options_load(env, sizeof *env, from, from->struct_size))
        return WEIR_EINVAL;
    if (env->realloc_fn == NULL)
        env->realloc_fn = env_realloc;
    if (env->now_ns == NULL)
        env->now_ns = env_now_ns;
    if (env->wall_ns == NULL)
        env->wall_ns = env_wall_ns;
    if (env->random == NULL)
        env->random = env_random;
    if (env->sleep_ns == NULL)
        env->sleep_ns = env_sleep_ns;
    env->struct_size = sizeof *env;
    return WEIR_OK;
}

void *weir__alloc(const weir_env *env, size_t size)
{
    void *ptr = env->realloc_fn(NULL, 0, size, env->user);
    if (ptr != NULL)
        memset(ptr, 0, size);
    return ptr;
}

void *weir__resize(const weir_env *env, void *ptr, size_t old_size, size_t new_size)
{
    return env->realloc_fn(ptr, old_size, new_size, env->user);
}

void weir__free(const weir_env *env, void *ptr, size_t size)
{
    if (ptr != NULL)
        (void)env->realloc_fn(ptr, size, 0, env->user);
}

uint64_t weir__now_ns(const weir_env *env)
{
    return env->now_ns(env->user);
}

uint64_t weir__wall_ns(const weir_env *env)
{
    return env->wall_ns(env->user);
}

uint64_t weir__random(const weir_env *env)
{
    return env->random(env->user);
}

void weir__sleep_ns(const weir_env *env, uint64_t ns)
{
    env->sleep_ns(ns, env->user);
}

int weir__options_load(void *dst, size_t dst_size, const void *src, size_t src_size)
{
    if (src_size < sizeof(size_t))
        return WEIR_EINVAL;
    for (size_t i = dst_size; i < src_size; i++)
        if (((const unsigned char *)src)[i] != 0)
            return WEIR_EINVAL;
    memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
    return WEIR_OK;
}

const char *weir_strerror(int code)
{
    switch ((weir_error)code) {
    case WEIR_OK: return "success";
    case WEIR_EINVAL: return "invalid argument";
    case WEIR_ENOMEM: return "out of memory";
    case WEIR_ESYSTEM: return "system call failed";
    case WEIR_EOPEN: return "circuit open";
    case WEIR_ELIMITED: return "rate limited";
    case WEIR_ENEVER: return "cost exceeds the burst";
    case WEIR_EEMPTY: return "no member";
    case WEIR_EDOWN: return "all members down";
    case WEIR_ESATURATED: return "all members saturated";
    case WEIR_EDEADLINE: return "deadline exceeded";
    case WEIR_ESTALE: return "stale version";
    case WEIR_ENOTFOUND: return "not found";
    case WEIR_EPROTOCOL: return "malformed input";
    case WEIR_ETOOLARGE: return "over a size limit";
    case WEIR_ECLOSED: return "closed";
    case WEIR_EBUSY: return "busy";
    case WEIR_EFAILED: return "call failed";
    case WEIR_ECOMPACTED: return "revision compacted";
    case WEIR_ECORRUPT: return "stored data is corrupt";
    case WEIR_EREADONLY: return "read-only after a failed write";
    case WEIR_EEXISTS: return "exists already";
    }
    return "unknown error";
}

const char *weir_outcome_name(weir_outcome outcome)
{
    switch (outcome) {
    case WEIR_SUCCESS: return "success";
    case WEIR_FAILURE: return "failure";
    case WEIR_TIMEOUT: return "timeout";
    case WEIR_OVERLOAD: return "overload";
    case WEIR_IGNORED: return "ignored";
    case WEIR_CANCELLED: return "cancelled";
    }
    return "unknown";
}
