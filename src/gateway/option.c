#include "gateway/option.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

#define OPTION_DAY_NS (UINT64_C(86400) * WEIR__NS_PER_S)

bool weir__option_is(const weir__config_option *option, const char *name)
{
    return strlen(name) == option->name_size && memcmp(option->name, name, option->name_size) == 0;
}

int weir__option_fail(const weir__config_option *option, const char *what)
{
    char field[64];
    (void)snprintf(field, sizeof field, "%s%s%.*s", option->line->words[0],
                   option->name_size > 0 ? "." : "", (int)option->name_size, option->name);
    return weir__gateway_fail(option->line->error, option->line->number, field, "%s", what);
}

static int option_fail_number(const weir__config_option *option, const weir__number_error *wrong)
{
    char what[128];
    (void)snprintf(what, sizeof what, "\"%.60s\": %s at character %zu", option->value, wrong->what,
                   wrong->at + 1);
    return weir__option_fail(option, what);
}

int weir__option_u32(const weir__config_option *option, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    weir__number_error wrong;
    if (!weir__number_u64(option->value, strlen(option->value), min, max, &value, &wrong))
        return option_fail_number(option, &wrong);
    *out = (uint32_t)value;
    return WEIR_OK;
}

int weir__option_u64(const weir__config_option *option, uint64_t min, uint64_t max, uint64_t *out)
{
    weir__number_error wrong;
    if (!weir__number_u64(option->value, strlen(option->value), min, max, out, &wrong))
        return option_fail_number(option, &wrong);
    return WEIR_OK;
}

int weir__option_ns(const weir__config_option *option, uint64_t min_ns, uint64_t *out_ns)
{
    weir__number_error wrong;
    if (!weir__number_duration(option->value, strlen(option->value), min_ns, OPTION_DAY_NS, out_ns,
                               &wrong))
        return option_fail_number(option, &wrong);
    return WEIR_OK;
}

int weir__option_ms(const weir__config_option *option, uint32_t *out_ms)
{
    uint64_t ns = 0;
    int const result = weir__option_ns(option, WEIR__NS_PER_MS, &ns);
    if (result == WEIR_OK)
        *out_ms = (uint32_t)(ns / WEIR__NS_PER_MS);
    return result;
}

int weir__option_percent(const weir__config_option *option, uint32_t *out)
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

int weir__option_percentage(const weir__config_option *option, uint32_t min, uint32_t max,
                            uint32_t *out)
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

int weir__option_bare(const weir__config_option *option, bool *out)
{
    if (option->value[0] != '\0' || option->name[option->name_size] == '=')
        return weir__option_fail(option, "takes no value: write it, or leave it out");
    *out = true;
    return WEIR_OK;
}

static bool option_repeats(const weir__config_line *line, size_t first, size_t at,
                           const weir__config_option *option)
{
    for (size_t i = first; i < at; i++)
        if (strncmp(line->words[i], option->name, option->name_size) == 0 &&
            strcspn(line->words[i], "=") == option->name_size)
            return true;
    return false;
}

/* Each "name=value" (or bare "name": an empty value) from the given word on, through `take`. */
int weir__config_each_option(const weir__config_line *line, size_t first,
                             int (*take)(const weir__config_option *option,
                                         weir__service_config *service),
                             weir__service_config *service)
{
    for (size_t i = first; i < line->count; i++) {
        char *const word = line->words[i];
        const char *const equals = strchr(word, '=');
        weir__config_option const option = {
            .line = line,
            .name = word,
            .value = equals != NULL ? equals + 1 : "",
            .name_size = equals != NULL ? (size_t)(equals - word) : strlen(word),
        };
        if (option_repeats(line, first, i, &option))
            return weir__option_fail(&option, "is given twice");
        int const result = take(&option, service);
        if (result == WEIR_ENOTFOUND)
            return weir__option_fail(&option, "there is no such option");
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

bool weir__config_is_off(const weir__config_line *line)
{
    return line->count == 2 && strcmp(line->words[1], "off") == 0;
}
