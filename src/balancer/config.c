#include "balancer/balancer.h"

#include "balancer/ketama.h"
#include "balancer/maglev.h"

#include "base/real.h"

#include <string.h>

#define CONFIG_MAX_SELECTORS 8
#define CONFIG_MAX_KEYS      8

/* False for what is not a number, too. */
static bool config_within(double value, double least, double most)
{
    return value >= least && value <= most;
}

static bool config_algorithm_valid(const weir_balancer_options *o)
{
    return (int)o->algorithm >= 0 && (int)o->algorithm < WEIR__KIND_COUNT && o->choices >= 2 &&
           o->choices <= 10 && config_within(o->bias, 0, 10) && o->decay_ns >= 1 &&
           weir__maglev_fits(o->table_size) && o->ring_min <= o->ring_max && o->ring_max >= 1 &&
           o->ring_max <= WEIR__KETAMA_MAX_SIZE &&
           (o->load_factor_percent == 0 ||
            (o->load_factor_percent >= 100 && o->load_factor_percent <= 1000));
}

static bool config_levels_valid(const weir_balancer_options *o)
{
    return o->overprovisioning_percent >= 100 &&
           (o->overprovisioning_percent <= 1000 || o->overprovisioning_percent == WEIR_NO_SPILL) &&
           o->panic_percent <= 100 && o->selector_count <= CONFIG_MAX_SELECTORS &&
           (o->selector_count == 0 || o->selectors != NULL);
}

static bool config_weights_valid(const weir_balancer_options *o)
{
    return config_within(o->slow_start_aggression, 0.1, 10) && o->slow_start_percent >= 1 &&
           o->slow_start_percent <= 100 && o->recovery_hold_ns >= 1 && o->report_expiry_ns >= 1 &&
           o->report_update_ns >= 1 && config_within(o->report_error_penalty, 0, 1000);
}

static bool config_selector_valid(const weir_subset_selector *selector)
{
    if (selector->key_count < 1 || selector->key_count > CONFIG_MAX_KEYS || selector->keys == NULL)
        return false;
    for (size_t i = 0; i < selector->key_count; i++) {
        if (selector->keys[i] == NULL)
            return false;
        for (size_t other = 0; other < i; other++)
            if (strcmp(selector->keys[i], selector->keys[other]) == 0)
                return false;
    }
    return true;
}

static bool config_valid(const weir_balancer_options *options)
{
    if (!config_algorithm_valid(options) || !config_levels_valid(options) ||
        !config_weights_valid(options))
        return false;
    for (size_t i = 0; i < options->selector_count; i++)
        if (!config_selector_valid(&options->selectors[i]))
            return false;
    return true;
}

static size_t config_bytes(const weir_balancer_options *options)
{
    size_t bytes = sizeof(weir__config) + (options->zone != NULL ? strlen(options->zone) : 0) + 1;
    for (size_t i = 0; i < options->selector_count; i++) {
        const weir_subset_selector *const selector = &options->selectors[i];
        bytes += sizeof *selector + selector->key_count * sizeof(char *);
        for (size_t key = 0; key < selector->key_count; key++)
            bytes += strlen(selector->keys[key]) + 1;
    }
    return bytes;
}

static const char *config_copy_text(char **at, const char *text)
{
    size_t const bytes = strlen(text) + 1;
    const char *const copy = memcpy(*at, text, bytes);
    *at += bytes;
    return copy;
}

/* Selectors, then their arrays of keys, then all texts. */
static void config_copy_pointers(weir__config *config, const weir_balancer_options *from)
{
    weir_subset_selector *const selectors = (weir_subset_selector *)(void *)(config + 1);
    const char **keys = (const char **)(void *)(selectors + from->selector_count);
    size_t key_count = 0;
    for (size_t i = 0; i < from->selector_count; i++)
        key_count += from->selectors[i].key_count;
    char *text = (char *)(keys + key_count);
    config->options.zone = config_copy_text(&text, from->zone != NULL ? from->zone : "");
    config->options.selectors = selectors;
    for (size_t i = 0; i < from->selector_count; i++) {
        selectors[i] = from->selectors[i];
        selectors[i].keys = keys;
        for (size_t key = 0; key < selectors[i].key_count; key++)
            *keys++ = config_copy_text(&text, from->selectors[i].keys[key]);
    }
}

int weir__config_new(weir__config **out, const weir_env *env, const weir_balancer_options *options)
{
    if (!config_valid(options) || weir__kinds[options->algorithm] == NULL)
        return WEIR_EINVAL;
    size_t const bytes = config_bytes(options);
    weir__config *const config = *out = weir__alloc(env, bytes);
    if (config == NULL)
        return WEIR_ENOMEM;
    config->refs = 1;
    config->bytes = bytes;
    config->options = *options;
    config->options.env = NULL;
    config->kind = weir__kinds[options->algorithm];
    config->pairs = options->algorithm == WEIR_LEAST_REQUEST && options->choices == 2 &&
                    options->bias >= 1.0 && options->bias <= 1.0;
    config->decay_per_ns = 1.0 / (double)options->decay_ns;
    config->fresh_ns = (int64_t)(options->decay_ns / 1024);
    config_copy_pointers(config, options);
    for (int i = 1; i < 256 && options->bias > 0; i++) /* 0: all tie, so weight alone decides. */
        config->powers[i] = weir__pow(i, options->bias);
    return WEIR_OK;
}

void weir__config_release(const weir_env *env, weir__config *config)
{
    if (--config->refs == 0)
        weir__free(env, config, config->bytes);
}
