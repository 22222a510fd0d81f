#include <weir/sampler.h>

#include "base/env.h"
#include "base/json.h"
#include "base/ot.h"

#include <stdatomic.h>
#include <string.h>

#define SAMPLER_RATE_MIN  1e-6
#define SAMPLER_RATE_MAX  1e9
#define SAMPLER_BURST_MAX 1000000
#define SAMPLER_RISE_MAX  1.5 /* Of an adaptive ratio, each time; Jaeger's. */

/* The fields of adaptive ones are moved by whoever finds that the time has come. */
struct weir_sampler {
    weir_sampler_options options;
    weir_env env;
    weir_sampler_rule *rules; /* With their texts; NULL = none. */
    size_t rules_size;
    weir_sampler *owned;         /* The root of one that was created by its name; or NULL. */
    uint64_t interval_ns;        /* RATE_LIMITED: of a trace... */
    uint64_t burst_ns;           /* ...and of all that may come at once. */
    _Atomic uint64_t arrival_ns; /* RATE_LIMITED: the theoretical arrival time, as in limiter.h. */
    _Atomic uint64_t threshold;  /* RATIO and ADAPTIVE: 0..2^56; the last keeps none. */
    _Atomic uint64_t moved_ns;   /* ADAPTIVE: when the ratio moved last; 0 = never yet. */
    _Atomic uint64_t seen;       /* ADAPTIVE: traces since then. */
};

static uint64_t sampler_now_ns(const weir_sampler *sampler, const weir_sampling_request *request)
{
    return request->now_ns != 0 ? request->now_ns : weir__now_ns(&sampler->env);
}

/* ---- Ratios ---- */

static uint64_t sampler_threshold(double ratio)
{
    return WEIR__OT_COUNT - (uint64_t)(ratio * (double)WEIR__OT_COUNT + 0.5);
}

static double sampler_ratio(uint64_t threshold)
{
    return (double)(WEIR__OT_COUNT - threshold) / (double)WEIR__OT_COUNT;
}

static void sampler_by_ratio(weir_sampler *sampler, const weir_sampling_request *request,
                             weir_sampling_result *result)
{
    uint64_t const threshold = atomic_load_explicit(&sampler->threshold, memory_order_relaxed);
    const char *const state = request->parent != NULL ? request->parent->state : NULL;
    if (weir__ot_random(state, request->trace_id) < threshold)
        return;
    result->decision = WEIR_SAMPLING_SAMPLE;
    result->threshold = threshold;
}

/* Jaeger's: p * wanted / seen, where a rise is capped. */
static void sampler_adapt(weir_sampler *sampler, uint64_t seen, uint64_t passed_ns)
{
    double const ratio = sampler_ratio(atomic_load(&sampler->threshold));
    double const kept = (double)seen * ratio * (double)WEIR__NS_PER_S / (double)passed_ns;
    double next = ratio * SAMPLER_RISE_MAX;
    if (kept * SAMPLER_RISE_MAX > sampler->options.per_second)
        next = ratio * sampler->options.per_second / kept;
    if (next > 1)
        next = 1;
    if (next < sampler->options.min_ratio)
        next = sampler->options.min_ratio;
    atomic_store(&sampler->threshold, sampler_threshold(next));
}

static void sampler_adaptively(weir_sampler *sampler, const weir_sampling_request *request,
                               weir_sampling_result *result)
{
    uint64_t const now_ns = sampler_now_ns(sampler, request);
    uint64_t moved_ns = atomic_load_explicit(&sampler->moved_ns, memory_order_relaxed);
    if (now_ns > moved_ns && now_ns - moved_ns >= sampler->options.adapt_ns &&
        atomic_compare_exchange_strong(&sampler->moved_ns, &moved_ns, now_ns))
        sampler_adapt(sampler, atomic_exchange(&sampler->seen, 0), now_ns - moved_ns);
    atomic_fetch_add_explicit(&sampler->seen, 1, memory_order_relaxed);
    sampler_by_ratio(sampler, request, result);
}

/* ---- Rate ---- */

static void sampler_by_rate(weir_sampler *sampler, const weir_sampling_request *request,
                            weir_sampling_result *result)
{
    uint64_t const now_ns = sampler_now_ns(sampler, request);
    uint64_t arrival_ns = atomic_load_explicit(&sampler->arrival_ns, memory_order_relaxed);
    uint64_t next_ns;
    do {
        uint64_t const from_ns = arrival_ns > now_ns ? arrival_ns : now_ns;
        next_ns = weir__add_ns(from_ns, sampler->interval_ns);
        if (next_ns > weir__add_ns(now_ns, sampler->burst_ns))
            return;
    } while (!atomic_compare_exchange_weak(&sampler->arrival_ns, &arrival_ns, next_ns));
    result->decision = WEIR_SAMPLING_SAMPLE;
}

/* ---- Parents and rules ---- */

