#include "breaker/window.h"

#define WINDOW_FAILED UINT32_C(1)
#define WINDOW_SLOW   UINT32_C(2)

/*
 * Tags are 32 bits of a longer number, so only a tag that is a little ahead is taken for newer:
 * that is a thread held up between reading the time and counting. Anything else is an old tag.
 */
#define WINDOW_LAG (UINT32_C(1) << 18)

static uint32_t window_slot_tag(uint64_t generation)
{
    return (uint32_t)generation << 2;
}

static bool window_newer(uint32_t found, uint32_t ours)
{
    return found - ours - 1 < WINDOW_LAG;
}

static uint64_t tagged(uint32_t tag, int32_t count)
{
    return (uint64_t)tag << 32 | (uint32_t)count;
}

static int32_t tagged_count(uint64_t word)
{
    return (int32_t)(uint32_t)word;
}

/* An addend of another tag starts the count anew, unless a newer tag has done so already. */
static void tagged_add(weir__tagged *word, uint32_t tag, int32_t addend)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    for (;;) {
        uint32_t const old_tag = (uint32_t)(old >> 32);
        if (old != 0 && window_newer(old_tag, tag))
            return;
        int32_t const count = old_tag == tag ? tagged_count(old) : 0;
        if (count == INT32_MAX && addend > 0)
            return; /* Two billion calls in one bucket say enough. */
        if (atomic_compare_exchange_weak_explicit(word, &old, tagged(tag, count + addend),
                                                  memory_order_acq_rel, memory_order_relaxed))
            return;
    }
}

/* To 0, unless it is there, or belongs to another tag. */
static void tagged_clear(weir__tagged *word, uint32_t tag)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while ((uint32_t)(old >> 32) == tag && tagged_count(old) != 0)
        if (atomic_compare_exchange_weak_explicit(word, &old, tagged(tag, 0), memory_order_acq_rel,
                                                  memory_order_relaxed))
            return;
}

/* A total may be below 0 for the moment between two threads' differences. */
static uint32_t tagged_read(weir__tagged *word, uint32_t tag)
{
    uint64_t const value = atomic_load_explicit(word, memory_order_acquire);
    int32_t const count = tagged_count(value);
    return (uint32_t)(value >> 32) == tag && count > 0 ? (uint32_t)count : 0;
}

static void tally_add(weir__tally *tally, uint32_t tag, int32_t calls, int32_t failures,
                      int32_t slow)
{
    if (calls != 0)
        tagged_add(&tally->calls, tag, calls);
    if (failures != 0)
        tagged_add(&tally->failures, tag, failures);
    if (slow != 0)
        tagged_add(&tally->slow, tag, slow);
}

/* Failures first: a call that arrives meanwhile must not make the share seem larger. */
static void tally_read(weir__tally *tally, uint32_t tag, weir__window_counts *counts)
{
    counts->failures += tagged_read(&tally->failures, tag);
    counts->slow += tagged_read(&tally->slow, tag);
    counts->calls += tagged_read(&tally->calls, tag);
}

static void window_add_streak(weir__window *window, uint32_t tag, bool failed)
{
    if (failed)
        tagged_add(&window->streak, tag, 1);
    else
        tagged_clear(&window->streak, tag);
}

/*
 * The cursor counts on past the end; whoever crosses it takes a lap off. Neither changes the cursor
 * modulo the size, so slots are taken in turn, and no division is needed.
 */
static uint64_t window_next_slot(weir__window *window)
{
    uint64_t at = atomic_fetch_add_explicit(&window->cursor, 1, memory_order_relaxed);
    if (WEIR__LIKELY(at < window->size))
        return at;
    do
        at -= window->size;
    while (at >= window->size);
    if (at == 0)
        atomic_fetch_sub_explicit(&window->cursor, window->size, memory_order_relaxed);
    return at;
}

