/* What callers say, counted. */
#include "instrument/instrument.h"

static double instrument_seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static void instrument_breaker(weir_instrument *instrument, const char *service,
                               const weir_caller_event *event)
{
    if (event->breaker->from == event->breaker->to)
        return;
    const char *const labels[] = {service, event->member,
                                  weir_breaker_state_name(event->breaker->to)};
    weir__instrument_add(instrument, WEIR__BREAKER_CHANGES, labels, 1);
}

void weir_instrument_on_caller(weir_instrument *instrument, const char *service,
                               const weir_caller_event *event)
{
    const char *const stage[] = {service, weir_caller_stage_name(event->rejection.stage)};
    const char *const call[] = {service, weir_outcome_name(event->outcome)};
    const char *const attempt[] = {service, event->member, weir_outcome_name(event->outcome)};
    if (instrument == NULL)
        return;
    switch (event->kind) {
    case WEIR_CALLER_REJECTED: weir__instrument_add(instrument, WEIR__REJECTIONS, stage, 1); return;
    case WEIR_CALLER_ATTEMPT: return;
    case WEIR_CALLER_RESULT:
        weir__instrument_record(instrument, WEIR__ATTEMPT_DURATION, attempt,
                                instrument_seconds(event->latency_ns), NULL);
        return;
    case WEIR_CALLER_ENDED:
        weir__instrument_record(instrument, WEIR__CALL_DURATION, call,
                                instrument_seconds(event->latency_ns), NULL);
        return;
    case WEIR_CALLER_BREAKER: instrument_breaker(instrument, service, event); return;
    case WEIR_CALLER_OUTLIER:
        if (event->outlier->kind == WEIR_OUTLIER_EJECTED)
            weir__instrument_add(instrument, WEIR__EJECTIONS, attempt, 1);
        return;
    }
}
