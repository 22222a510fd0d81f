/* A service and its lines. */
#include "gateway/affinity.h"
#include "gateway/config.h"
#include "gateway/extras.h"

#include <string.h>

/* ---- Values ---- */

/* What the words behind the name say, with a blank between them. */
static void lines_join(weir__text *out, const weir__directive *directive)
{
    for (size_t i = 1; i < directive->count; i++) {
        if (i > 1)
            weir__text_bytes(out, " ", 1);
        weir__text_str(out, directive->words[i]);
    }
}

/* The rest of `values`, from `at` on, is the value. */
static int lines_add(weir_gateway_config *config, const char *name, size_t at, uint32_t line)
{
    if (config->count == config->capacity) {
        size_t const capacity = config->capacity * 2 + 16;
        weir__conf_value *const list =
            weir__resize(&config->env, config->list, config->capacity * sizeof *list,
                         capacity * sizeof *list);
        if (list == NULL)
            return WEIR_ENOMEM;
        config->list = list;
        config->capacity = capacity;
    }
    if (!weir__text_ok(&config->values))
        return WEIR_ENOMEM;
    config->list[config->count++] = (weir__conf_value){.name = name,
                                                       .service = config->service_count - 1,
                                                       .at = at,
                                                       .size = config->values.size - at,
                                                       .line = line};
    return WEIR_OK;
}

static bool lines_repeat(const weir_gateway_config *config, const char *name)
{
    for (size_t i = config->count; i > 0; i--) {
        const weir__conf_value *const value = &config->list[i - 1];
        if (value->service + 1 != config->service_count)
            return false;
        if (strcmp(value->name, name) == 0)
            return true;
    }
    return false;
}

/* ---- Members ---- */

static int lines_check_address(weir__conf_line *line, const char *text)
{
    weir_address address;
    if (weir_address_parse(&address, text) != WEIR_OK)
        return weir__gateway_fail(
            line->error, line->number, "member",
            "\"%s\" is no address: expected IP:PORT, [IPv6]:PORT or localhost:PORT", text);
    if (address.port == 0)
        return weir__gateway_fail(line->error, line->number, "member",
                                  "\"%s\" has no port that can be called", text);
    return WEIR_OK;
}

static int lines_member(weir__conf_line *line)
{
    weir_gateway_config *const config = line->config;
    if (line->directive.count > 2 && lines_check_address(line, line->directive.words[2]))
        return WEIR_EINVAL;
    if (config->members.size > 0)
        weir__text_bytes(&config->members, "\n", 1);
    if (line->directive.count == 1)
        return weir__gateway_fail(line->error, line->number, "member",
                                  "expected an id and an address");
    lines_join(&config->members, &line->directive);
    weir__text_bytes(&config->member_lines, &line->number, sizeof line->number);
    return weir__text_ok(&config->members) && weir__text_ok(&config->member_lines) ? WEIR_OK
                                                                                   : WEIR_ENOMEM;
}

/* The file's line that has this line of the members. */
static uint32_t lines_of_member(const weir_gateway_config *config, uint32_t line)
{
    uint32_t number = 0;
    size_t const at = (size_t)(line > 0 ? line - 1 : 0) * sizeof number;
    memcpy(&number, config->member_lines.data + at, sizeof number);
    return number;
}

static int lines_end_members(weir_gateway_config *config, weir_gateway_error *error)
{
    size_t const at = config->values.size;
    if (config->members.size == 0)
        return WEIR_OK;
    weir_bytes const value = {config->members.data, config->members.size};
    weir_mesh_error wrong;
    int result = weir_mesh_check("members", value, &config->env, &wrong);
    if (result == WEIR_EINVAL)
        return weir__gateway_fail(error, lines_of_member(config, wrong.line), wrong.field, "%s",
                                  wrong.message);
    weir__text_bytes(&config->values, value.data, value.size);
    if (result == WEIR_OK)
        result = lines_add(config, "members", at, lines_of_member(config, 1));
    return result;
}