static void sampler_ask(const weir_sampling *hook, const weir_sampling_request *request,
                        weir_sampling_result *result)
{
    if (hook->decide != NULL)
        hook->decide(hook->self, request, result);
    else
        result->decision = WEIR_SAMPLING_SAMPLE;
}

static void sampler_by_parent(weir_sampler *sampler, const weir_sampling_request *request,
                              weir_sampling_result *result)
{
    const weir_sampler_options *const options = &sampler->options;
    const weir_trace_context *const parent = request->parent;
    if (parent == NULL) {
        sampler_ask(&options->root, request, result);
        return;
    }
    bool const sampled = (parent->flags & WEIR_TRACE_SAMPLED) != 0 || parent->debug;
    const weir_sampling *const hook =
        parent->remote ? (sampled ? &options->remote_sampled : &options->remote_unsampled)
                       : (sampled ? &options->local_sampled : &options->local_unsampled);
    if (hook->decide != NULL) {
        hook->decide(hook->self, request, result);
        return;
    }
    result->decision = sampled ? WEIR_SAMPLING_SAMPLE : WEIR_SAMPLING_DROP;
    result->threshold = WEIR_SAMPLING_INHERIT;
}

/* With * and ?, of bytes: after a mismatch, the latest * takes one byte more. */
static bool sampler_matches(const char *pattern, const char *text, size_t size)
{
    const char *star = NULL;
    size_t at = 0, retry_at = 0;
    while (at < size) {
        if (*pattern == '*') {
            star = ++pattern;
            retry_at = at;
        } else if (*pattern != '\0' && (*pattern == '?' || *pattern == text[at])) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++retry_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool sampler_attribute_holds(const weir_sampler_rule *rule,
                                    const weir_sampling_request *request)
{
    for (size_t i = 0; i < request->attribute_count; i++) {
        const weir_attribute *const attribute = &request->attributes[i];
        if (attribute->key != NULL && strcmp(attribute->key, rule->attribute) == 0)
            return rule->value == NULL ||
                   (attribute->type == WEIR_ATTRIBUTE_STRING &&
                    sampler_matches(rule->value, attribute->as.string, attribute->count));
    }
    return false;
}

static void sampler_by_rules(weir_sampler *sampler, const weir_sampling_request *request,
                             weir_sampling_result *result)
{
    for (size_t i = 0; i < sampler->options.rule_count; i++) {
        const weir_sampler_rule *const rule = &sampler->options.rules[i];
        if ((rule->name == NULL ||
             sampler_matches(rule->name, request->name, strlen(request->name))) &&
            (rule->kind == 0 || rule->kind == (int)request->kind) &&
            (rule->attribute == NULL || sampler_attribute_holds(rule, request))) {
            sampler_ask(&rule->then, request, result);
            return;
        }
    }
    sampler_ask(&sampler->options.root, request, result);
}

static void sampler_decide(void *self, const weir_sampling_request *request,
                           weir_sampling_result *result)
{
    weir_sampler *const sampler = self;
    switch (sampler->options.kind) {
    case WEIR_SAMPLER_ALWAYS_ON: result->decision = WEIR_SAMPLING_SAMPLE; return;
    case WEIR_SAMPLER_ALWAYS_OFF: return;
    case WEIR_SAMPLER_RATIO: sampler_by_ratio(sampler, request, result); return;
    case WEIR_SAMPLER_PARENT_BASED: sampler_by_parent(sampler, request, result); return;
    case WEIR_SAMPLER_RATE_LIMITED: sampler_by_rate(sampler, request, result); return;
    case WEIR_SAMPLER_ADAPTIVE: sampler_adaptively(sampler, request, result); return;
    case WEIR_SAMPLER_RULES: sampler_by_rules(sampler, request, result); return;
    }
}

/* ---- Lifecycle ---- */

/* Written so that what is not a number is refused. */
static bool sampler_options_ok(const weir_sampler_options *options)
{
    for (size_t i = 0; i < options->rule_count; i++)
        if (options->rules[i].kind < 0 || options->rules[i].kind > WEIR_SPAN_CONSUMER ||
            (options->rules[i].value != NULL && options->rules[i].attribute == NULL))
            return false;
    return (int)options->kind >= 0 && options->kind <= WEIR_SAMPLER_RULES && options->ratio >= 0 &&
           options->ratio <= 1 && options->per_second >= SAMPLER_RATE_MIN &&
           options->per_second <= SAMPLER_RATE_MAX && options->burst >= 1 &&
           options->burst <= SAMPLER_BURST_MAX && options->min_ratio > 0 &&
           (options->kind != WEIR_SAMPLER_ADAPTIVE || options->min_ratio <= options->ratio) &&
           options->adapt_ns >= WEIR__NS_PER_MS && options->adapt_ns <= 3600 * WEIR__NS_PER_S;
}

static size_t sampler_text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *sampler_copy_text(char **at, const char *text)
{
    size_t const size = sampler_text_size(text);
    if (text == NULL)
        return NULL;
    char *const copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

/* Rules and their texts, in one block. */
static int sampler_copy_rules(weir_sampler *sampler, const weir_sampler_options *from)
{
    size_t const count = from->rule_count;
    size_t size = count * sizeof(weir_sampler_rule);
    if (count == 0)
        return WEIR_OK;
    for (size_t i = 0; i < count; i++)
        size += sampler_text_size(from->rules[i].name) +
                sampler_text_size(from->rules[i].attribute) +
                sampler_text_size(from->rules[i].value);
    weir_sampler_rule *const rules = weir__alloc(&sampler->env, size);
    if (rules == NULL)
        return WEIR_ENOMEM;
    char *at = (char *)(rules + count);
    memcpy(rules, from->rules, count * sizeof rules[0]);
    for (size_t i = 0; i < count; i++) {
        rules[i].name = sampler_copy_text(&at, rules[i].name);
        rules[i].attribute = sampler_copy_text(&at, rules[i].attribute);
        rules[i].value = sampler_copy_text(&at, rules[i].value);
    }
    sampler->options.rules = sampler->rules = rules;
    sampler->rules_size = size;
    return WEIR_OK;
}

int weir_sampler_create(weir_sampler **out, const weir_sampler_options *options)
{
    weir_sampler_options loaded = WEIR_SAMPLER_OPTIONS_INIT;
    weir_env env;
    *out = NULL;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (weir__env_load(&env, loaded.env) || !sampler_options_ok(&loaded))
        return WEIR_EINVAL;
    weir_sampler *const sampler = weir__alloc(&env, sizeof *sampler);
    if (sampler == NULL)
        return WEIR_ENOMEM;
    sampler->env = env;
    sampler->options = loaded;
    sampler->interval_ns = (uint64_t)((double)WEIR__NS_PER_S / loaded.per_second);
    sampler->burst_ns = weir__mul_ns(loaded.burst, sampler->interval_ns);
    atomic_init(&sampler->threshold, sampler_threshold(loaded.ratio));
    atomic_init(&sampler->moved_ns, loaded.kind == WEIR_SAMPLER_ADAPTIVE ? weir__now_ns(&env) : 0);
    if (sampler_copy_rules(sampler, &loaded)) {
        weir__free(&env, sampler, sizeof *sampler);
        return WEIR_ENOMEM;
    }
    *out = sampler;
    return WEIR_OK;
}

void weir_sampler_destroy(weir_sampler *sampler)
{
    if (sampler == NULL)
        return;
    weir_env const env = sampler->env;
    weir_sampler_destroy(sampler->owned);
    weir__free(&env, sampler->rules, sampler->rules_size);
    weir__free(&env, sampler, sizeof *sampler);
}

static bool sampler_named(const char *name, weir_sampler_kind *kind)
{
    static const struct {
        const char *name;
        weir_sampler_kind kind;
    } all[] = {{"always_on", WEIR_SAMPLER_ALWAYS_ON},
               {"always_off", WEIR_SAMPLER_ALWAYS_OFF},
               {"traceidratio", WEIR_SAMPLER_RATIO}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(name, all[i].name) == 0) {
            *kind = all[i].kind;
            return true;
        }
    return false;
}

int weir_sampler_create_named(weir_sampler **out, const char *name, const char *argument,
                              const weir_env *env)
{
    static const char by_parent[] = "parentbased_";
    size_t const prefix = sizeof by_parent - 1;
    bool const parent_based = strncmp(name, by_parent, prefix) == 0;
    weir_sampler_options options = WEIR_SAMPLER_OPTIONS_INIT;
    weir_sampler *root;
    *out = NULL;
    options.env = env;
    if (!sampler_named(parent_based ? name + prefix : name, &options.kind))
        return WEIR_ENOTFOUND;
    if (options.kind == WEIR_SAMPLER_RATIO && argument != NULL && argument[0] != '\0' &&
        !weir__json_read_double(argument, strlen(argument), &options.ratio))
        return WEIR_EINVAL;
    int result = weir_sampler_create(&root, &options);
    if (result != WEIR_OK || !parent_based) {
        *out = root;
        return result;
    }
    options.kind = WEIR_SAMPLER_PARENT_BASED;
    options.root = weir_sampler_hook(root);
    result = weir_sampler_create(out, &options);
    if (result != WEIR_OK)
        weir_sampler_destroy(root);
    else
        (*out)->owned = root;
    return result;
}

weir_sampling weir_sampler_hook(weir_sampler *sampler)
{
    return (weir_sampling){sampler_decide, sampler};
}

double weir_sampler_ratio(weir_sampler *sampler)
{
    bool const has_one = sampler->options.kind == WEIR_SAMPLER_RATIO ||
                         sampler->options.kind == WEIR_SAMPLER_ADAPTIVE;
    return has_one ? sampler_ratio(atomic_load(&sampler->threshold)) : 1;
}
