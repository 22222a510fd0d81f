/* Environment hooks, resolved: after weir__env_load() no function is NULL. */
#ifndef WEIR_SRC_ENV_H
#define WEIR_SRC_ENV_H

#include <weir/base.h>

#define WEIR__NS_PER_US UINT64_C(1000)
#define WEIR__NS_PER_MS UINT64_C(1000000)
#define WEIR__NS_PER_S  UINT64_C(1000000000)

#if defined(__GNUC__)
#define WEIR__LIKELY(x)        __builtin_expect(!!(x), 1)
#define WEIR__UNLIKELY(x)      __builtin_expect(!!(x), 0)
#define WEIR__PREFETCH(p)      __builtin_prefetch(p, 1) /* To be written soon. */
#define WEIR__PREFETCH_READ(p) __builtin_prefetch(p, 0)
#define WEIR__APART            __attribute__((noinline)) /* So that who calls it stays small. */
#else
#define WEIR__LIKELY(x)        (x)
#define WEIR__UNLIKELY(x)      (x)
#define WEIR__PREFETCH(p)      ((void)(p))
#define WEIR__PREFETCH_READ(p) ((void)(p))
#define WEIR__APART
#endif

/* What one core writes, another should not share a line with. */
#define WEIR__CACHE_LINE 64

int weir__env_load(weir_env *env, const weir_env *from); /* WEIR_OK or WEIR_EINVAL. */
void *weir__alloc(const weir_env *env, size_t size);     /* Zeroed. */
/* As realloc(); what was added is not zeroed. NULL leaves `ptr` as it was. */
void *weir__resize(const weir_env *env, void *ptr, size_t old_size, size_t new_size);
void weir__free(const weir_env *env, void *ptr, size_t size);
uint64_t weir__now_ns(const weir_env *env);
uint64_t weir__wall_ns(const weir_env *env);
uint64_t weir__random(const weir_env *env);
void weir__sleep_ns(const weir_env *env, uint64_t ns);

/*
 * Copy a caller's options over the defaults already in `dst`. An older, shorter
 * caller keeps our defaults for the rest; a newer, longer one is refused if it
 * sets a member we do not know. Returns WEIR_OK or WEIR_EINVAL.
 */
int weir__options_load(void *dst, size_t dst_size, const void *src, size_t src_size);

/* Times saturate at WEIR_NEVER, so "a year from the end of time" is simply never. */
static inline uint64_t weir__add_ns(uint64_t time_ns, uint64_t ns)
{
    return ns > WEIR_NEVER - time_ns ? WEIR_NEVER : time_ns + ns;
}

static inline uint64_t weir__mul_ns(uint64_t count, uint64_t unit_ns)
{
    return unit_ns != 0 && count > WEIR_NEVER / unit_ns ? WEIR_NEVER : count * unit_ns;
}

#endif
