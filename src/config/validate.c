#include "config/config.h"

#include "base/json.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VALIDATE_CHOICES 64
#define VALIDATE_REASON  128

/* After a "**", anything; after a '*', all but '/': where to begin anew when it was too short. */
typedef struct match_star {
    const char *pattern, *name;
} match_star;

bool weir_config_match(const char *pattern, const char *name)
{
    match_star one = {NULL, NULL};
    match_star any = {NULL, NULL};
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            pattern += 2;
            any = (match_star){pattern, name};
            one.pattern = NULL;
        } else if (*pattern == '*') {
            one = (match_star){++pattern, name};
        } else if (*name == '\0' && *pattern == '\0') {
            return true;
        } else if (*name != '\0' && (*pattern == *name || (*pattern == '?' && *name != '/'))) {
            pattern++;
            name++;
        } else if (one.pattern != NULL && *one.name != '\0' && *one.name != '/') {
            pattern = one.pattern;
            name = ++one.name;
        } else if (any.pattern != NULL && *any.name != '\0') {
            pattern = any.pattern;
            name = ++any.name;
            one.pattern = NULL;
        } else {
            return false;
        }
    }
}

static bool validate_integer(const weir_config_validator *v, weir_bytes value, char *reason)
{
    weir__number_error error;
    const char *const text = value.data;
    bool const negative = value.size > 0 && text[0] == '-';
    uint64_t magnitude;
    bool const whole =
        weir__number_u64(text + negative, value.size - negative, 0, INT64_MAX, &magnitude, &error);
    int64_t const number = whole ? (negative ? -(int64_t)magnitude : (int64_t)magnitude) : 0;
    if (whole && number >= v->min && number <= v->max)
        return true;
    (void)snprintf(reason, VALIDATE_REASON, "not an integer from %" PRId64 " to %" PRId64, v->min,
                   v->max);
    return false;
}

static bool validate_duration(const weir_config_validator *v, weir_bytes value, char *reason)
{
    weir__number_error error;
    uint64_t ns;
    if (weir__number_duration(value.data, value.size, (uint64_t)v->min, (uint64_t)v->max, &ns,
                              &error))
        return true;
    (void)snprintf(reason, VALIDATE_REASON,
                   "not a duration from %" PRId64 " ns to %" PRId64 " ns: %s", v->min, v->max,
                   error.what);
    return false;
}

