#include <weir/gateway.h>

#include "base/number.h"
#include "gateway/affinity.h"
#include "gateway/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_DAY_NS (UINT64_C(86400) * WEIR__NS_PER_S)

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

char *weir__config_word(const weir__config_line *line)
{
    if (line->count == 2)
        return line->words[1];
    (void)weir__gateway_fail(line->error, line->number, line->words[0],
                             "takes one value, and got %zu", line->count - 1);
    return NULL;
}

int weir__config_ms(const weir__config_line *line, uint32_t *out_ms)
{
    const char *const word = weir__config_word(line);
    uint64_t ns = 0;
    weir__number_error wrong;
    if (word == NULL)
        return WEIR_EINVAL;
    if (!weir__number_duration(word, strlen(word), WEIR__NS_PER_MS, CONFIG_DAY_NS, &ns, &wrong))
        return weir__gateway_fail(line->error, line->number, line->words[0],
                                  "\"%s\": %s at character %zu", word, wrong.what, wrong.at + 1);
    *out_ms = (uint32_t)(ns / WEIR__NS_PER_MS);
    return WEIR_OK;
}

int weir__config_address(const weir__config_line *line, const char *field, const char *text,
                         uint16_t min_port)
{
    weir_address address;
    if (weir_address_parse(&address, text) != WEIR_OK)
        return weir__gateway_fail(
            line->error, line->number, field,
            "\"%s\" is no address: expected IP:PORT, [IPv6]:PORT or localhost:PORT", text);
    if (address.port < min_port)
        return weir__gateway_fail(line->error, line->number, field,
                                  "\"%s\" has no port that can be called", text);
    return WEIR_OK;
}

bool weir__config_repeats(const weir__config_line *line, uint32_t *seen, uint32_t bit)
{
    bool const repeats = (*seen >> bit & 1) != 0;
    if (repeats)
        (void)weir__gateway_fail(line->error, line->number, line->words[0], "is given twice");
    *seen |= UINT32_C(1) << bit;
    return repeats;
}

static int config_size(const weir__config_line *line, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *const word = weir__config_word(line);
    weir__number_error wrong;
    if (word == NULL)
        return WEIR_EINVAL;
    if (!weir__number_size(word, strlen(word), min, max, out, &wrong))
        return weir__gateway_fail(line->error, line->number, line->words[0],
                                  "\"%s\": %s at character %zu", word, wrong.what, wrong.at + 1);
    return WEIR_OK;
}

static int config_listen(weir__config_line *line, char **out)
{
    char *const word = weir__config_word(line);
    if (word == NULL || weir__config_address(line, line->words[0], word, 0))
        return WEIR_EINVAL;
    *out = word;
    return WEIR_OK;
}

static int config_max_header(weir__config_line *line)
{
    uint64_t size = 0;
    if (config_size(line, 256, 1048576, &size))
        return WEIR_EINVAL;
    line->config->max_header = (uint32_t)size;
    return WEIR_OK;
}

static int config_proxy(weir__config_line *line)
{
    return config_listen(line, &line->config->proxy);
}

static int config_admin(weir__config_line *line)
{
    return config_listen(line, &line->config->admin);
}

static int config_max_body(weir__config_line *line)
{
    return config_size(line, 0, UINT64_C(1) << 60, &line->config->max_body);
}

static int config_idle_timeout(weir__config_line *line)
{
    return weir__config_ms(line, &line->config->idle_ms);
}

static int config_header_timeout(weir__config_line *line)
{
    return weir__config_ms(line, &line->config->header_ms);
}

static int config_global_line(weir__config_line *line)
{
    static const struct {
        const char *name;
        int (*read)(weir__config_line *line);
    } directives[] = {
        {"proxy", config_proxy},
        {"admin", config_admin},
        {"max_header", config_max_header},
        {"max_body", config_max_body},
        {"idle_timeout", config_idle_timeout},
        {"header_timeout", config_header_timeout},
    };
    for (uint32_t i = 0; i < sizeof directives / sizeof directives[0]; i++)
        if (strcmp(line->words[0], directives[i].name) == 0) {
            if (line->config->service_count > 0)
                return weir__gateway_fail(line->error, line->number, line->words[0],
                                          "belongs before the first service");
            return weir__config_repeats(line, &line->config->seen, i) ? WEIR_EINVAL
                                                                      : directives[i].read(line);
        }
    return WEIR_ENOTFOUND;
}