static int lines_check_sticky(const weir_gateway_config *config, weir_gateway_error *error)
{
    const weir__conf_service *const service = &config->services[config->service_count - 1];
    char id[256];
    for (const char *line = config->members.data; service->sticky && line != NULL;) {
        size_t const size = strcspn(line, " ");
        if (size < sizeof id) {
            memcpy(id, line, size);
            id[size] = '\0';
        }
        if (size >= sizeof id || !weir__affinity_fits(id))
            return weir__gateway_fail(error, service->line, "sticky",
                                      "member \"%.*s\" cannot be the value of a cookie",
                                      size < 40 ? (int)size : 40, line);
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return WEIR_OK;
}

/* ---- Services ---- */

static int lines_end(weir_gateway_config *config, weir_gateway_error *error)
{
    if (config->service_count == 0)
        return WEIR_OK;
    const weir__conf_service *const service = &config->services[config->service_count - 1];
    int result = lines_end_members(config, error);
    if (result == WEIR_OK)
        result = lines_check_sticky(config, error);
    weir__text_clear(&config->members);
    weir__text_clear(&config->member_lines);
    if (result == WEIR_OK && service->route == NULL)
        result = weir__gateway_fail(error, service->line, "service", "\"%s\" has no route",
                                    service->name);
    return result;
}

int weir__conf_service_end(weir_gateway_config *config, weir_gateway_error *error)
{
    return lines_end(config, error);
}

static int lines_check_name(weir__conf_line *line, const char *name)
{
    const weir_gateway_config *const config = line->config;
    if (strlen(name) > WEIR_MESH_MAX_NAME || strpbrk(name, "/@:${}") != NULL ||
        strcmp(name, "_") == 0)
        return weir__gateway_fail(line->error, line->number, "service",
                                  "\"%.40s\": has 1 to 255 bytes, none of / @ : $ { }, and is not "
                                  "_",
                                  name);
    for (size_t i = 0; i < config->service_count; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return weir__gateway_fail(line->error, line->number, "service",
                                      "\"%s\" is defined in line %u already", name,
                                      config->services[i].line);
    return WEIR_OK;
}

int weir__conf_service_new(weir__conf_line *line)
{
    weir_gateway_config *const config = line->config;
    char *const name = weir__directive_word(&line->directive);
    if (name == NULL)
        return weir__conf_blame(line, WEIR_EINVAL);
    int const result = lines_check_name(line, name);
    if (result != WEIR_OK)
        return result;
    int const ended = lines_end(config, line->error);
    if (ended != WEIR_OK)
        return ended;
    if (config->service_count == config->service_capacity) {
        size_t const capacity = config->service_capacity * 2 + 4;
        weir__conf_service *const services =
            weir__resize(&config->env, config->services,
                         config->service_capacity * sizeof *services, capacity * sizeof *services);
        if (services == NULL)
            return WEIR_ENOMEM;
        config->services = services;
        config->service_capacity = capacity;
    }
    config->services[config->service_count++] =
        (weir__conf_service){.name = name, .line = line->number};
    return WEIR_OK;
}

/* Of the gateway's own directives: what another service must not have, or members must fit. */
static int lines_note(weir__conf_line *line)
{
    weir_gateway_config *const config = line->config;
    weir__conf_service *const service = &config->services[config->service_count - 1];
    const char *const name = line->directive.words[0];
    if (strcmp(name, "sticky") == 0)
        service->sticky = true;
    if (strcmp(name, "route") != 0)
        return WEIR_OK;
    service->route = line->directive.words[1];
    for (size_t i = 0; i + 1 < config->service_count; i++)
        if (strcmp(config->services[i].route, service->route) == 0)
            return weir__gateway_fail(line->error, service->line, "route",
                                      "\"%s\" is the route of \"%s\" already", service->route,
                                      config->services[i].name);
    return WEIR_OK;
}

static int lines_check(weir__conf_line *line, const char *name, weir_bytes value)
{
    weir_mesh_error wrong;
    int result = weir_mesh_check(name, value, &line->config->env, &wrong);
    if (result == WEIR_EINVAL)
        return weir__gateway_fail(line->error, line->number, wrong.field, "%s", wrong.message);
    if (result != WEIR_ENOTFOUND)
        return result;
    weir__extras extras;
    weir__extras_init(&extras, &line->config->env);
    result = weir__conf_blame(line, weir__extras_take(&extras, name, value, &line->complaint));
    weir__extras_free(&extras);
    return result == WEIR_OK ? lines_note(line) : result;
}

int weir__conf_service_line(weir__conf_line *line)
{
    weir_gateway_config *const config = line->config;
    const char *const name = line->directive.words[0];
    size_t const at = config->values.size;
    if (strcmp(name, "member") == 0)
        return lines_member(line);
    if (strcmp(name, "members") == 0)
        return WEIR_ENOTFOUND; /* In the config center alone. */
    if (lines_repeat(config, name))
        return weir__gateway_fail(line->error, line->number, name, "is given twice");
    lines_join(&config->values, &line->directive);
    if (!weir__text_ok(&config->values))
        return WEIR_ENOMEM;
    weir_bytes const value = {config->values.data != NULL ? config->values.data + at : "",
                              config->values.size - at};
    int const result = lines_check(line, name, value);
    return result == WEIR_OK ? lines_add(config, name, at, line->number) : result;
}
