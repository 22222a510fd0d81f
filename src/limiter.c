#include <weir/limiter.h>

#include "base/env.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * The TAT and the number of the policy it is counted under share one word, so that an update is
 * one compare-and-swap too: 62 bits of time, and 2 of number. Policy n lives in place n mod 2. It
 * is overwritten only once n + 1 is in force, so what was read there holds while the word does.
 *
 * The number comes round after four updates. A call stopped between reading and swapping while
 * these pass, and the TAT comes back to the very nanosecond, is booked at an interval no longer in
 * force: the price of 6 ns instead of 12. The clock runs, so the TAT hardly comes back; if it
 * does, the one call's own permits may be free, or last as long as at the other rate.
 */
#define LIMITER_TAT_BITS     62
#define LIMITER_TAT_MASK     ((UINT64_C(1) << LIMITER_TAT_BITS) - 1)
#define LIMITER_MAX_NOW_NS   (UINT64_C(1) << 61)
#define LIMITER_MAX_AHEAD_NS (UINT64_C(1) << 60) /* From now to where a booking starts... */
#define LIMITER_MAX_BURST_NS (UINT64_C(1) << 59) /* ...and how long it lasts: the sum fits. */

typedef struct limiter_policy {
    _Atomic uint64_t interval_ns; /* A permit's; 0 = unlimited. */
    _Atomic uint64_t burst;       /* Permits... */
    _Atomic uint64_t burst_ns;    /* ...and how long it takes them all to come back. */
    _Atomic bool dry_run;
} limiter_policy;

struct weir_limiter {
    weir_env env; /* Fixed after create. */
    limiter_policy policies[2];
    char apart[WEIR__CACHE_LINE]; /* What is written by each call, from what is only read. */
    _Atomic uint64_t word;
    char apart_too[WEIR__CACHE_LINE];
    _Atomic uint64_t refused;
    _Atomic uint64_t round; /* Written under the lock: reservations of older rounds are final. */
    pthread_mutex_t lock;   /* Updates and cancels, one at a time. */
};

static inline uint64_t limiter_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline limiter_policy *limiter_policy_of(weir_limiter *limiter, uint64_t word)
{
    return &limiter->policies[word >> LIMITER_TAT_BITS & 1];
}

/* Acquire: whoever sees a place overwritten will also see the word that retired it. */
static inline uint64_t limiter_get(_Atomic uint64_t *field)
{
    return atomic_load_explicit(field, memory_order_acquire);
}

typedef struct limiter_booking {
    uint64_t wait_ns; /* Until the permits are there. */
    uint64_t tat;     /* After it; meaningless if nothing was taken. */
    bool dry_run;     /* A refusal is not meant. */
} limiter_booking;

/* What the policy has to say when the TAT is `tat`. All within bounds; cost >= 1. */
static inline int limiter_judge(limiter_policy *policy, uint64_t tat, uint64_t cost,
                                uint64_t now_ns, uint64_t max_wait_ns, limiter_booking *booking)
{
    uint64_t const interval_ns = limiter_get(&policy->interval_ns);
    uint64_t const burst_ns = limiter_get(&policy->burst_ns);
    booking->wait_ns = 0;
    booking->tat = tat;
    booking->dry_run = atomic_load_explicit(&policy->dry_run, memory_order_acquire);
    if (WEIR__UNLIKELY(interval_ns == 0))
        return WEIR_OK;
    if (WEIR__UNLIKELY(cost > limiter_get(&policy->burst)))
        return WEIR_ENEVER;
    booking->tat = (tat > now_ns ? tat : now_ns) + cost * interval_ns;
    if (booking->tat > now_ns + burst_ns)
        booking->wait_ns = booking->tat - burst_ns - now_ns;
    return booking->wait_ns <= max_wait_ns ? WEIR_OK : WEIR_ELIMITED;
}