static void window_add_slot(weir__window *window, uint32_t generation, uint32_t outcome)
{
    _Atomic uint32_t *const slot = &window->slots[window_next_slot(window)];
    uint32_t const tag = window_slot_tag(generation);
    uint32_t old = atomic_load_explicit(slot, memory_order_relaxed);
    do {
        if (old == (tag | outcome))
            return; /* As before: no total changes. */
        if (old != 0 && window_newer(old & ~UINT32_C(3), tag))
            return; /* This call was held up over a change of generation. */
    } while (!atomic_compare_exchange_weak_explicit(slot, &old, tag | outcome, memory_order_relaxed,
                                                    memory_order_relaxed));
    bool const taken = (old & ~UINT32_C(3)) == tag;
    int32_t const failed = (outcome & WINDOW_FAILED) != 0, slow = (outcome & WINDOW_SLOW) != 0;
    int32_t const was_failed = taken && (old & WINDOW_FAILED) != 0;
    int32_t const was_slow = taken && (old & WINDOW_SLOW) != 0;
    tally_add(&window->total, generation, taken ? 0 : 1, failed - was_failed, slow - was_slow);
}

/* Buckets since time began, on a clock that never steps back. */
static uint64_t window_bucket_of(weir__window *window, uint64_t now_ns)
{
    uint64_t const bucket = now_ns / window->bucket_ns;
    uint64_t newest = atomic_load_explicit(&window->newest, memory_order_relaxed);
    while (bucket > newest)
        if (atomic_compare_exchange_weak_explicit(&window->newest, &newest, bucket,
                                                  memory_order_relaxed, memory_order_relaxed))
            return bucket;
    return newest;
}

/*
 * Each generation has turns of its own, far beyond those of the one before: a call that is held up
 * over a change of generation counts in a turn that nobody reads any more.
 */
static uint64_t window_turn(weir__window *window, uint64_t generation, uint64_t now_ns)
{
    return window_bucket_of(window, now_ns) + (generation << 16);
}

static void window_add_turn(weir__window *window, uint64_t turn, int32_t calls, int32_t failures,
                            int32_t slow)
{
    weir__tally *const bucket = &window->buckets[turn % window->size];
    tally_add(bucket, (uint32_t)turn, calls, failures, slow);
}

static void window_add(weir__window *window, uint64_t generation, uint64_t now_ns, bool failed,
                       bool slow)
{
    if (window->kind == WEIR_BREAKER_COUNT_WINDOW)
        window_add_slot(window, (uint32_t)generation,
                        (failed ? WINDOW_FAILED : 0) | (slow ? WINDOW_SLOW : 0));
    else
        window_add_turn(window, window_turn(window, generation, now_ns), 1, failed, slow);
    window_add_streak(window, (uint32_t)generation, failed);
}

/* The oldest turn that still counts at `turn`. */
static uint64_t window_oldest(weir__window *window, uint64_t turn)
{
    uint64_t const first = atomic_load_explicit(&window->first, memory_order_acquire);
    uint64_t const oldest = turn >= window->size ? turn - window->size + 1 : 0;
    return first > oldest ? first : oldest;
}

void weir__window_read(weir__window *window, uint64_t generation, uint64_t now_ns,
                       weir__window_counts *counts)
{
    *counts = (weir__window_counts){.streak = tagged_read(&window->streak, (uint32_t)generation)};
    if (window->kind == WEIR_BREAKER_COUNT_WINDOW) {
        tally_read(&window->total, (uint32_t)generation, counts);
        return;
    }
    uint64_t const newest = window_turn(window, generation, now_ns);
    uint64_t turn = window_oldest(window, newest);
    for (uint64_t i = turn % window->size; turn <= newest; turn++) {
        tally_read(&window->buckets[i], (uint32_t)turn, counts);
        i = i + 1 < window->size ? i + 1 : 0;
    }
}

bool weir__window_reaches(uint32_t count, uint32_t calls, uint32_t percent)
{
    return percent != 0 && (uint64_t)count * 100 >= (uint64_t)percent * calls;
}

bool weir__window_judge(const weir_breaker_options *o, const weir__window_counts *counts,
                        weir_breaker_reason *reason)
{
    bool const enough = counts->calls >= o->min_calls;
    if (enough && weir__window_reaches(counts->failures, counts->calls, o->failure_percent))
        *reason = WEIR_BREAKER_FAILURE_RATE;
    else if (enough && weir__window_reaches(counts->slow, counts->calls, o->slow_percent))
        *reason = WEIR_BREAKER_SLOW_RATE;
    else if (o->consecutive_failures != 0 && counts->streak >= o->consecutive_failures)
        *reason = WEIR_BREAKER_STREAK;
    else
        return false;
    return true;
}