static bool validate_choice(const weir_config_validator *v, weir_bytes value, char *reason)
{
    size_t used = 0;
    reason[0] = '\0';
    for (size_t i = 0; i < v->choice_count; i++) {
        if (weir__config_same(value, v->choices[i]))
            return true;
        int const wrote = used < VALIDATE_REASON
                              ? snprintf(reason + used, VALIDATE_REASON - used, "%s%s",
                                         i == 0 ? "not one of " : ", ", v->choices[i])
                              : 0;
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return false;
}

/* regexec() wants a NUL at the end, which the value does not have. */
static int validate_regex(const weir_config *config, const weir__config_validator *validator,
                          weir_bytes value, char *reason)
{
    if (value.size > 0 && memchr(value.data, '\0', value.size) != NULL) {
        (void)snprintf(reason, VALIDATE_REASON, "a NUL, where a regular expression is to match");
        return WEIR_EINVAL;
    }
    weir__text text;
    weir__text_init(&text, &config->env);
    weir__text_bytes(&text, value.data, value.size);
    int code = WEIR_ENOMEM;
    if (weir__text_ok(&text))
        code = regexec(&validator->regex, text.data, 0, NULL, 0) == 0 ? WEIR_OK : WEIR_EINVAL;
    weir__text_free(&text);
    if (code == WEIR_EINVAL)
        (void)snprintf(reason, VALIDATE_REASON, "does not match %s", validator->v.regex);
    return code;
}

static bool validate_json(weir_bytes value, char *reason)
{
    weir__json json;
    weir__json_begin(&json, value.data, value.size);
    if (weir__json_skip(&json) && weir__json_end(&json))
        return true;
    (void)snprintf(reason, VALIDATE_REASON, "not JSON: %s, line %zu, byte %zu", json.error,
                   weir__json_line(&json), json.error_at);
    return false;
}

static int validate_one(const weir_config *config, const weir__config_validator *validator,
                        const char *name, weir_bytes value, char *reason)
{
    const weir_config_validator *const v = &validator->v;
    bool good = false;
    switch (v->check) {
    case WEIR_CONFIG_CHECK_INTEGER: good = validate_integer(v, value, reason); break;
    case WEIR_CONFIG_CHECK_DURATION: good = validate_duration(v, value, reason); break;
    case WEIR_CONFIG_CHECK_CHOICE: good = validate_choice(v, value, reason); break;
    case WEIR_CONFIG_CHECK_REGEX: return validate_regex(config, validator, value, reason);
    case WEIR_CONFIG_CHECK_JSON: good = validate_json(value, reason); break;
    case WEIR_CONFIG_CHECK_CUSTOM: good = v->fn(name, value, reason, v->user); break;
    }
    reason[VALIDATE_REASON - 1] = '\0';
    if (good)
        return WEIR_OK;
    return reason[0] != '\0' ? WEIR_EINVAL : WEIR_ENOMEM;
}

int weir__config_validate(weir_config *config, const char *name, weir_bytes value,
                          weir_config_error *error)
{
    for (const weir__config_validator *v = config->validators; v != NULL; v = v->next) {
        char reason[VALIDATE_REASON] = "refused";
        if (!weir_config_match(v->v.pattern, name))
            continue;
        int const code = validate_one(config, v, name, value, reason);
        if (code != WEIR_OK)
            return weir__config_refuse(error, code, name,
                                       code == WEIR_ENOMEM ? weir_strerror(code) : reason);
    }
    return WEIR_OK;
}

/* ---- Adding ---- */

static const char *validate_complaint(const weir_config_validator *v)
{
    if (v->pattern == NULL)
        return "no pattern";
    switch (v->check) {
    case WEIR_CONFIG_CHECK_INTEGER: return v->min > v->max ? "an empty range" : NULL;
    case WEIR_CONFIG_CHECK_DURATION:
        return v->min > v->max || v->min < 0 ? "an empty range, or one below 0" : NULL;
    case WEIR_CONFIG_CHECK_CHOICE:
        if (v->choices == NULL || v->choice_count == 0 || v->choice_count > VALIDATE_CHOICES)
            return "not 1 to 64 choices";
        for (size_t i = 0; i < v->choice_count; i++)
            if (v->choices[i] == NULL)
                return "a choice that is NULL";
        return NULL;
    case WEIR_CONFIG_CHECK_REGEX: return v->regex == NULL ? "no regular expression" : NULL;
    case WEIR_CONFIG_CHECK_JSON: return NULL;
    case WEIR_CONFIG_CHECK_CUSTOM: return v->fn == NULL ? "no function" : NULL;
    }
    return "no such check";
}

static const char *validate_copy(weir__config_validator *made, size_t *at, const char *str)
{
    size_t const size = strlen(str) + 1;
    char *const copy = memcpy(made->text + *at, str, size);
    *at += size;
    return copy;
}

/* Counts with made NULL; else copies. */
static size_t validate_strings(weir__config_validator *made, const weir_config_validator *v)
{
    size_t at = 0;
    size_t const choices = v->check == WEIR_CONFIG_CHECK_CHOICE ? v->choice_count : 0;
    const char *const regex = v->check == WEIR_CONFIG_CHECK_REGEX ? v->regex : "";
    if (made == NULL) {
        at = strlen(v->pattern) + strlen(regex) + 2;
        for (size_t i = 0; i < choices; i++)
            at += strlen(v->choices[i]) + 1;
        return at;
    }
    made->v.pattern = validate_copy(made, &at, v->pattern);
    made->v.regex = validate_copy(made, &at, regex);
    for (size_t i = 0; i < choices; i++)
        made->choices[i] = validate_copy(made, &at, v->choices[i]);
    made->v.choices = made->choices;
    made->v.choice_count = choices;
    return at;
}

int weir_config_add_validator(weir_config *config, const weir_config_validator *validator,
                              weir_config_error *error)
{
    const char *const complaint = validate_complaint(validator);
    if (complaint != NULL)
        return weir__config_refuse(error, WEIR_EINVAL, validator->pattern, complaint);
    size_t const bytes = sizeof(weir__config_validator) + validate_strings(NULL, validator);
    weir__config_validator *const made = weir__alloc(&config->env, bytes);
    if (made == NULL)
        return weir__config_refuse(error, WEIR_ENOMEM, "", weir_strerror(WEIR_ENOMEM));
    made->bytes = bytes;
    made->v = *validator;
    (void)validate_strings(made, validator);
    if (made->v.check == WEIR_CONFIG_CHECK_REGEX) {
        int const bad = regcomp(&made->regex, made->v.regex, REG_EXTENDED | REG_NOSUB);
        if (bad != 0) {
            char why[VALIDATE_REASON];
            (void)regerror(bad, &made->regex, why, sizeof why);
            weir__free(&config->env, made, bytes);
            return weir__config_refuse(error, bad == REG_ESPACE ? WEIR_ENOMEM : WEIR_EINVAL,
                                       validator->pattern, why);
        }
    }
    weir__config_validator **link = &config->validators;
    while (*link != NULL)
        link = &(*link)->next;
    *link = made;
    return WEIR_OK;
}

static void validate_free(weir_config *config, weir__config_validator *validator)
{
    if (validator->v.check == WEIR_CONFIG_CHECK_REGEX)
        regfree(&validator->regex);
    weir__free(&config->env, validator, validator->bytes);
}

void weir_config_remove_validators(weir_config *config, const void *user)
{
    for (weir__config_validator **link = &config->validators; *link != NULL;) {
        weir__config_validator *const validator = *link;
        if (validator->v.user == user) {
            *link = validator->next;
            validate_free(config, validator);
        } else {
            link = &validator->next;
        }
    }
}

void weir__config_validators_free(weir_config *config)
{
    while (config->validators != NULL) {
        weir__config_validator *const validator = config->validators;
        config->validators = validator->next;
        validate_free(config, validator);
    }
}
