#include "config/config.h"

#include <stdio.h>
#include <string.h>

#define EDIT_LABELS 16

static bool edit_optional_ok(const char *word)
{
    return word == NULL || weir__config_word_ok(weir_bytes_of(word), WEIR_CONFIG_LABEL_SIZE);
}

/* "a,b,c", as records have them. */
static bool edit_labels_ok(const char *labels)
{
    size_t count = 0;
    for (const char *at = labels != NULL ? labels : ""; *at != '\0'; count++) {
        size_t const size = strcspn(at, ",");
        if (size == 0 || size >= WEIR_CONFIG_LABEL_SIZE || count == EDIT_LABELS ||
            !weir__text_is_utf8(at, size))
            return false;
        for (size_t i = 0; i < size; i++)
            if ((unsigned char)at[i] <= ' ' || at[i] == 0x7f)
                return false;
        at += size;
        if (*at == ',' && *++at == '\0')
            return false;
    }
    return true;
}

int weir__config_edit_check(weir_config *config, const weir__config_edit *edit,
                            weir_config_error *error)
{
    const char *complaint = NULL;
    if (edit->name == NULL ||
        !weir__config_word_ok(weir_bytes_of(edit->name), WEIR_CONFIG_NAME_SIZE))
        complaint = "not a name";
    else if (!edit_optional_ok(edit->environment) || !edit_optional_ok(edit->rule_environment))
        complaint = "not an environment";
    else if (!edit_optional_ok(edit->label))
        complaint = "not a label";
    else if (!edit_optional_ok(edit->rule))
        complaint = "not the id of a rule";
    else if (edit->source != NULL && !weir__config_source_ok(edit->source))
        complaint = "not a source";
    else if (edit->what == WEIR__CONFIG_RULE &&
             (edit->permille > 1000 || edit->salt == NULL || !edit_optional_ok(edit->salt)))
        complaint = "not a share of at most 1000 permille with a salt";
    else if (edit->what == WEIR__CONFIG_RULE && !edit_labels_ok(edit->labels))
        complaint = "not labels: up to 16, of 1 to 63 bytes each";
    else if (edit->value.data == NULL && edit->value.size > 0)
        complaint = "a value of NULL";
    if (complaint != NULL)
        return weir__config_refuse(error, WEIR_EINVAL, edit->name, complaint);
    bool const value = edit->what == WEIR__CONFIG_SET || edit->what == WEIR__CONFIG_RULE;
    return value && !edit->from_first
               ? weir__config_validate(config, edit->name, edit->value, error)
               : WEIR_OK;
}

/* With an address, even if it is of nothing. */
static weir_bytes edit_value(weir_bytes value)
{
    return value.size > 0 ? value : (weir_bytes){"", 0};
}

static weir__config_edit edit_of(const weir_config_change *change)
{
    return (weir__config_edit){.what = change->remove ? WEIR__CONFIG_REMOVE : WEIR__CONFIG_SET,
                               .name = change->name,
                               .environment = change->environment,
                               .label = change->label,
                               .source = change->source,
                               .value =
                                   edit_value(change->remove ? (weir_bytes){"", 0} : change->value),
                               .compare = change->compare,
                               .version = change->version};
}

int weir_config_apply(weir_config *config, const weir_config_change *changes, size_t count,
                      weir_config_done_fn done, void *user, weir_config_error *error)
{
    weir__config_edit one;
    if (count == 1) {
        one = edit_of(changes);
        return weir__config_submit(config, &one, 1, done, user, error);
    }
    if (count > SIZE_MAX / sizeof one || count == 0)
        return weir__config_refuse(error, WEIR_EINVAL, "", "nothing to change");
    weir__config_edit *const edits = weir__alloc(&config->env, count * sizeof *edits);
    if (edits == NULL)
        return weir__config_refuse(error, WEIR_ENOMEM, "", weir_strerror(WEIR_ENOMEM));
    for (size_t i = 0; i < count; i++)
        edits[i] = edit_of(&changes[i]);
    weir_env const env = config->env;
    int const code = weir__config_submit(config, edits, count, done, user, error);
    weir__free(&env, edits, count * sizeof *edits);
    return code;
}