bool weir__window_count(weir__window *window, const weir_breaker_options *options,
                        uint64_t generation, uint64_t now_ns, bool failed, bool slow)
{
    weir__window_counts counts;
    weir_breaker_reason reason;
    window_add(window, generation, now_ns, failed, slow);
    weir__window_read(window, generation, now_ns, &counts);
    return weir__window_judge(options, &counts, &reason);
}

void weir__window_begin(weir__window *window, uint64_t generation, uint64_t now_ns)
{
    if (window->kind == WEIR_BREAKER_TIME_WINDOW)
        atomic_store_explicit(&window->first, window_turn(window, generation, now_ns),
                              memory_order_release);
}

static void window_copy_slots(weir__window *to, weir__window *from, uint64_t generation)
{
    uint64_t const oldest = atomic_load(&from->cursor);
    for (uint64_t i = 0; i < from->size; i++) {
        uint32_t const slot = atomic_load(&from->slots[(oldest + i) % from->size]);
        if ((slot & ~UINT32_C(3)) == window_slot_tag(generation))
            window_add_slot(to, (uint32_t)generation, slot & UINT32_C(3));
    }
}

/* Turns are counted back from now, in which both windows agree. */
static void window_copy_turns(weir__window *to, weir__window *from, uint64_t generation,
                              uint64_t now_ns)
{
    uint64_t const from_turn = window_turn(from, generation, now_ns);
    uint64_t const to_turn = window_turn(to, generation, now_ns);
    uint64_t first = to_turn;
    for (uint64_t turn = window_oldest(from, from_turn); turn <= from_turn; turn++) {
        weir__window_counts counts = {.calls = 0};
        tally_read(&from->buckets[turn % from->size], (uint32_t)turn, &counts);
        uint64_t const back = (from_turn - turn) * from->bucket_ns / to->bucket_ns;
        if (back >= to->size || back > to_turn)
            continue;
        if (to_turn - back < first)
            first = to_turn - back;
        window_add_turn(to, to_turn - back, (int32_t)counts.calls, (int32_t)counts.failures,
                        (int32_t)counts.slow);
    }
    atomic_store(&to->first, first);
}

void weir__window_copy(weir__window *to, weir__window *from, uint64_t generation, uint64_t now_ns)
{
    weir__window_begin(to, generation, now_ns);
    if (to->kind != from->kind)
        return;
    if (to->kind == WEIR_BREAKER_COUNT_WINDOW)
        window_copy_slots(to, from, generation);
    else
        window_copy_turns(to, from, generation, now_ns);
    atomic_store(&to->streak, atomic_load(&from->streak));
}

static size_t window_bytes(weir_breaker_window kind, uint32_t size)
{
    size_t const item =
        kind == WEIR_BREAKER_COUNT_WINDOW ? sizeof(_Atomic uint32_t) : sizeof(weir__tally);
    return sizeof(weir__window) + item * size;
}

static uint32_t window_size(const weir_breaker_options *options)
{
    return options->window == WEIR_BREAKER_COUNT_WINDOW ? options->window_calls
                                                        : options->window_buckets;
}

static uint64_t window_bucket_ns(const weir_breaker_options *options)
{
    return options->window_ms * WEIR__NS_PER_MS / options->window_buckets;
}

weir__window *weir__window_new(const weir_env *env, const weir_breaker_options *options)
{
    uint32_t const size = window_size(options);
    weir__window *const window = weir__alloc(env, window_bytes(options->window, size));
    if (window == NULL)
        return NULL;
    window->kind = options->window;
    window->size = size;
    window->bucket_ns = window_bucket_ns(options);
    window->slots = (void *)(window + 1);
    window->buckets = (void *)(window + 1);
    return window;
}

void weir__window_free(const weir_env *env, weir__window *window)
{
    if (window != NULL)
        weir__free(env, window, window_bytes(window->kind, window->size));
}

bool weir__window_fits(const weir__window *window, const weir_breaker_options *options)
{
    return window->kind == options->window && window->size == window_size(options) &&
           (window->kind == WEIR_BREAKER_COUNT_WINDOW ||
            window->bucket_ns == window_bucket_ns(options));
}
