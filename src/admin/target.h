/* The target of a request, taken apart: a place, names, and parameters. */
#ifndef WEIR_SRC_ADMIN_TARGET_H
#define WEIR_SRC_ADMIN_TARGET_H

#include <weir/http.h>

typedef enum weir__admin_place {
    WEIR__ADMIN_ELSEWHERE, /* Neither of ours. */
    WEIR__ADMIN_CONFIG,
    WEIR__ADMIN_VALUE, /* /config/NAME */
    WEIR__ADMIN_SERVICES,
    WEIR__ADMIN_SERVICE,
    WEIR__ADMIN_INSTANCE,
    WEIR__ADMIN_HEARTBEAT,
    WEIR__ADMIN_STATUS,
    WEIR__ADMIN_OVERRIDE,
    WEIR__ADMIN_DRAIN,
    WEIR__ADMIN_NOTHING, /* Below /services, and no page. */
} weir__admin_place;

typedef enum weir__admin_param {
    WEIR__ADMIN_WATCH, /* Flags first... */
    WEIR__ADMIN_HISTORY,
    WEIR__ADMIN_AVAILABLE,
    WEIR__ADMIN_OFF,
    WEIR__ADMIN_PATTERN, /* ...then texts. */
    WEIR__ADMIN_REVISION,
    WEIR__ADMIN_ENVIRONMENT,
    WEIR__ADMIN_LABEL,
    WEIR__ADMIN_ID,
    WEIR__ADMIN_LABELS,
    WEIR__ADMIN_SOURCE,
    WEIR__ADMIN_VERSION,
    WEIR__ADMIN_ROLLBACK,
    WEIR__ADMIN_PROMOTE,
    WEIR__ADMIN_ABANDON,
    WEIR__ADMIN_ZONE,
    WEIR__ADMIN_OF_SERVICE, /* "service" */
    WEIR__ADMIN_PARAMS,
} weir__admin_param;

#define WEIR__ADMIN_BIT(param) (UINT32_C(1) << (param))

/* Strings are in the room. */
typedef struct weir__admin_target {
    weir__admin_place place;
    char *name;                       /* VALUE */
    char *service, *id;               /* SERVICE and on, INSTANCE and on. */
    char *params[WEIR__ADMIN_PARAMS]; /* NULL = not given. */
    uint32_t given;                   /* Bits of those; of flags, that are set. */
    char error[128];                  /* What is malformed; "" = nothing. */
} weir__admin_target;

/* Which of both it is about; the rest is not looked at. */
weir__admin_place weir__admin_target_root(weir_http_slice path);

/* Room for all strings of a path. */
static inline size_t weir__admin_target_room(weir_http_slice path)
{
    return path.size + 2;
}

/* Of a path whose root is CONFIG or SERVICES. */
void weir__admin_target_parse(weir__admin_target *target, weir_http_slice path, char *room);
/* It has an error, if it has parameters beside these. */
void weir__admin_target_check(weir__admin_target *target, uint32_t allowed);
const char *weir__admin_param_name(weir__admin_param param);

#endif