int weir_config_set(weir_config *config, const char *name, const char *value,
                    weir_config_done_fn done, void *user, weir_config_error *error)
{
    weir_config_change const change = {.name = name, .value = weir_bytes_of(value)};
    return weir_config_apply(config, &change, 1, done, user, error);
}

int weir_config_compare_and_set(weir_config *config, const char *name, uint64_t version,
                                const char *value, weir_config_done_fn done, void *user,
                                weir_config_error *error)
{
    weir_config_change const change = {.name = name,
                                       .value = weir_bytes_of(value),
                                       .compare = true,
                                       .version = version};
    return weir_config_apply(config, &change, 1, done, user, error);
}

int weir_config_delete(weir_config *config, const char *name, weir_config_done_fn done, void *user)
{
    weir_config_change const change = {.name = name, .remove = true};
    return weir_config_apply(config, &change, 1, done, user, NULL);
}

int weir_config_rollback(weir_config *config, const char *name, const char *environment,
                         const char *label, uint64_t version, weir_config_done_fn done, void *user)
{
    weir__config_edit const edits[] = {{.what = WEIR__CONFIG_READ,
                                        .name = name,
                                        .environment = environment,
                                        .label = label,
                                        .version = version},
                                       {.what = WEIR__CONFIG_SET,
                                        .name = name,
                                        .environment = environment,
                                        .label = label,
                                        .from_first = true}};
    return weir__config_submit(config, edits, 2, done, user, NULL);
}

/* ---- Gray releases ---- */

/* "a,b,c". False: one is no label. */
static bool edit_labels(const weir_config_rule *rule, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    if (rule->label_count > EDIT_LABELS || (rule->label_count > 0 && rule->labels == NULL))
        return false;
    for (size_t i = 0; i < rule->label_count; i++) {
        const char *const label = rule->labels[i];
        size_t const size = label != NULL ? strlen(label) : 0;
        if (size == 0 || size >= WEIR_CONFIG_LABEL_SIZE || strchr(label, ',') != NULL)
            return false;
        used += (size_t)snprintf(out + used, room - used, "%s%s", i > 0 ? "," : "", label);
    }
    return true;
}

int weir_config_release(weir_config *config, const weir_config_rule *rule, weir_config_done_fn done,
                        void *user, weir_config_error *error)
{
    char labels[EDIT_LABELS * WEIR_CONFIG_LABEL_SIZE];
    if (rule->rule == NULL || !edit_labels(rule, labels, sizeof labels))
        return weir__config_refuse(error, WEIR_EINVAL, rule->name,
                                   rule->rule == NULL ? "a rule without id" : "not a label");
    weir__config_edit const edit = {.what = WEIR__CONFIG_RULE,
                                    .name = rule->name,
                                    .rule = rule->rule,
                                    .rule_environment = rule->environment,
                                    .labels = labels,
                                    .salt = rule->salt != NULL ? rule->salt : rule->rule,
                                    .priority = rule->priority,
                                    .permille = rule->permille,
                                    .value = edit_value(rule->value)};
    return weir__config_submit(config, &edit, 1, done, user, error);
}

int weir_config_promote(weir_config *config, const char *name, const char *rule,
                        weir_config_done_fn done, void *user)
{
    weir__config_edit const edits[] = {{.what = WEIR__CONFIG_DROP, .name = name, .rule = rule},
                                       {.what = WEIR__CONFIG_SET,
                                        .name = name,
                                        .from_first = true}};
    return rule != NULL ? weir__config_submit(config, edits, 2, done, user, NULL) : WEIR_EINVAL;
}

int weir_config_abandon(weir_config *config, const char *name, const char *rule,
                        weir_config_done_fn done, void *user)
{
    weir__config_edit const edit = {.what = WEIR__CONFIG_DROP, .name = name, .rule = rule};
    return rule != NULL ? weir__config_submit(config, &edit, 1, done, user, NULL) : WEIR_EINVAL;
}