/* Takes cost permits if they are there within max_wait_ns: WEIR_OK, or the reason why not. */
static inline int limiter_book(weir_limiter *limiter, uint64_t cost, uint64_t now_ns,
                               uint64_t max_wait_ns, limiter_booking *booking)
{
    uint64_t word = atomic_load_explicit(&limiter->word, memory_order_acquire);
    for (;;) {
        uint64_t const tat = word & LIMITER_TAT_MASK;
        int const result = limiter_judge(limiter_policy_of(limiter, word), tat, cost, now_ns,
                                         max_wait_ns, booking);
        if (WEIR__UNLIKELY(result != WEIR_OK || booking->tat == tat)) {
            /* Nothing to write; but was what was read still in force? */
            uint64_t const again = atomic_load_explicit(&limiter->word, memory_order_acquire);
            if (again == word)
                return result;
            word = again;
        } else if (atomic_compare_exchange_weak_explicit(&limiter->word, &word,
                                                         word - tat + booking->tat,
                                                         memory_order_acq_rel,
                                                         memory_order_acquire)) {
            return WEIR_OK;
        }
    }
}

/* Counts a refusal, and takes it back in dry run. */
static int limiter_refuse(weir_limiter *limiter, const limiter_booking *booking, int reason)
{
    atomic_fetch_add_explicit(&limiter->refused, 1, memory_order_relaxed);
    return booking->dry_run ? WEIR_OK : reason;
}

int weir_limiter_try_at(weir_limiter *limiter, uint64_t cost, uint64_t now_ns,
                        uint64_t *retry_after_ns)
{
    if (WEIR__UNLIKELY(cost == 0))
        return WEIR_EINVAL;
    limiter_booking booking;
    int result = limiter_book(limiter, cost, limiter_min(now_ns, LIMITER_MAX_NOW_NS), 0, &booking);
    if (retry_after_ns != NULL)
        *retry_after_ns = result == WEIR_ENEVER ? WEIR_NEVER : booking.wait_ns;
    if (result != WEIR_OK)
        result = limiter_refuse(limiter, &booking, result);
    return result;
}

int weir_limiter_try(weir_limiter *limiter, uint64_t cost, uint64_t *retry_after_ns)
{
    return weir_limiter_try_at(limiter, cost, weir__now_ns(&limiter->env), retry_after_ns);
}

int weir_limiter_reserve(weir_limiter *limiter, uint64_t cost, uint64_t now_ns,
                         uint64_t max_wait_ns, weir_reservation *out)
{
    *out = (weir_reservation){.ready_ns = WEIR_NEVER};
    if (cost == 0)
        return WEIR_EINVAL;
    limiter_booking booking;
    /* Before the booking: one that a later round overtakes must not claim to be of it. */
    uint64_t const round = atomic_load_explicit(&limiter->round, memory_order_acquire);
    uint64_t const from_ns = limiter_min(now_ns, LIMITER_MAX_NOW_NS);
    int const result = limiter_book(limiter, cost, from_ns,
                                    limiter_min(max_wait_ns, LIMITER_MAX_AHEAD_NS), &booking);
    if (result == WEIR_OK)
        *out = (weir_reservation){.cost = cost, .slot_ns = booking.tat, .round = round};
    if (result != WEIR_ENEVER)
        out->ready_ns = from_ns + booking.wait_ns;
    if (booking.dry_run)
        out->ready_ns = from_ns;
    return result == WEIR_OK ? WEIR_OK : limiter_refuse(limiter, &booking, result);
}

/* Lock held; of this round, and the slot lies ahead. */
static uint64_t limiter_give_back(weir_limiter *limiter, const weir_reservation *reservation)
{
    uint64_t word = atomic_load(&limiter->word);
    uint64_t const interval_ns = limiter_get(&limiter_policy_of(limiter, word)->interval_ns);
    uint64_t const size_ns = reservation->cost * interval_ns;
    uint64_t behind_ns = 0;
    do {
        behind_ns = (word & LIMITER_TAT_MASK) - reservation->slot_ns;
        if (behind_ns >= size_ns)
            return 0;
    } while (!atomic_compare_exchange_weak(&limiter->word, &word, word - (size_ns - behind_ns)));
    /* Later bookings now reach beyond the TAT: how much is booked behind them can't be told. */
    if (behind_ns > 0)
        atomic_fetch_add(&limiter->round, 1);
    return size_ns - behind_ns;
}

