#include "gateway/extras.h"

#include <string.h>

#define EXTRAS_MAX_NAME 64 /* Of a header or cookie. */

const char *const weir__extras_names[WEIR__EXTRAS] = {"route", "hash", "sticky", "health",
                                                      "connect_timeout"};

void weir__extras_init(weir__extras *extras, const weir_env *env)
{
    *extras = (weir__extras){
        .env = env,
        .health = {.check = WEIR_HEALTH_CHECK_OPTIONS_INIT, .http = WEIR_PROBE_HTTP_OPTIONS_INIT},
        .connect_ms = 3000,
    };
}

void weir__extras_free(weir__extras *extras)
{
    for (size_t i = 0; i < WEIR__EXTRAS; i++)
        weir__free(extras->env, extras->texts[i], extras->sizes[i]);
}

static int extras_route(weir__directive *directive, weir__extras *extras)
{
    const char *const route = weir__directive_word(directive);
    if (route == NULL)
        return WEIR_EINVAL;
    size_t const size = strlen(route);
    if (route[0] != '/' || strpbrk(route, "?#") != NULL)
        return weir__complain(directive->complaint, "route",
                              "\"%s\": expected a path that begins with /", route);
    if (size > 1 && route[size - 1] == '/')
        return weir__complain(directive->complaint, "route", "\"%s\" must not end with /", route);
    extras->route = route;
    return WEIR_OK;
}

/* RFC 9110, 5.6.2: what names of headers and cookies are made of. */
static bool extras_is_token(const char *text)
{
    static const char special[] = "!#$%&'*+-.^_`|~";
    for (const char *c = text; *c != '\0'; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            strchr(special, *c) == NULL)
            return false;
    return text[0] != '\0' && strlen(text) <= EXTRAS_MAX_NAME;
}

static int extras_named(const weir__directive *directive, weir__key_source source,
                        weir__key_config *key)
{
    if (directive->count != 3 || !extras_is_token(directive->words[2]))
        return weir__complain(directive->complaint, directive->words[0],
                              "expected the name of a %s behind \"%s\"", directive->words[1],
                              directive->words[1]);
    *key = (weir__key_config){.source = source, .name = directive->words[2]};
    return WEIR_OK;
}

static int extras_hash(weir__directive *directive, weir__extras *extras)
{
    const char *const word = directive->count > 1 ? directive->words[1] : "";
    if (strcmp(word, "header") == 0)
        return extras_named(directive, WEIR__KEY_HEADER, &extras->key);
    if (strcmp(word, "cookie") == 0)
        return extras_named(directive, WEIR__KEY_COOKIE, &extras->key);
    bool const source = strcmp(word, "source") == 0;
    if (directive->count != 2 || (!source && strcmp(word, "path") != 0))
        return weir__complain(directive->complaint, "hash",
                              "expected header NAME, cookie NAME, source or path");
    extras->key.source = source ? WEIR__KEY_ADDRESS : WEIR__KEY_PATH;
    return WEIR_OK;
}

static int extras_sticky(weir__directive *directive, weir__extras *extras)
{
    const char *const word = directive->count > 1 ? directive->words[1] : "";
    if (strcmp(word, "header") == 0)
        return extras_named(directive, WEIR__KEY_HEADER, &extras->sticky);
    if (strcmp(word, "cookie") == 0)
        return extras_named(directive, WEIR__KEY_COOKIE, &extras->sticky);
    return weir__complain(directive->complaint, "sticky", "expected cookie NAME or header NAME");
}

static int extras_connect_timeout(weir__directive *directive, weir__extras *extras)
{
    return weir__directive_ms(directive, &extras->connect_ms);
}

int weir__extras_take(weir__extras *extras, const char *name, weir_bytes value,
                      weir__complaint *complaint)
{
    static int (*const readers[WEIR__EXTRAS])(weir__directive * directive,
                                              weir__extras * extras) = {extras_route, extras_hash,
                                                                        extras_sticky,
                                                                        weir__extras_health,
                                                                        extras_connect_timeout};
    weir__directive directive = {.complaint = complaint};
    size_t i = 0;
    while (i < WEIR__EXTRAS && strcmp(weir__extras_names[i], name) != 0)
        i++;
    if (i == WEIR__EXTRAS)
        return WEIR_ENOTFOUND;
    if (value.size > WEIR__EXTRAS_SIZE)
        return weir__complain(complaint, name, "is too long");
    extras->sizes[i] = strlen(name) + value.size + 2;
    extras->texts[i] = weir__alloc(extras->env, extras->sizes[i]);
    if (extras->texts[i] == NULL)
        return WEIR_ENOMEM;
    int const result =
        weir__directive_build(&directive, name, value.data, value.size, extras->texts[i]);
    return result == WEIR_OK ? readers[i](&directive, extras) : result;
}
