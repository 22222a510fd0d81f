/* A configuration as a file has it: every directive checked, and kept as text. */
#ifndef WEIR_SRC_GATEWAY_CONFIG_H
#define WEIR_SRC_GATEWAY_CONFIG_H

#include <weir/gateway.h>

#include "base/directive.h"

/* Of the lines before the first service. Strings in the config's text. */
typedef struct weir__conf_globals {
    char *proxy, *admin;
    char *data, *environment, *label; /* NULL = none. */
    char *token;                      /* The same. */
    uint32_t max_header, idle_ms, header_ms;
    uint64_t max_body;
} weir__conf_globals;

/* A directive of a service. */
typedef struct weir__conf_value {
    const char *name;
    size_t service;  /* Its index. */
    size_t at, size; /* In `values`. */
    uint32_t line;   /* Of `members`: of the first. */
} weir__conf_value;

typedef struct weir__conf_service {
    char *name, *route;
    bool sticky;
    uint32_t line, sticky_line;
} weir__conf_service;

struct weir_gateway_config {
    weir_env env;
    char *text; /* The lines with variables replaced, cut into words. */
    size_t text_size;
    weir__conf_globals globals;
    uint32_t seen; /* A bit a directive of the globals: each is given once. */
    weir__conf_service *services;
    size_t service_count, service_capacity;
    weir__conf_value *list;
    size_t count, capacity;
    weir__text values;
    weir__text members, member_lines; /* Of the service that is being read. */
};

/* Fills an error; returns WEIR_EINVAL. */
int weir__gateway_fail(weir_gateway_error *error, uint32_t line, const char *field,
                       const char *format, ...) WEIR__PRINTF(4, 5);

/* One line. */
typedef struct weir__conf_line {
    weir__directive directive;
    weir__complaint complaint;
    uint32_t number;
    weir_gateway_config *config;
    weir_gateway_error *error;
} weir__conf_line;

/* As weir__gateway_fail(), of this line. */
int weir__conf_blame(weir__conf_line *line, int result); /* Takes a complaint over. */
/* In globals.c. WEIR_OK, WEIR_EINVAL, or WEIR_ENOTFOUND: there is none of that name. */
int weir__conf_global(weir__conf_line *line);
/* In service_lines.c: `service`, a line of the last service, and what can only be checked behind
 * its last line. */
int weir__conf_service_new(weir__conf_line *line);
int weir__conf_service_line(weir__conf_line *line);
int weir__conf_service_end(weir_gateway_config *config, weir_gateway_error *error);

#endif