uint64_t weir_limiter_cancel(weir_limiter *limiter, weir_reservation *reservation, uint64_t now_ns)
{
    uint64_t given_ns = 0;
    pthread_mutex_lock(&limiter->lock);
    if (reservation->cost > 0 && now_ns <= reservation->ready_ns &&
        reservation->round == atomic_load(&limiter->round))
        given_ns = limiter_give_back(limiter, reservation);
    reservation->cost = 0;
    pthread_mutex_unlock(&limiter->lock);
    return given_ns;
}

int weir_limiter_acquire(weir_limiter *limiter, uint64_t cost, uint64_t deadline_ns)
{
    uint64_t const now_ns = weir__now_ns(&limiter->env);
    if (cost > 0 && now_ns > deadline_ns)
        return WEIR_EDEADLINE;
    weir_reservation reservation;
    int const result =
        weir_limiter_reserve(limiter, cost, now_ns,
                             deadline_ns == WEIR_NEVER ? WEIR_NEVER : deadline_ns - now_ns,
                             &reservation);
    if (result == WEIR_OK && reservation.ready_ns > now_ns)
        weir__sleep_ns(&limiter->env, reservation.ready_ns - now_ns);
    return result == WEIR_ELIMITED ? WEIR_EDEADLINE : result;
}

static bool limiter_options_valid(const weir_limiter_options *o)
{
    if (o->limit == WEIR_LIMITER_UNLIMITED)
        return true;
    if (o->period_ns < 1 || o->period_ns > LIMITER_MAX_BURST_NS || o->limit < 1 ||
        o->limit > o->period_ns)
        return false;
    uint64_t const interval_ns = (o->period_ns - 1) / o->limit + 1;
    return (o->burst > 0 ? o->burst : o->limit) <= LIMITER_MAX_BURST_NS / interval_ns;
}

static int limiter_options_load(weir_limiter_options *loaded, const weir_limiter_options *options)
{
    *loaded = (weir_limiter_options)WEIR_LIMITER_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return WEIR_EINVAL;
    return limiter_options_valid(loaded) ? WEIR_OK : WEIR_EINVAL;
}

static void limiter_policy_set(limiter_policy *policy, const weir_limiter_options *o)
{
    uint64_t interval_ns = 0;
    uint64_t burst = UINT64_MAX;
    if (o->limit != WEIR_LIMITER_UNLIMITED) {
        interval_ns = (o->period_ns - 1) / o->limit + 1;
        burst = o->burst > 0 ? o->burst : o->limit;
    }
    atomic_store_explicit(&policy->interval_ns, interval_ns, memory_order_release);
    atomic_store_explicit(&policy->burst, burst, memory_order_release);
    atomic_store_explicit(&policy->burst_ns, burst * interval_ns, memory_order_release);
    atomic_store_explicit(&policy->dry_run, o->dry_run, memory_order_release);
}

/* part * of / whole, rounded up, by binary long multiplication; part < whole, all <= 2^59. */
static uint64_t limiter_scale(uint64_t part, uint64_t of, uint64_t whole)
{
    uint64_t quotient = 0;
    uint64_t rest = 0;
    for (unsigned bit = 60; bit-- > 0;) {
        rest = rest * 2 + ((of >> bit & 1) != 0 ? part : 0);
        quotient = quotient * 2 + rest / whole;
        rest %= whole;
    }
    return quotient + (rest > 0);
}

