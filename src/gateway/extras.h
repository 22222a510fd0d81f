/* What the gateway knows of a service beside what the mesh does: its own directives. */
#ifndef WEIR_SRC_GATEWAY_EXTRAS_H
#define WEIR_SRC_GATEWAY_EXTRAS_H

#include <weir/kv.h>
#include <weir/probe_http.h>

#include "base/directive.h"

typedef enum weir__health_kind {
    WEIR__HEALTH_NONE,
    WEIR__HEALTH_HTTP,
    WEIR__HEALTH_TCP,
} weir__health_kind;

typedef struct weir__health_bytes {
    char data[255];
    size_t size;
} weir__health_bytes;

/* How the members of a service are checked. */
typedef struct weir__health_config {
    weir__health_kind kind;
    weir_health_check_options check;
    weir_probe_http_options http; /* Strings in the directive's text. */
    weir__health_bytes send, expect;
    uint32_t port; /* 0 = the member's. */
} weir__health_config;

/* Where the key of a request is. */
typedef enum weir__key_source {
    WEIR__KEY_NONE,
    WEIR__KEY_HEADER,
    WEIR__KEY_COOKIE,
    WEIR__KEY_ADDRESS,
    WEIR__KEY_PATH,
} weir__key_source;

typedef struct weir__key_config {
    weir__key_source source;
    const char *name; /* Of the header or cookie. */
} weir__key_config;

#define WEIR__EXTRAS 5

#define WEIR__EXTRAS_SIZE 4095 /* Of a directive, at most. */

typedef struct weir__extras {
    const weir_env *env; /* Borrowed. */
    const char *route;   /* NULL: clients do not come to it. */
    weir__key_config key, sticky;
    weir__health_config health;
    uint32_t connect_ms;
    char *texts[WEIR__EXTRAS]; /* Of the directives, that the strings above are in. */
    size_t sizes[WEIR__EXTRAS];
} weir__extras;

/* Their names: route, hash, sticky, health, connect_timeout. */
extern const char *const weir__extras_names[WEIR__EXTRAS];

void weir__extras_init(weir__extras *extras, const weir_env *env);
void weir__extras_free(weir__extras *extras);
/* Once each. WEIR_OK; WEIR_EINVAL, with the complaint; WEIR_ENOTFOUND: no such directive;
 * WEIR_ENOMEM. */
int weir__extras_take(weir__extras *extras, const char *name, weir_bytes value,
                      weir__complaint *complaint);

/* `health`; in health_directive.c. */
int weir__extras_health(weir__directive *directive, weir__extras *extras);
/* Text with escapes to at most 255 bytes. */
bool weir__health_unescape(const char *text, weir__health_bytes *out);

#endif
