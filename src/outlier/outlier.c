#include <weir/outlier.h>

#include "outlier/outlier.h"

void weir__outlier_see(weir_outlier *outlier, uint64_t now_ns)
{
    if (now_ns > outlier->now_ns)
        outlier->now_ns = now_ns;
}

/* A host whose last event is told may be the one that a remove waits for. */
static void note_release(weir_outlier_host *host)
{
    weir_outlier *const outlier = host->outlier;
    pthread_mutex_lock(&outlier->lock);
    bool const over = --host->pending == 0 && host->orphan;
    pthread_mutex_unlock(&outlier->lock);
    if (over)
        weir__free(&outlier->env, host, host->bytes);
}

static void note_tell(const void *told, void *user)
{
    const weir__outlier_note *const note = told;
    const weir_outlier *const outlier = user;
    if (outlier->on_event != NULL)
        outlier->on_event(&note->event, outlier->user);
    note_release(note->host);
}

void weir__outlier_unlock(weir_outlier *outlier)
{
    weir__outlier_note note;
    weir__outbox_unlock(&outlier->outbox, &outlier->lock, &note, note_tell, outlier);
}

static bool outlier_can_tell(const weir_outlier *outlier)
{
    return outlier->outbox.ring.count < outlier->outbox.ring.capacity;
}

static void outlier_note(weir_outlier_host *host, weir_outlier_event_kind kind,
                         const weir__outlier_finding *finding)
{
    weir_outlier *const outlier = host->outlier;
    if (!outlier_can_tell(outlier)) {
        outlier->outbox.dropped++;
        return;
    }
    weir__outlier_note const note = {.event = {.kind = kind,
                                               .detection = finding->detection,
                                               .id = host->id,
                                               .user = host->user,
                                               .at_ns = outlier->now_ns,
                                               .until_ns = kind == WEIR_OUTLIER_EJECTED
                                                               ? host->until_ns
                                                               : 0,
                                               .figure = finding->figure,
                                               .threshold = finding->threshold,
                                               .calls = finding->calls,
                                               .hosts = outlier->count,
                                               .ejected = outlier->ejected,
                                               .times = host->times},
                                     .host = host};
    host->pending++;
    weir__outbox_add(&outlier->outbox, &note);
}

/* How many may be ejected: the share, rounded down; but one if that is wanted; never the last. */
static uint32_t outlier_most(const weir_outlier *outlier)
{
    uint64_t most = (uint64_t)outlier->count * outlier->options.max_ejected_percent / 100;
    if (most == 0 && outlier->options.always_one)
        most = 1;
    return most < outlier->count ? (uint32_t)most : outlier->count - 1;
}

static uint64_t outlier_jitter_ns(weir_outlier *outlier)
{
    uint64_t const most_ns = outlier->options.jitter_ms * WEIR__NS_PER_MS;
    return weir__rng_below(&outlier->rng, most_ns + 1);
}

static void host_eject(weir_outlier_host *host, const weir__outlier_finding *finding)
{
    weir_outlier *const outlier = host->outlier;
    uint64_t const max_ns = outlier->options.max_ms * WEIR__NS_PER_MS;
    host->times++;
    uint64_t const for_ns = weir__mul_ns(host->times, outlier->options.base_ms * WEIR__NS_PER_MS);
    host->until_ns = weir__add_ns(outlier->now_ns,
                                  (for_ns < max_ns ? for_ns : max_ns) + outlier_jitter_ns(outlier));
    host->ejected = true;
    host->detection = finding->detection;
    host->ejections++;
    outlier->ejected++;
    outlier->ejections++;
    atomic_store(&host->out, true);
    outlier_note(host, WEIR_OUTLIER_EJECTED, finding);
}

bool weir__outlier_found(weir_outlier_host *host, const weir__outlier_finding *finding)
{
    weir_outlier *const outlier = host->outlier;
    if (host->ejected || host->left)
        return true;
    if (outlier->options.dry_run) {
        outlier_note(host, WEIR_OUTLIER_DETECTED, finding);
    } else if (outlier->ejected >= outlier_most(outlier)) {
        outlier->spared++;
        outlier_note(host, WEIR_OUTLIER_SPARED, finding);
    } else if (outlier_can_tell(outlier)) {
        host_eject(host, finding);
    } else {
        return false;
    }
    return true;
}

/* Results begin anew: what it did before is what it was ejected for. */
static void host_begin(weir_outlier_host *host)
{
    atomic_store(&host->server, 0);
    atomic_store(&host->local, 0);
    atomic_store(&host->busy_ns, 0);
    atomic_store(&host->in_a_row, 0);
    atomic_store(&host->gateway_in_a_row, 0);
    atomic_store(&host->local_in_a_row, 0);
    atomic_store(&host->out, false);
}

bool weir__outlier_return(weir_outlier_host *host)
{
    if (!outlier_can_tell(host->outlier))
        return false;
    host->ejected = false;
    host->until_ns = 0;
    host->returned_ns = host->outlier->now_ns;
    host->outlier->ejected--;
    host_begin(host);
    outlier_note(host, WEIR_OUTLIER_RETURNED,
                 &(weir__outlier_finding){.detection = host->detection});
    return true;
}

