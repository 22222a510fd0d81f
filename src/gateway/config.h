/* A configuration as the parser leaves it: every value checked, strings in its own memory. */
#ifndef WEIR_SRC_GATEWAY_CONFIG_H
#define WEIR_SRC_GATEWAY_CONFIG_H

#include <weir/gateway.h>

#include <weir/caller.h>
#include <weir/probe_http.h>

#include "base/env.h"
#include "base/text.h"

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
    weir_probe_http_options http; /* Strings in the config's text. */
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

typedef struct weir__service_config {
    char *name, *route;
    weir_balancer_options balancer;
    weir_member *members; /* Strings in the config's text. */
    size_t member_count, member_capacity;
    weir_limiter_options limiter;
    weir_breaker_options breaker;
    weir_outlier_options outlier;
    weir_retry_options retry;
    weir__health_config health;
    weir__key_config key, sticky;
    bool limited, guarded, watched, retried;
    uint64_t timeout_ns, attempt_timeout_ns;
    uint32_t connect_ms;
    uint32_t line;
    uint32_t seen; /* A bit a directive: each but member is given once. */
} weir__service_config;

struct weir_gateway_config {
    weir_env env;
    char *text; /* The lines with variables replaced, cut into words. */
    size_t text_size;
    char *proxy, *admin;
    uint32_t max_header, idle_ms, header_ms;
    uint64_t max_body;
    uint32_t seen; /* A bit a directive, as of a service. */
    weir__service_config *services;
    size_t service_count, service_capacity;
};

/* Fills an error; returns WEIR_EINVAL. */
int weir__gateway_fail(weir_gateway_error *error, uint32_t line, const char *field,
                       const char *format, ...) WEIR__PRINTF(4, 5);

/* One line: its words, and where it is. */
#define WEIR__CONFIG_WORDS 32
typedef struct weir__config_line {
    char *words[WEIR__CONFIG_WORDS];
    size_t count;
    uint32_t number;
    weir_gateway_config *config;
    weir_gateway_error *error;
} weir__config_line;

/* A directive of a service; WEIR_ENOTFOUND if there is none of that name. */
int weir__config_service_line(weir__config_line *line, weir__service_config *service);
/* `health`; in health_config.c. */
int weir__config_health(weir__config_line *line, weir__service_config *service);
/* Text with escapes to at most 255 bytes. */
bool weir__health_unescape(const char *text, weir__health_bytes *out);
/* balance_config.c and outlier_config.c: directives of a service. WEIR_OK or WEIR_EINVAL. */
int weir__config_balance(weir__config_line *line, weir__service_config *service);
int weir__config_hash(weir__config_line *line, weir__service_config *service);
int weir__config_sticky(weir__config_line *line, weir__service_config *service);
int weir__config_spill(weir__config_line *line, weir__service_config *service);
int weir__config_panic(weir__config_line *line, weir__service_config *service);
int weir__config_zone(weir__config_line *line, weir__service_config *service);
int weir__config_aperture(weir__config_line *line, weir__service_config *service);
int weir__config_slow_start(weir__config_line *line, weir__service_config *service);
int weir__config_recovery(weir__config_line *line, weir__service_config *service);
int weir__config_reports(weir__config_line *line, weir__service_config *service);
int weir__config_outlier(weir__config_line *line, weir__service_config *service);
/* The one word behind the directive, or NULL with the error set. */
char *weir__config_word(const weir__config_line *line);
int weir__config_ms(const weir__config_line *line, uint32_t *out_ms);
int weir__config_address(const weir__config_line *line, const char *field, const char *text,
                         uint16_t min_port);
/* Whether the bit is set already, with the error set; sets it. */
bool weir__config_repeats(const weir__config_line *line, uint32_t *seen, uint32_t bit);

#endif
