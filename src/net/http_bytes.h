/* A queue of bytes: in at the end, out at the front, moved together when room is needed. */
#ifndef WEIR_SRC_HTTP_BYTES_H
#define WEIR_SRC_HTTP_BYTES_H

#include "base/env.h"

#include <string.h>

#define WEIR__HTTP_FIRST_BYTES 1024

typedef struct weir__http_bytes {
    char *data;
    size_t begin, size; /* What is queued: size bytes from data + begin. */
    size_t capacity;
} weir__http_bytes;

static inline char *weir__http_bytes_front(const weir__http_bytes *bytes)
{
    return bytes->data + bytes->begin;
}

static inline void weir__http_bytes_free(weir__http_bytes *bytes, const weir_env *env)
{
    weir__free(env, bytes->data, bytes->capacity);
    *bytes = (weir__http_bytes){NULL, 0, 0, 0};
}

/* Room for `more` bytes behind those queued. WEIR_OK, or WEIR_ENOMEM and nothing is changed. */
static inline int weir__http_bytes_reserve(weir__http_bytes *bytes, const weir_env *env,
                                           size_t more)
{
    if (more <= bytes->capacity - bytes->begin - bytes->size)
        return WEIR_OK;
    if (more > SIZE_MAX / 4 - bytes->size)
        return WEIR_ENOMEM;
    if (more > bytes->capacity - bytes->size) {
        size_t capacity = bytes->capacity > 0 ? bytes->capacity : WEIR__HTTP_FIRST_BYTES;
        while (capacity - bytes->size < more)
            capacity *= 2;
        char *const data = weir__resize(env, bytes->data, bytes->capacity, capacity);
        if (data == NULL)
            return WEIR_ENOMEM;
        bytes->data = data;
        bytes->capacity = capacity;
    }
    if (bytes->begin > 0)
        memmove(bytes->data, weir__http_bytes_front(bytes), bytes->size);
    bytes->begin = 0;
    return WEIR_OK;
}

/* The room was reserved. */
static inline void weir__http_bytes_add(weir__http_bytes *bytes, const void *data, size_t size)
{
    if (size > 0)
        memcpy(weir__http_bytes_front(bytes) + bytes->size, data, size);
    bytes->size += size;
}

static inline void weir__http_bytes_take(weir__http_bytes *bytes, size_t size)
{
    bytes->begin += size;
    bytes->size -= size;
    if (bytes->size == 0)
        bytes->begin = 0;
}

#endif
