#include <weir/gateway.h>

#include "gateway/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int weir__gateway_fail(weir_gateway_error *error, uint32_t line, const char *field,
                       const char *format, ...)
{
    va_list args;
    error->line = line;
    (void)snprintf(error->field, sizeof error->field, "%s", field);
    va_start(args, format);
    (void)vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return WEIR_EINVAL;
}

int weir__conf_blame(weir__conf_line *line, int result)
{
    return result != WEIR_EINVAL
               ? result
               : weir__gateway_fail(line->error, line->number, line->complaint.field, "%s",
                                    line->complaint.message);
}

/* ---- Lines ---- */

static int config_line(weir__conf_line *line)
{
    const char *const name = line->directive.words[0];
    if (strcmp(name, "service") == 0)
        return weir__conf_service_new(line);
    int result = weir__conf_global(line);
    if (result == WEIR_ENOTFOUND && line->config->service_count > 0)
        result = weir__conf_service_line(line);
    if (result == WEIR_ENOTFOUND)
        return weir__gateway_fail(line->error, line->number, name,
                                  "there is no such directive here");
    return result;
}

static int config_read_lines(weir_gateway_config *config, weir_gateway_error *error)
{
    weir__conf_line line = {.config = config, .error = error};
    char *next = config->text;
    line.directive.complaint = &line.complaint;
    while (next != NULL) {
        char *const text = next;
        next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        line.number++;
        int result = weir__conf_blame(&line, weir__directive_split(&line.directive, text));
        if (result == WEIR_OK && line.directive.count > 0)
            result = config_line(&line);
        if (result != WEIR_OK)
            return result;
    }
    return weir__conf_service_end(config, error);
}

static int config_check(const weir_gateway_config *config, weir_gateway_error *error)
{
    if (config->globals.proxy == NULL)
        return weir__gateway_fail(error, 0, "proxy", "is missing");
    if (config->globals.admin == NULL)
        return weir__gateway_fail(error, 0, "admin", "is missing");
    return WEIR_OK;
}

/* ---- Variables ---- */

static const char *config_getenv(const char *name, void *user)
{
    (void)user;
    return getenv(name); /* NOLINT(concurrency-mt-unsafe): read-only, as by any other. */
}

typedef struct config_variables {
    weir_gateway_variable_fn find;
    void *user;
} config_variables;

/* At "${": appends the value; returns the text behind "}", or NULL. */
static const char *config_variable(weir__text *out, const char *at, const char *end,
                                   const config_variables *variables, uint32_t line,
                                   weir_gateway_error *error)
{
    char name[64];
    const char *const begin = at + 2;
    const char *const close = memchr(begin, '}', (size_t)(end - begin));
    size_t const size = close != NULL ? (size_t)(close - begin) : 0;
    if (size == 0 || size >= sizeof name || memchr(begin, '\n', size) != NULL) {
        (void)weir__gateway_fail(error, line, "${", "expected ${NAME}");
        return NULL;
    }
    memcpy(name, begin, size);
    name[size] = '\0';
    const char *const value = variables->find(name, variables->user);
    if (value == NULL || strpbrk(value, " \t\r\n#") != NULL) {
        (void)weir__gateway_fail(error, line, name,
                                 value == NULL ? "this variable is not set"
                                               : "this variable is more than one word");
        return NULL;
    }
    weir__text_str(out, value);
    return close + 1;
}

static int config_expand(weir__text *out, const char *text, size_t size,
                         const config_variables *variables, weir_gateway_error *error)
{
    const char *const end = text + size;
    uint32_t line = 1;
    bool in_comment = false, between_words = true;
    while (text < end) {
        if (*text == '\0')
            return weir__gateway_fail(error, line, "text", "there is a NUL byte");
        in_comment = *text != '\n' && (in_comment || (between_words && *text == '#'));
        between_words = strchr(" \t\r\n", *text) != NULL;
        line += *text == '\n';
        if (!in_comment && *text == '$' && end - text > 1 && text[1] == '{') {
            text = config_variable(out, text, end, variables, line, error);
            if (text == NULL)
                return WEIR_EINVAL;
            continue;
        }
        weir__text_bytes(out, text++, 1);
    }
    weir__text_bytes(out, "", 1);
    return weir__text_ok(out) ? WEIR_OK : WEIR_ENOMEM;
}

int weir_gateway_config_parse(weir_gateway_config **out, const char *text, size_t size,
                              weir_gateway_variable_fn variable, void *user, const weir_env *env,
                              weir_gateway_error *error)
{
    *out = NULL;
    *error = (weir_gateway_error){.line = 0};
    weir_env loaded;
    if (weir__env_load(&loaded, env))
        return weir__gateway_fail(error, 0, "env", "is of an unknown version");
    weir_gateway_config *const config = weir__alloc(&loaded, sizeof *config);
    if (config == NULL)
        return WEIR_ENOMEM;
    config->env = loaded;
    config->globals = (weir__conf_globals){.max_header = 16384,
                                           .max_body = WEIR_HTTP_UNLIMITED,
                                           .idle_ms = 60000,
                                           .header_ms = 10000};
    weir__text_init(&config->values, &config->env);
    weir__text_init(&config->members, &config->env);
    weir__text_init(&config->member_lines, &config->env);
    config_variables const variables = {variable != NULL ? variable : config_getenv, user};
    weir__text expanded;
    weir__text_init(&expanded, &config->env);
    int result = config_expand(&expanded, text, size, &variables, error);
    config->text = expanded.data;
    config->text_size = expanded.capacity;
    if (result == WEIR_OK)
        result = config_read_lines(config, error);
    if (result == WEIR_OK)
        result = config_check(config, error);
    if (result == WEIR_OK)
        *out = config;
    else
        weir_gateway_config_destroy(config);
    return result;
}

void weir_gateway_config_destroy(weir_gateway_config *config)
{
    if (config == NULL)
        return;
    weir_env const env = config->env;
    weir__text_free(&config->values);
    weir__text_free(&config->members);
    weir__text_free(&config->member_lines);
    weir__free(&env, config->list, config->capacity * sizeof *config->list);
    weir__free(&env, config->services, config->service_capacity * sizeof *config->services);
    weir__free(&env, config->text, config->text_size);
    weir__free(&env, config, sizeof *config);
}
