/* Options behind a directive: "name=value", or a bare name. Values are checked as they are read. */
#ifndef WEIR_SRC_GATEWAY_OPTION_H
#define WEIR_SRC_GATEWAY_OPTION_H

#include "gateway/config.h"

typedef struct weir__config_option {
    const weir__config_line *line;
    const char *name;
    const char *value;
    size_t name_size;
} weir__config_option;

/* Each from the given word on, through `take`, which returns WEIR_ENOTFOUND for an unknown one. */
int weir__config_each_option(const weir__config_line *line, size_t first,
                             int (*take)(const weir__config_option *option,
                                         weir__service_config *service),
                             weir__service_config *service);
/* Whether all there is behind the directive is "off". */
bool weir__config_is_off(const weir__config_line *line);

bool weir__option_is(const weir__config_option *option, const char *name);
/* The value; or the error is set: WEIR_OK or WEIR_EINVAL. */
int weir__option_u32(const weir__config_option *option, uint32_t min, uint32_t max, uint32_t *out);
int weir__option_u64(const weir__config_option *option, uint64_t min, uint64_t max, uint64_t *out);
int weir__option_ns(const weir__config_option *option, uint64_t min_ns, uint64_t *out_ns);
int weir__option_ms(const weir__config_option *option, uint32_t *out_ms);   /* At least 1 ms. */
int weir__option_percent(const weir__config_option *option, uint32_t *out); /* 1 to 100. */
/* A whole percentage of any size, "140%". */
int weir__option_percentage(const weir__config_option *option, uint32_t min, uint32_t max,
                            uint32_t *out);
int weir__option_bare(const weir__config_option *option, bool *out); /* True, and has no value. */
/* Sets the error to this text; returns WEIR_EINVAL. */
int weir__option_fail(const weir__config_option *option, const char *what);

#endif
