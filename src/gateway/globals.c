/* The lines before the first service. */
#include "gateway/config.h"

#include <weir/admin.h>

#include "base/number.h"

#include <string.h>

static int globals_size(const weir__directive *directive, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *const word = weir__directive_word(directive);
    weir__number_error wrong;
    if (word == NULL)
        return WEIR_EINVAL;
    if (!weir__number_size(word, strlen(word), min, max, out, &wrong))
        return weir__complain(directive->complaint, directive->words[0],
                              "\"%s\": %s at character %zu", word, wrong.what, wrong.at + 1);
    return WEIR_OK;
}

static int globals_word(const weir__directive *directive, char **out)
{
    *out = weir__directive_word(directive);
    return *out != NULL ? WEIR_OK : WEIR_EINVAL;
}

static int globals_address(const weir__directive *directive, char **out)
{
    weir_address address;
    if (globals_word(directive, out))
        return WEIR_EINVAL;
    if (weir_address_parse(&address, *out) != WEIR_OK)
        return weir__complain(
            directive->complaint, directive->words[0],
            "\"%s\" is no address: expected IP:PORT, [IPv6]:PORT or localhost:PORT", *out);
    return WEIR_OK;
}

static int globals_proxy(const weir__directive *directive, weir__conf_globals *globals)
{
    return globals_address(directive, &globals->proxy);
}

static int globals_admin(const weir__directive *directive, weir__conf_globals *globals)
{
    return globals_address(directive, &globals->admin);
}

static int globals_token(const weir__directive *directive, weir__conf_globals *globals)
{
    if (globals_word(directive, &globals->token))
        return WEIR_EINVAL;
    bool good = strlen(globals->token) <= WEIR_ADMIN_MAX_TOKEN;
    for (const char *c = globals->token; *c != '\0'; c++)
        good = good && *c > ' ' && *c <= '~';
    return good ? WEIR_OK
                : weir__complain(directive->complaint, "token", "has 1 to 255 bytes of ASCII");
}

static int globals_data(const weir__directive *directive, weir__conf_globals *globals)
{
    return globals_word(directive, &globals->data);
}

/* A layer of the config center. */
static int globals_layer(const weir__directive *directive, char **out)
{
    if (globals_word(directive, out))
        return WEIR_EINVAL;
    if (strlen(*out) >= WEIR_CONFIG_LABEL_SIZE || strpbrk(*out, "@:${}") != NULL)
        return weir__complain(directive->complaint, directive->words[0],
                              "has 1 to 63 bytes, and none of @ : $ { }");
    return WEIR_OK;
}

static int globals_environment(const weir__directive *directive, weir__conf_globals *globals)
{
    return globals_layer(directive, &globals->environment);
}

static int globals_label(const weir__directive *directive, weir__conf_globals *globals)
{
    return globals_layer(directive, &globals->label);
}

static int globals_max_header(const weir__directive *directive, weir__conf_globals *globals)
{
    uint64_t size = 0;
    if (globals_size(directive, 256, 1048576, &size))
        return WEIR_EINVAL;
    globals->max_header = (uint32_t)size;
    return WEIR_OK;
}

static int globals_max_body(const weir__directive *directive, weir__conf_globals *globals)
{
    return globals_size(directive, 0, UINT64_C(1) << 60, &globals->max_body);
}

static int globals_idle_timeout(const weir__directive *directive, weir__conf_globals *globals)
{
    return weir__directive_ms(directive, &globals->idle_ms);
}

static int globals_header_timeout(const weir__directive *directive, weir__conf_globals *globals)
{
    return weir__directive_ms(directive, &globals->header_ms);
}

int weir__conf_global(weir__conf_line *line)
{
    static const struct {
        const char *name;
        int (*read)(const weir__directive *directive, weir__conf_globals *globals);
    } directives[] = {
        {"proxy", globals_proxy},
        {"admin", globals_admin},
        {"token", globals_token},
        {"data", globals_data},
        {"environment", globals_environment},
        {"label", globals_label},
        {"max_header", globals_max_header},
        {"max_body", globals_max_body},
        {"idle_timeout", globals_idle_timeout},
        {"header_timeout", globals_header_timeout},
    };
    weir_gateway_config *const config = line->config;
    const char *const name = line->directive.words[0];
    uint32_t i = 0;
    while (i < sizeof directives / sizeof directives[0] && strcmp(directives[i].name, name) != 0)
        i++;
    if (i == sizeof directives / sizeof directives[0])
        return WEIR_ENOTFOUND;
    if (config->service_count > 0)
        return weir__gateway_fail(line->error, line->number, name,
                                  "belongs before the first service");
    if ((config->seen >> i & 1) != 0)
        return weir__gateway_fail(line->error, line->number, name, "is given twice");
    config->seen |= UINT32_C(1) << i;
    return weir__conf_blame(line, directives[i].read(&line->directive, &config->globals));
}
