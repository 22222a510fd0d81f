#include <weir/sim.h>

#include "sim/world.h"

#include "base/env.h"

#define SERVICE_MAX_NS (UINT64_C(1) << 62)

/* Exponential of mean 1 without a logarithm: J. von Neumann, "Various techniques used in
 * connection with random digits", 1951. A falling run of odd length accepts its first draw. */
static double service_exponential(weir__rng *rng)
{
    for (unsigned whole = 0;; whole++) {
        double const first = weir__rng_unit(rng);
        double last = first;
        double next = weir__rng_unit(rng);
        unsigned length = 1;
        for (; next < last; length++) {
            last = next;
            next = weir__rng_unit(rng);
        }
        if (length % 2 == 1)
            return whole + first;
    }
}

static uint64_t service_latency(const weir_sim_behaviour *b, uint64_t seed)
{
    weir__rng rng;
    weir__rng_seed(&rng, seed);
    switch (b->latency) {
    case WEIR_SIM_FIXED: break;
    case WEIR_SIM_UNIFORM: return b->min_ns + weir__rng_below(&rng, b->max_ns - b->min_ns + 1);
    case WEIR_SIM_EXPONENTIAL: {
        double const above = service_exponential(&rng) * (double)b->mean_ns;
        uint64_t const room = b->max_ns - b->min_ns;
        return b->min_ns + (above < (double)room ? (uint64_t)above : room);
    }
    }
    return b->min_ns;
}

static void service_complete(weir_sim *sim, weir__sim_pending *pending, weir_outcome outcome)
{
    weir__sim_call const call = pending->as.call;
    weir_sim_result const result = {.id = pending->id,
                                    .outcome = outcome,
                                    .latency_ns = sim->now_ns - call.begun_ns};
    weir__sim_end(sim, pending);
    weir__sim_trace(sim, WEIR_SIM_DONE, result.id, (uint64_t)outcome);
    call.done(&result, call.user);
}

static void service_times_out(weir_sim *sim, weir__sim_pending *pending)
{
    service_complete(sim, pending, WEIR_TIMEOUT);
}

static bool service_has_place(const weir_sim_service *service)
{
    return service->behaviour.capacity == 0 || service->serving < service->behaviour.capacity;
}

static void service_serve(weir_sim_service *service, weir__sim_pending *pending)
{
    service->serving++;
    pending->as.work.served = true;
    weir__sim_set(service->sim, pending,
                  weir__add_ns(service->sim->now_ns, pending->as.work.latency_ns));
}

static void service_serve_waiting(weir_sim_service *service)
{
    while (service->first != NULL && service_has_place(service)) {
        weir__sim_pending *const pending = service->first;
        service->first = pending->as.work.next;
        service->waiting--;
        service_serve(service, pending);
    }
}

static void service_wait(weir_sim_service *service, weir__sim_pending *pending)
{
    pending->as.work.next = NULL;
    if (service->first == NULL)
        service->first = pending;
    else
        service->last->as.work.next = pending;
    service->last = pending;
    service->waiting++;
}

/* The service is through with a call. Whether the answer arrives is another question. */
static void service_answers(weir_sim *sim, weir__sim_pending *pending)
{
    weir__sim_work const work = pending->as.work;
    weir_sim_service *const service = work.service;
    weir__sim_end(sim, pending);
    if (work.served) {
        service->serving--;
        service_serve_waiting(service);
    }
    weir__sim_pending *const call = weir__sim_find(sim, work.call);
    if (call != NULL && service->behaviour.link != WEIR_SIM_SILENT)
        service_complete(sim, call, work.outcome);
}

static void service_turn_away(weir_sim_service *service, weir__sim_pending *pending,
                              weir_outcome outcome)
{
    pending->as.work.outcome = outcome;
    weir__sim_set(service->sim, pending,
                  weir__add_ns(service->sim->now_ns, service->behaviour.refuse_ns));
}

/* Every call draws three times, whatever happens to it. */
static void service_accept(weir_sim_service *service, weir__sim_pending *pending, weir_sim_id call)
{
    const weir_sim_behaviour *const b = &service->behaviour;
    bool const overload = weir__rng_unit(&service->rng) < b->overload_rate;
    bool const failure = weir__rng_unit(&service->rng) < b->failure_rate;
    uint64_t const latency_ns = service_latency(b, weir__rng_next(&service->rng));
    pending->as.work = (weir__sim_work){.service = service,
                                        .call = call,
                                        .outcome = failure ? WEIR_FAILURE : WEIR_SUCCESS,
                                        .latency_ns = latency_ns};
    if (b->link == WEIR_SIM_REFUSED)
        service_turn_away(service, pending, WEIR_FAILURE);
    else if (b->link == WEIR_SIM_SILENT)
        weir__sim_end(service->sim, pending);
    else if (overload || (!service_has_place(service) && service->waiting >= b->queue))
        service_turn_away(service, pending, WEIR_OVERLOAD);
    else if (service_has_place(service))
        service_serve(service, pending);
    else
        service_wait(service, pending);
}

