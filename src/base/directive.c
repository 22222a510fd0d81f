#include "base/directive.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DIRECTIVE_DAY_NS (UINT64_C(86400) * WEIR__NS_PER_S)

int weir__complain(weir__complaint *complaint, const char *field, const char *format, ...)
{
    va_list args;
    (void)snprintf(complaint->field, sizeof complaint->field, "%s", field);
    va_start(args, format);
    (void)vsnprintf(complaint->message, sizeof complaint->message, format, args);
    va_end(args);
    return WEIR_EINVAL;
}

/* ---- Words ---- */

int weir__directive_split(weir__directive *directive, char *text)
{
    char *rest = NULL;
    directive->count = 0;
    for (char *word = strtok_r(text, " \t\r", &rest); word != NULL && word[0] != '#';
         word = strtok_r(NULL, " \t\r", &rest)) {
        if (directive->count == WEIR__DIRECTIVE_WORDS)
            return weir__complain(directive->complaint, directive->words[0],
                                  "has more than %d words", WEIR__DIRECTIVE_WORDS);
        directive->words[directive->count++] = word;
    }
    return WEIR_OK;
}

int weir__directive_build(weir__directive *directive, const char *name, const void *value,
                          size_t size, char *room)
{
    size_t const name_size = strlen(name);
    if (size > 0 && (memchr(value, '\n', size) != NULL || memchr(value, '\0', size) != NULL))
        return weir__complain(directive->complaint, name, "is more than one line of text");
    memcpy(room, name, name_size);
    room[name_size] = ' ';
    if (size > 0)
        memcpy(room + name_size + 1, value, size);
    room[name_size + 1 + size] = '\0';
    return weir__directive_split(directive, room);
}

bool weir__directive_is_off(const weir__directive *directive)
{
    return directive->count == 2 && strcmp(directive->words[1], "off") == 0;
}

char *weir__directive_word(const weir__directive *directive)
{
    if (directive->count == 2)
        return directive->words[1];
    (void)weir__complain(directive->complaint, directive->words[0], "takes one value, and got %zu",
                         directive->count - 1);
    return NULL;
}

weir__option weir__directive_value(const weir__directive *directive, size_t at)
{
    return (weir__option){.directive = directive,
                          .name = directive->words[0],
                          .value = at < directive->count ? directive->words[at] : "",
                          .name_size = 0};
}

int weir__directive_ms(const weir__directive *directive, uint32_t *out_ms)
{
    if (weir__directive_word(directive) == NULL)
        return WEIR_EINVAL;
    weir__option const value = weir__directive_value(directive, 1);
    return weir__option_ms(&value, out_ms);
}

/* ---- Options ---- */

static bool directive_repeats(const weir__directive *directive, size_t first, size_t at,
                              const weir__option *option)
{
    for (size_t i = first; i < at; i++)
        if (strncmp(directive->words[i], option->name, option->name_size) == 0 &&
            strcspn(directive->words[i], "=") == option->name_size)
            return true;
    return false;
}

int weir__directive_options(const weir__directive *directive, size_t first, weir__option_fn take,
                            void *out)
{
    for (size_t i = first; i < directive->count; i++) {
        char *const word = directive->words[i];
        const char *const equals = strchr(word, '=');
        weir__option const option = {
            .directive = directive,
            .name = word,
            .value = equals != NULL ? equals + 1 : "",
            .name_size = equals != NULL ? (size_t)(equals - word) : strlen(word),
        };
        if (directive_repeats(directive, first, i, &option))
            return weir__option_fail(&option, "is given twice");
        int const result = take(&option, out);
        if (result == WEIR_ENOTFOUND)
            return weir__option_fail(&option, "there is no such option");
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

bool weir__option_is(const weir__option *option, const char *name)
{
    return strlen(name) == option->name_size && memcmp(option->name, name, option->name_size) == 0;
}

int weir__option_fail(const weir__option *option, const char *what)
{
    char field[64];
    (void)snprintf(field, sizeof field, "%s%s%.*s", option->directive->words[0],
                   option->name_size > 0 ? "." : "", (int)option->name_size, option->name);
    return weir__complain(option->directive->complaint, field, "%s", what);
}

static int option_fail_number(const weir__option *option, const weir__number_error *wrong)
{
    char what[128];
    (void)snprintf(what, sizeof what, "\"%.60s\": %s at character %zu", option->value, wrong->what,
                   wrong->at + 1);
    return weir__option_fail(option, what);
}

int weir__option_u64(const weir__option *option, uint64_t min, uint64_t max, uint64_t *out)
{
    weir__number_error wrong;
    if (!weir__number_u64(option->value, strlen(option->value), min, max, out, &wrong))
        return option_fail_number(option, &wrong);
    return WEIR_OK;
}

int weir__option_u32(const weir__option *option, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    int const result = weir__option_u64(option, min, max, &value);
    if (result == WEIR_OK)
        *out = (uint32_t)value;
    return result;
}

int weir__option_ns(const weir__option *option, uint64_t min_ns, uint64_t *out_ns)
{
    weir__number_error wrong;
    if (!weir__number_duration(option->value, strlen(option->value), min_ns, DIRECTIVE_DAY_NS,
                               out_ns, &wrong))
        return option_fail_number(option, &wrong);
    return WEIR_OK;
}

int weir__option_ms(const weir__option *option, uint32_t *out_ms)
{
    uint64_t ns = 0;
    int const result = weir__option_ns(option, WEIR__NS_PER_MS, &ns);
    if (result == WEIR_OK)
        *out_ms = (uint32_t)(ns / WEIR__NS_PER_MS);
    return result;
}

int weir__option_percent(const weir__option *option, uint32_t *out)
{
    uint32_t milli = 0;
    weir__number_error wrong;
    if (!weir__number_percent(option->value, strlen(option->value), &milli, &wrong))
        return option_fail_number(option, &wrong);
    if (milli % 1000 != 0 || milli == 0)
        return weir__option_fail(option, "expected a whole percentage, 1% to 100%");
    *out = milli / 1000;
    return WEIR_OK;
}

int weir__option_percentage(const weir__option *option, uint32_t min, uint32_t max, uint32_t *out)
{
    size_t const size = strlen(option->value);
    uint64_t value = 0;
    weir__number_error wrong = {.what = "expected %", .at = size};
    if (size == 0 || option->value[size - 1] != '%' ||
        !weir__number_u64(option->value, size - 1, min, max, &value, &wrong))
        return option_fail_number(option, &wrong);
    *out = (uint32_t)value;
    return WEIR_OK;
}

int weir__option_bare(const weir__option *option, bool *out)
{
    if (option->value[0] != '\0' || option->name[option->name_size] == '=')
        return weir__option_fail(option, "takes no value: write it, or leave it out");
    *out = true;
    return WEIR_OK;
}