/* How long the permits that last debt_ns at interval `from_ns` last at interval `to_ns`. */
static uint64_t limiter_convert(uint64_t debt_ns, uint64_t from_ns, uint64_t to_ns)
{
    if (from_ns == 0 || to_ns == 0)
        return 0;
    uint64_t const whole_ns = weir__mul_ns(debt_ns / from_ns, to_ns);
    uint64_t const part_ns = limiter_scale(debt_ns % from_ns, to_ns, from_ns);
    return limiter_min(weir__add_ns(whole_ns, part_ns), LIMITER_MAX_AHEAD_NS);
}

int weir_limiter_update(weir_limiter *limiter, const weir_limiter_options *options)
{
    weir_limiter_options loaded;
    if (limiter_options_load(&loaded, options))
        return WEIR_EINVAL;
    pthread_mutex_lock(&limiter->lock);
    uint64_t const now_ns = limiter_min(weir__now_ns(&limiter->env), LIMITER_MAX_NOW_NS);
    uint64_t word = atomic_load(&limiter->word);
    uint64_t const number = (word >> LIMITER_TAT_BITS) + 1;
    limiter_policy *const old = limiter_policy_of(limiter, word);
    limiter_policy *const next = &limiter->policies[number & 1];
    limiter_policy_set(next, &loaded);
    uint64_t tat = 0;
    do {
        uint64_t const old_tat = word & LIMITER_TAT_MASK;
        uint64_t const debt_ns = old_tat > now_ns ? old_tat - now_ns : 0;
        /* An idle TAT moves up to now, so that no two updates leave it the same. */
        tat = now_ns + limiter_convert(debt_ns, limiter_get(&old->interval_ns),
                                       limiter_get(&next->interval_ns));
    } while (
        !atomic_compare_exchange_weak(&limiter->word, &word, number << LIMITER_TAT_BITS | tat));
    atomic_fetch_add(&limiter->round, 1);
    pthread_mutex_unlock(&limiter->lock);
    return WEIR_OK;
}

void weir_limiter_get_stats(weir_limiter *limiter, uint64_t now_ns, weir_limiter_stats *stats)
{
    uint64_t const at_ns = limiter_min(now_ns, LIMITER_MAX_NOW_NS);
    uint64_t word = atomic_load(&limiter->word);
    uint64_t interval_ns = 0;
    uint64_t burst_ns = 0;
    for (uint64_t before = ~word; before != word; word = atomic_load(&limiter->word)) {
        before = word;
        interval_ns = limiter_get(&limiter_policy_of(limiter, word)->interval_ns);
        burst_ns = limiter_get(&limiter_policy_of(limiter, word)->burst_ns);
    }
    uint64_t const tat = word & LIMITER_TAT_MASK;
    *stats = (weir_limiter_stats){.remaining = UINT64_MAX, .next_free_ns = now_ns};
    stats->refused = atomic_load_explicit(&limiter->refused, memory_order_relaxed);
    if (interval_ns == 0)
        return;
    stats->debt_ns = tat > at_ns ? tat - at_ns : 0;
    stats->remaining = (burst_ns - limiter_min(burst_ns, stats->debt_ns)) / interval_ns;
    if (stats->remaining == 0)
        stats->next_free_ns = at_ns + stats->debt_ns + interval_ns - burst_ns;
}

int weir_limiter_create(weir_limiter **out, const weir_limiter_options *options)
{
    *out = NULL;
    weir_limiter_options loaded;
    weir_env env;
    if (limiter_options_load(&loaded, options) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_limiter *const limiter = weir__alloc(&env, sizeof *limiter);
    if (limiter == NULL)
        return WEIR_ENOMEM;
    limiter->env = env;
    limiter_policy_set(&limiter->policies[0], &loaded);
    pthread_mutex_init(&limiter->lock, NULL);
    *out = limiter;
    return WEIR_OK;
}

void weir_limiter_destroy(weir_limiter *limiter)
{
    if (limiter == NULL)
        return;
    weir_env const env = limiter->env;
    pthread_mutex_destroy(&limiter->lock);
    weir__free(&env, limiter, sizeof *limiter);
}