int weir_sim_call(weir_sim_service *service, uint64_t timeout_ns, weir_sim_done_fn done, void *user,
                  weir_sim_id *id)
{
    weir_sim *const sim = service->sim;
    if (done == NULL)
        return WEIR_EINVAL;
    weir__sim_pending *const call = weir__sim_new(sim, service_times_out);
    if (call == NULL)
        return WEIR_ENOMEM;
    weir__sim_pending *const work = weir__sim_new(sim, service_answers);
    if (work == NULL) {
        weir__sim_end(sim, call);
        return WEIR_ENOMEM;
    }
    work->inner = true;
    call->as.call = (weir__sim_call){.done = done, .user = user, .begun_ns = sim->now_ns};
    if (id != NULL)
        *id = call->id;
    weir__sim_trace(sim, WEIR_SIM_CALL, call->id, service->number);
    service_accept(service, work, call->id);
    weir__sim_set(sim, call, weir__add_ns(sim->now_ns, timeout_ns));
    return WEIR_OK;
}

static bool service_rate_valid(double rate)
{
    return rate >= 0 && rate <= 1; /* Neither holds for a NaN. */
}

static int service_behaviour_load(weir_sim_behaviour *loaded, const weir_sim_behaviour *from)
{
    *loaded = (weir_sim_behaviour)WEIR_SIM_BEHAVIOUR_INIT;
    if (from != NULL && weir__options_load(loaded, sizeof *loaded, from, from->struct_size))
        return WEIR_EINVAL;
    bool const valid = (unsigned)loaded->latency <= WEIR_SIM_EXPONENTIAL &&
                       (unsigned)loaded->link <= WEIR_SIM_SILENT &&
                       loaded->min_ns <= loaded->max_ns && loaded->max_ns <= SERVICE_MAX_NS &&
                       loaded->mean_ns <= loaded->max_ns && loaded->refuse_ns <= SERVICE_MAX_NS &&
                       service_rate_valid(loaded->failure_rate) &&
                       service_rate_valid(loaded->overload_rate);
    return valid ? WEIR_OK : WEIR_EINVAL;
}

int weir_sim_service_create(weir_sim_service **out, weir_sim *sim,
                            const weir_sim_behaviour *behaviour)
{
    *out = NULL;
    weir_sim_behaviour loaded;
    if (service_behaviour_load(&loaded, behaviour))
        return WEIR_EINVAL;
    weir_sim_service *const service = weir__alloc(&sim->outer, sizeof *service);
    if (service == NULL)
        return WEIR_ENOMEM;
    service->sim = sim;
    service->behaviour = loaded;
    service->next = sim->services;
    service->number = service->next != NULL ? service->next->number + 1 : 1;
    weir__rng_seed(&service->rng, weir__mix64(sim->options.seed) + WEIR__GOLDEN * service->number);
    sim->services = service;
    *out = service;
    return WEIR_OK;
}

static void service_changes(weir_sim *sim, weir__sim_pending *pending)
{
    weir__sim_change const change = pending->as.change;
    weir__sim_end(sim, pending);
    change.service->behaviour = change.behaviour;
    weir__sim_trace(sim, WEIR_SIM_CHANGE, change.service->number, 0);
    service_serve_waiting(change.service);
}

int weir_sim_service_change(weir_sim_service *service, uint64_t at_ns,
                            const weir_sim_behaviour *behaviour)
{
    weir_sim *const sim = service->sim;
    weir_sim_behaviour loaded;
    if (service_behaviour_load(&loaded, behaviour))
        return WEIR_EINVAL;
    weir__sim_pending *const pending = weir__sim_new(sim, service_changes);
    if (pending == NULL)
        return WEIR_ENOMEM;
    pending->inner = true;
    pending->as.change = (weir__sim_change){.service = service, .behaviour = loaded};
    if (at_ns <= sim->now_ns)
        service_changes(sim, pending);
    else
        weir__sim_set(sim, pending, at_ns);
    return WEIR_OK;
}

void weir_sim_service_load(const weir_sim_service *service, uint32_t *serving, uint32_t *waiting)
{
    if (serving != NULL)
        *serving = service->serving;
    if (waiting != NULL)
        *waiting = service->waiting;
}