static int config_add_service(weir__config_line *line)
{
    weir_gateway_config *const config = line->config;
    char *const name = weir__config_word(line);
    if (name == NULL)
        return WEIR_EINVAL;
    for (size_t i = 0; i < config->service_count; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return weir__gateway_fail(line->error, line->number, "service",
                                      "\"%s\" is defined in line %u already", name,
                                      config->services[i].line);
    if (config->service_count == config->service_capacity) {
        size_t const capacity = config->service_capacity * 2 + 4;
        weir__service_config *const services =
            weir__resize(&config->env, config->services,
                         config->service_capacity * sizeof *services, capacity * sizeof *services);
        if (services == NULL)
            return WEIR_ENOMEM;
        config->services = services;
        config->service_capacity = capacity;
    }
    config->services[config->service_count++] = (weir__service_config){
        .name = name,
        .balancer = WEIR_BALANCER_OPTIONS_INIT,
        .outlier = WEIR_OUTLIER_OPTIONS_INIT,
        .limiter = WEIR_LIMITER_OPTIONS_INIT,
        .breaker = WEIR_BREAKER_OPTIONS_INIT,
        .retry = WEIR_RETRY_OPTIONS_INIT,
        .health = {.check = WEIR_HEALTH_CHECK_OPTIONS_INIT, .http = WEIR_PROBE_HTTP_OPTIONS_INIT},
        .guarded = true,
        .timeout_ns = 15 * WEIR__NS_PER_S,
        .attempt_timeout_ns = WEIR_NEVER,
        .connect_ms = 3000,
        .line = line->number,
    };
    return WEIR_OK;
}

static int config_line(weir__config_line *line)
{
    weir_gateway_config *const config = line->config;
    if (strcmp(line->words[0], "service") == 0)
        return config_add_service(line);
    int result = config_global_line(line);
    if (result == WEIR_ENOTFOUND && config->service_count > 0)
        result = weir__config_service_line(line, &config->services[config->service_count - 1]);
    if (result == WEIR_ENOTFOUND)
        return weir__gateway_fail(line->error, line->number, line->words[0],
                                  "there is no such directive here");
    return result;
}

/* Cuts the line into words, in place. */
static int config_split(weir__config_line *line, char *text)
{
    char *rest = NULL;
    line->count = 0;
    for (char *word = strtok_r(text, " \t\r", &rest); word != NULL && word[0] != '#';
         word = strtok_r(NULL, " \t\r", &rest)) {
        if (line->count == WEIR__CONFIG_WORDS)
            return weir__gateway_fail(line->error, line->number, line->words[0],
                                      "has more than %d words", WEIR__CONFIG_WORDS);
        line->words[line->count++] = word;
    }
    return WEIR_OK;
}

static int config_read_lines(weir_gateway_config *config, weir_gateway_error *error)
{
    weir__config_line line = {.config = config, .error = error};
    char *next = config->text;
    while (next != NULL) {
        char *const text = next;
        next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        line.number++;
        int result = config_split(&line, text);
        if (result == WEIR_OK && line.count > 0)
            result = config_line(&line);
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

static int config_check_service(const weir_gateway_config *config, size_t index,
                                weir_gateway_error *error)
{
    const weir__service_config *const service = &config->services[index];
    if (service->route == NULL)
        return weir__gateway_fail(error, service->line, "service", "\"%s\" has no route",
                                  service->name);
    if (service->member_count == 0)
        return weir__gateway_fail(error, service->line, "service", "\"%s\" has no member",
                                  service->name);
    for (size_t i = 0; i < service->member_count; i++)
        if (service->sticky.source != WEIR__KEY_NONE &&
            !weir__affinity_fits(service->members[i].id))
            return weir__gateway_fail(error, service->line, "sticky",
                                      "member \"%.40s\" cannot be the value of a cookie",
                                      service->members[i].id);
    for (size_t i = 0; i < index; i++)
        if (strcmp(config->services[i].route, service->route) == 0)
            return weir__gateway_fail(error, service->line, "route",
                                      "\"%s\" is the route of \"%s\" already", service->route,
                                      config->services[i].name);
    return WEIR_OK;
}

static int config_check(const weir_gateway_config *config, weir_gateway_error *error)
{
    if (config->proxy == NULL)
        return weir__gateway_fail(error, 0, "proxy", "is missing");
    if (config->admin == NULL)
        return weir__gateway_fail(error, 0, "admin", "is missing");
    if (config->service_count == 0)
        return weir__gateway_fail(error, 0, "service", "there is none");
    for (size_t i = 0; i < config->service_count; i++)
        if (config_check_service(config, i, error))
            return WEIR_EINVAL;
    return WEIR_OK;
}

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
    config->max_header = 16384;
    config->max_body = WEIR_HTTP_UNLIMITED;
    config->idle_ms = 60000;
    config->header_ms = 10000;
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
    for (size_t i = 0; i < config->service_count; i++)
        weir__free(&env, config->services[i].members,
                   config->services[i].member_capacity * sizeof *config->services[i].members);
    weir__free(&env, config->services, config->service_capacity * sizeof *config->services);
    weir__free(&env, config->text, config->text_size);
    weir__free(&env, config, sizeof *config);
}
