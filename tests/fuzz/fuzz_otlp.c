/* What collectors answer, their Retry-After, and OTEL_* variables. The first byte chooses. */
#include "support/fuzz.h"

#include "otlp/otlp.h"

#include "base/setting.h"

#include <string.h>

static void read_answer(const weir_env *env, const char *text, size_t size)
{
    weir__otlp_answer answer;
    weir__text_init(&answer.message, env);
    if (!weir__otlp_answer_read(&answer, text, size))
        FUZZ_CHECK(answer.rejected == 0 && answer.message.size == 0);
    FUZZ_CHECK(answer.rejected <= INT64_MAX);
    for (size_t i = 0; i < answer.message.size; i++)
        FUZZ_CHECK((unsigned char)answer.message.data[i] >= ' ');
    weir__text_free(&answer.message);
}

static void read_list(const weir_env *env, const char *text)
{
    weir__text list;
    size_t count;
    weir__text_init(&list, env);
    if (weir__setting_list(text, &list, &count) == NULL) {
        size_t ends = 0;
        for (size_t i = 0; i < list.size; i++)
            ends += list.data[i] == '\0';
        FUZZ_CHECK(ends == 2 * count);
    }
    weir__text_free(&list);
}

static const char *get(const char *name, void *user)
{
    return strcmp(name, "OTEL_SERVICE_NAME") != 0 ? user : NULL;
}

/* Whatever they say, the exporter either takes it or says what is wrong with it. */
static void read_settings(const char *text)
{
    weir_otlp_source const source = {get, NULL, (void *)(uintptr_t)text};
    weir_otlp_settings *settings;
    weir_otlp_options options = WEIR_OTLP_OPTIONS_INIT;
    size_t count;
    if (weir_otlp_settings_read(&settings, &source, NULL) != WEIR_OK)
        return;
    weir_otlp_settings_apply(settings, &options);
    const weir_attribute *const attributes = weir_otlp_settings_resource(settings, &count);
    FUZZ_CHECK(count >= 4);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(attributes[i].key[0] != '\0');
    (void)weir_otlp_options_error(&options);
    weir_otlp_settings_destroy(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_env env;
    if (size == 0 || weir__env_load(&env, NULL) != WEIR_OK)
        return 0;
    char *const text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] == 'a')
        read_answer(&env, text, size - 1);
    else if (data[0] == 'l')
        read_list(&env, text);
    else if (data[0] == 's')
        read_settings(text);
    else
        (void)weir__otlp_retry_after_ns(text, size - 1, UINT64_C(784111777000000000));
    free(text);
    return 0;
}
