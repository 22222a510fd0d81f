#include "balancer/balancer.h"

#include "base/real.h"

#include <string.h>

#define WEIGHTS_MOST 1e30 /* Beyond it, a report is a mistake. */

/* What a member has told of itself, if it is to be believed now; else 0. */
static double weights_reported(const weir__record *record, const weir_balancer_options *options,
                               uint64_t now_ns)
{
    uint64_t const last_ns = atomic_load(&record->reported_ns);
    uint64_t const begin_ns = atomic_load(&record->report_begin_ns);
    if (last_ns == 0 || now_ns >= weir__add_ns(last_ns, options->report_expiry_ns) ||
        now_ns < weir__add_ns(begin_ns, options->report_blackout_ns))
        return 0;
    return weir__real_of_bits(atomic_load(&record->report));
}

typedef struct weights_reports {
    double mean, most; /* mean 0: fewer than two are known. */
} weights_reports;

static weights_reports weights_survey(const weir__config *config, const weir__roster *roster,
                                      uint64_t now_ns)
{
    weights_reports found = {.mean = 0};
    uint32_t known = 0;
    for (uint32_t i = 0; i < roster->count; i++) {
        if (roster->records[i]->member.weight == 0)
            continue; /* It gets no calls, so it is no measure. */
        double const weight = weights_reported(roster->records[i], &config->options, now_ns);
        found.mean += weight;
        known += weight > 0;
        if (weight > found.most)
            found.most = weight;
    }
    found.mean = known >= 2 ? found.mean / known : 0;
    return found;
}

/* In shares. Reports have no scale of their own: the highest is as much as a weight can be. */
static double weights_base(const weir__record *record, const weir__config *config,
                           const weights_reports *reports, uint64_t now_ns)
{
    if (!config->options.reported_weights || config->kind->hashed)
        return (double)record->member.weight * WEIR__SHARE_ONE;
    if (reports->mean <= 0)
        return WEIR__SHARE_ONE;
    double const told = weights_reported(record, &config->options, now_ns);
    return (told > 0 ? told : reports->mean) / reports->most * 65535.0 * WEIR__SHARE_ONE;
}

/* How much of its share a member has by now; 1 once it is warm. */
static double weights_warmth(weir__record *record, const weir__config *config, uint64_t now_ns)
{
    const weir_balancer_options *const options = &config->options;
    if (record->warming_ns == WEIR_NEVER)
        return 1;
    uint64_t const for_ns = now_ns > record->warming_ns ? now_ns - record->warming_ns : 0;
    if (for_ns >= options->slow_start_ns) {
        record->warming_ns = WEIR_NEVER;
        return 1;
    }
    double const part = (double)for_ns / (double)options->slow_start_ns;
    double const warmth = for_ns > 0 ? weir__pow(part, 1 / options->slow_start_aggression) : 0;
    double const least = options->slow_start_percent / 100.0;
    return warmth > least ? warmth : least;
}

bool weir__weights(const weir__config *config, const weir__roster *roster, uint64_t now_ns,
                   uint32_t *shares)
{
    weights_reports reports = {.mean = 0};
    bool warming = false;
    if (config->options.reported_weights)
        reports = weights_survey(config, roster, now_ns);
    for (uint32_t i = 0; i < roster->count; i++) {
        weir__record *const record = roster->records[i];
        double const warmth = weights_warmth(record, config, now_ns);
        bool const grows = warmth < 1 && !config->kind->hashed;
        double const base = weights_base(record, config, &reports, now_ns);
        double const share = grows ? base * warmth : base;
        warming |= grows;
        shares[i] = share >= 1 ? (uint32_t)(share + 0.5) : 1;
        if (record->member.weight == 0)
            shares[i] = 0;
    }
    return warming;
}

static bool weights_figure_valid(double figure)
{
    return figure >= 0 && figure <= WEIGHTS_MOST;
}

static bool report_valid(const weir_load_report *report)
{
    return weights_figure_valid(report->calls_per_s) &&
           weights_figure_valid(report->errors_per_s) && weights_figure_valid(report->utilization);
}

static double report_weight(const weir_load_report *report, double error_penalty)
{
    if (report->calls_per_s <= 0 || report->utilization <= 0)
        return 0;
    double const errors = report->errors_per_s / report->calls_per_s;
    double const weight = report->calls_per_s / (report->utilization + errors * error_penalty);
    return weight < WEIGHTS_MOST ? weight : WEIGHTS_MOST;
}

/* A gap as long as the expiry begins the blackout anew. */
static void record_report(weir__record *record, double weight, uint64_t expiry_ns, uint64_t now_ns)
{
    uint64_t const last_ns = atomic_load(&record->reported_ns);
    uint64_t const at_ns = now_ns > 0 ? now_ns : 1;
    if (last_ns == 0 || at_ns >= weir__add_ns(last_ns, expiry_ns))
        atomic_store(&record->report_begin_ns, at_ns);
    atomic_store(&record->report, weir__real_bits(weight));
    if (at_ns > last_ns)
        atomic_store(&record->reported_ns, at_ns);
}

int weir_balancer_report(weir_balancer *balancer, const char *id, const weir_load_report *report,
                         uint64_t now_ns)
{
    if (!report_valid(report))
        return WEIR_EINVAL;
    weir__reader *const reader = weir__read_begin();
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    weir__record *const record = weir__map_get(&table->roster->by_id, id, strlen(id));
    if (record != NULL) {
        const weir_balancer_options *const options = &table->config->options;
        double const weight = report_weight(report, options->report_error_penalty);
        if (weight > 0)
            record_report(record, weight, options->report_expiry_ns, now_ns);
    }
    weir__read_end(reader);
    return record != NULL ? WEIR_OK : WEIR_ENOTFOUND;
}