/* The row has reached its limit, or a multiple of it while the host is spared. */
static void host_found_in_a_row(weir_outlier_host *host, weir_outlier_detection detection,
                                uint32_t in_a_row, uint32_t limit, uint64_t now_ns)
{
    weir_outlier *const outlier = host->outlier;
    pthread_mutex_lock(&outlier->lock);
    weir__outlier_see(outlier, now_ns);
    (void)weir__outlier_found(host, &(weir__outlier_finding){.detection = detection,
                                                             .figure = in_a_row,
                                                             .threshold = limit,
                                                             .calls = in_a_row});
    weir__outlier_unlock(outlier);
}

static void host_count_row(weir_outlier_host *host, _Atomic uint32_t *row, uint32_t limit,
                           weir_outlier_detection detection, uint64_t now_ns)
{
    uint32_t const in_a_row = atomic_fetch_add_explicit(row, 1, memory_order_relaxed) + 1;
    if (limit > 0 && in_a_row % limit == 0)
        host_found_in_a_row(host, detection, in_a_row, limit, now_ns);
}

static void host_end_row(_Atomic uint32_t *row)
{
    if (WEIR__UNLIKELY(atomic_load_explicit(row, memory_order_relaxed) != 0))
        atomic_store_explicit(row, 0, memory_order_relaxed);
}

/* Whatever it said, it was reached. */
static void host_answered(weir_outlier_host *host)
{
    host_end_row(&host->local_in_a_row);
    if (atomic_load_explicit(&host->outlier->rows.split, memory_order_relaxed))
        atomic_fetch_add_explicit(&host->local, WEIR__OUTLIER_CALL, memory_order_relaxed);
}

static void host_failed(weir_outlier_host *host, weir_outlier_origin origin, uint64_t now_ns)
{
    const weir__outlier_rows *const rows = &host->outlier->rows;
    bool const apart =
        origin == WEIR_ORIGIN_LOCAL && atomic_load_explicit(&rows->split, memory_order_relaxed);
    _Atomic uint64_t *const counts = apart ? &host->local : &host->server;
    atomic_fetch_add_explicit(counts, WEIR__OUTLIER_FAILURE, memory_order_relaxed);
    if (apart) {
        host_count_row(host, &host->local_in_a_row, atomic_load(&rows->local),
                       WEIR_OUTLIER_CONSECUTIVE_LOCAL, now_ns);
        return;
    }
    if (origin != WEIR_ORIGIN_LOCAL)
        host_answered(host);
    if (origin == WEIR_ORIGIN_SERVER)
        host_end_row(&host->gateway_in_a_row);
    else
        host_count_row(host, &host->gateway_in_a_row, atomic_load(&rows->gateway),
                       WEIR_OUTLIER_CONSECUTIVE_GATEWAY, now_ns);
    host_count_row(host, &host->in_a_row, atomic_load(&rows->any), WEIR_OUTLIER_CONSECUTIVE,
                   now_ns);
}

void weir_outlier_record(weir_outlier_host *host, weir_outcome outcome, weir_outlier_origin origin,
                         uint64_t latency_ns, uint64_t now_ns)
{
    if (outcome == WEIR_IGNORED || outcome == WEIR_CANCELLED ||
        WEIR__UNLIKELY(atomic_load_explicit(&host->out, memory_order_relaxed)))
        return;
    if (WEIR__UNLIKELY(outcome == WEIR_FAILURE || outcome == WEIR_TIMEOUT)) {
        host_failed(host, origin, now_ns);
        return;
    }
    host_end_row(&host->in_a_row);
    host_end_row(&host->gateway_in_a_row);
    host_answered(host);
    if (outcome != WEIR_SUCCESS)
        return;
    atomic_fetch_add_explicit(&host->server, WEIR__OUTLIER_CALL, memory_order_relaxed);
    atomic_fetch_add_explicit(&host->busy_ns, latency_ns, memory_order_relaxed);
}

int weir_outlier_eject(weir_outlier_host *host, uint64_t now_ns)
{
    weir_outlier *const outlier = host->outlier;
    pthread_mutex_lock(&outlier->lock);
    weir__outlier_see(outlier, now_ns);
    bool const can = !host->ejected && !host->left && outlier->ejected + 1 < outlier->count &&
                     outlier_can_tell(outlier);
    if (can)
        host_eject(host, &(weir__outlier_finding){.detection = WEIR_OUTLIER_BY_HAND});
    weir__outlier_unlock(outlier);
    return can ? WEIR_OK : WEIR_EBUSY;
}

int weir_outlier_uneject(weir_outlier_host *host, uint64_t now_ns)
{
    weir_outlier *const outlier = host->outlier;
    pthread_mutex_lock(&outlier->lock);
    weir__outlier_see(outlier, now_ns);
    bool const returned = host->ejected && weir__outlier_return(host);
    weir__outlier_unlock(outlier);
    return returned ? WEIR_OK : WEIR_EBUSY;
}

bool weir_outlier_is_ejected(const weir_outlier_host *host)
{
    return atomic_load(&host->out);
}
