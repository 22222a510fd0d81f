/* Health checks are never traced; of what begins here a tenth is kept; what came in decided. */
#include <weir/sampler.h>

#include <stdio.h>
#include <string.h>

static unsigned kept_of_1000(weir_sampler *sampler, const char *name,
                             const weir_trace_context *parent)
{
    weir_sampling const hook = weir_sampler_hook(sampler);
    uint8_t trace_id[16] = {0};
    weir_sampling_request const request = {.parent = parent,
                                           .trace_id = trace_id,
                                           .name = name,
                                           .kind = WEIR_SPAN_SERVER};
    unsigned kept = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t const spread = i * 4294967; /* A thousand ids, evenly. */
        for (int byte = 0; byte < 4; byte++)
            trace_id[9 + byte] = (uint8_t)(spread >> (24 - 8 * byte));
        weir_sampling_result result = {WEIR_SAMPLING_DROP, WEIR_SAMPLING_UNKNOWN};
        hook.decide(hook.self, &request, &result);
        kept += result.decision == WEIR_SAMPLING_SAMPLE;
    }
    return kept;
}

int main(void)
{
    weir_sampler *never, *tenth, *rules, *sampler;
    weir_sampler_options options = WEIR_SAMPLER_OPTIONS_INIT;
    options.kind = WEIR_SAMPLER_ALWAYS_OFF;
    if (weir_sampler_create(&never, &options) != WEIR_OK)
        return 1;
    options.kind = WEIR_SAMPLER_RATIO;
    options.ratio = 0.1;
    if (weir_sampler_create(&tenth, &options) != WEIR_OK)
        return 1;
    weir_sampler_rule const health = {.name = "GET /health*", .then = weir_sampler_hook(never)};
    options = (weir_sampler_options)WEIR_SAMPLER_OPTIONS_INIT;
    options.kind = WEIR_SAMPLER_RULES;
    options.rules = &health;
    options.rule_count = 1;
    options.root = weir_sampler_hook(tenth);
    if (weir_sampler_create(&rules, &options) != WEIR_OK)
        return 1;
    options.kind = WEIR_SAMPLER_PARENT_BASED;
    options.root = weir_sampler_hook(rules);
    if (weir_sampler_create(&sampler, &options) != WEIR_OK)
        return 1;
    weir_trace_context const parent = {.flags = WEIR_TRACE_SAMPLED, .remote = true};
    printf("of 1000 health checks %u, of 1000 others %u, of 1000 that were traced before %u\n",
           kept_of_1000(sampler, "GET /healthz", NULL), kept_of_1000(sampler, "GET /", NULL),
           kept_of_1000(sampler, "GET /healthz", &parent));
    weir_sampler *const all[] = {sampler, rules, tenth, never};
    for (int i = 0; i < 4; i++)
        weir_sampler_destroy(all[i]);
    return 0;
}
