#include "balancer/ketama.h"

#include "base/xxhash.h"

#include <stdlib.h>
#include <string.h>

/* A point while the ring is being sorted. */
typedef struct ketama_mark {
    uint64_t hash;
    uint32_t owner;
} ketama_mark;

static uint32_t ketama_least_weight(const weir__hashed *members, size_t count, uint64_t *sum)
{
    uint32_t least = UINT32_MAX;
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        *sum += members[i].weight;
        if (members[i].weight > 0 && members[i].weight < least)
            least = members[i].weight;
    }
    return least;
}

static double ketama_ceil(double x)
{
    double const whole = (double)(uint64_t)x;
    return whole < x ? whole + 1.0 : whole;
}

/* Points of each, as Envoy shares them out: in doubles, and what rounding leaves over goes on. */
static void ketama_count_as_envoy(const weir__hashed *members, size_t count, uint32_t min,
                                  uint32_t max, uint32_t *points)
{
    uint64_t sum;
    double const least = ketama_least_weight(members, count, &sum) / (double)sum;
    if (sum == 0)
        return;
    double scale = ketama_ceil(least * min) / least;
    if (scale > max)
        scale = max;
    uint64_t given = 0;
    double due = 0;
    for (size_t i = 0; i < count; i++) {
        due += scale * (members[i].weight / (double)sum);
        for (; (double)given < due && members[i].weight > 0; given++)
            points[i]++;
    }
}

/* Points of each, by its weight alone as long as the ring does not grow out of bounds. */
static void ketama_count_each(const weir__hashed *members, size_t count, uint32_t max,
                              uint32_t *points)
{
    uint64_t sum, most = WEIR__KETAMA_POINTS * count;
    uint64_t const least = ketama_least_weight(members, count, &sum);
    unsigned halved = 0;
    if (most > max)
        most = max;
    while ((WEIR__KETAMA_POINTS * sum / least) >> halved > most)
        halved++;
    for (size_t i = 0; i < count; i++) {
        uint64_t const share = (WEIR__KETAMA_POINTS * members[i].weight / least) >> halved;
        points[i] = members[i].weight == 0 || share > 0 ? (uint32_t)share : 1;
    }
}

/* As few buckets as have no more than four points each, in the mean; at least 2. */
static int ketama_allocate(weir__ketama *ring, const weir_env *env, uint32_t size)
{
    unsigned bits = 1;
    while (size >> bits > 4)
        bits++;
    ring->size = size;
    ring->shift = 64 - bits;
    ring->bucket_count = UINT32_C(1) << bits;
    ring->points = weir__alloc(env, ((size_t)size + 1) * sizeof *ring->points);
    ring->lows = weir__alloc(env, ((size_t)size + 1) * sizeof *ring->lows);
    ring->buckets = weir__alloc(env, ((size_t)ring->bucket_count + 1) * sizeof *ring->buckets);
    if (ring->points != NULL && ring->lows != NULL && ring->buckets != NULL)
        return WEIR_OK;
    weir__ketama_free(ring, env);
    return WEIR_ENOMEM;
}

/* Writes number in decimal after the text that ends at `end`; returns the new end. */
static char *ketama_append(char *end, uint32_t number)
{
    char digits[10];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *end++ = digits[--count];
    return end;
}

static ketama_mark *ketama_mark_member(ketama_mark *mark, const weir__hashed *member,
                                       uint32_t owner, uint32_t points, char *name)
{
    memcpy(name, member->key, member->key_size);
    name[member->key_size] = '_';
    char *const number = name + member->key_size + 1;
    for (uint32_t i = 0; i < points; i++) {
        size_t const name_size = (size_t)(ketama_append(number, i) - name);
        *mark++ = (ketama_mark){.hash = weir__xxhash64(name, name_size, 0), .owner = owner};
    }
    return mark;
}

static int ketama_compare(const void *left, const void *right)
{
    const ketama_mark *const a = left, *const b = right;
    bool const before = a->hash != b->hash ? a->hash < b->hash : a->owner < b->owner;
    return before ? -1 : 1;
}

static void ketama_sort_bucket(ketama_mark *marks, uint32_t count)
{
    if (count > 8) {
        qsort(marks, count, sizeof *marks, ketama_compare);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        ketama_mark const moved = marks[i];
        uint32_t to = i;
        for (; to > 0 && ketama_compare(&marks[to - 1], &moved) > 0; to--)
            marks[to] = marks[to - 1];
        marks[to] = moved;
    }
}

/*
 * Swaps each into the bucket of its top bits. A bucket fills from its end down: tops[b] holds the
 * lowest that is in place, at first its end, and at last where it begins.
 */
static void ketama_deal(ketama_mark *marks, uint32_t size, uint32_t *tops, unsigned shift)
{
    for (uint32_t at = 0; at < size; at++) {
        ketama_mark *const here = &marks[at];
        uint32_t *top;
        while (top = &tops[here->hash >> shift], at < *top) {
            ketama_mark *const there = &marks[--*top];
            ketama_mark const moved = *here;
            *here = *there;
            *there = moved;
        }
    }
}

static void ketama_sum(uint32_t *tops, uint32_t count)
{
    for (uint32_t b = 1; b < count; b++)
        tops[b] += tops[b - 1];
}

/* In time linear in the marks. A rough deal first keeps the fine one within the cache. */
static void ketama_sort(weir__ketama *ring, ketama_mark *marks)
{
    uint32_t rough[256] = {0};
    for (uint32_t i = 0; i < ring->size; i++)
        rough[marks[i].hash >> 56]++;
    ketama_sum(rough, 256);
    ketama_deal(marks, ring->size, rough, 56);
    for (uint32_t i = 0; i < ring->size; i++)
        ring->buckets[marks[i].hash >> ring->shift]++;
    ketama_sum(ring->buckets, ring->bucket_count + 1);
    ketama_deal(marks, ring->size, ring->buckets, ring->shift);
    for (uint32_t b = 0; b < ring->bucket_count; b++)
        ketama_sort_bucket(marks + ring->buckets[b], ring->buckets[b + 1] - ring->buckets[b]);
}

static int ketama_fill(weir__ketama *ring, const weir_env *env, const weir__hashed *members,
                       size_t count, const uint32_t *points, char *name)
{
    size_t const bytes = ((size_t)ring->size + 1) * sizeof(ketama_mark);
    ketama_mark *const marks = weir__alloc(env, bytes);
    if (marks == NULL)
        return WEIR_ENOMEM;
    ketama_mark *end = marks;
    for (uint32_t i = 0; i < count; i++)
        end = ketama_mark_member(end, &members[i], i, points[i], name);
    ketama_sort(ring, marks);
    *end =
        (ketama_mark){.hash = UINT64_MAX, .owner = ring->size > 0 ? marks[0].owner : WEIR__NOBODY};
    for (uint32_t i = 0; i <= ring->size; i++) {
        ring->points[i] =
            (weir__ketama_point){.high = (uint32_t)(marks[i].hash >> 32), .owner = marks[i].owner};
        ring->lows[i] = (uint32_t)marks[i].hash;
    }
    weir__free(env, marks, bytes);
    return WEIR_OK;
}

int weir__ketama_build(weir__ketama *ring, const weir_env *env, const weir__hashed *members,
                       size_t count, uint32_t min, uint32_t max)
{
    size_t longest = 0, size = 0;
    for (size_t i = 0; i < count; i++)
        if (members[i].key_size > longest)
            longest = members[i].key_size;
    *ring = (weir__ketama){.points = NULL};
    size_t const bytes = count * sizeof(uint32_t) + longest + sizeof "_4294967295";
    uint32_t *const points = weir__alloc(env, bytes);
    if (points == NULL)
        return WEIR_ENOMEM;
    if (min > 0)
        ketama_count_as_envoy(members, count, min, max, points);
    else
        ketama_count_each(members, count, max, points);
    for (size_t i = 0; i < count; i++)
        size += points[i];
    int result = ketama_allocate(ring, env, (uint32_t)size);
    if (result == WEIR_OK) {
        result = ketama_fill(ring, env, members, count, points, (char *)(points + count));
        if (result != WEIR_OK)
            weir__ketama_free(ring, env);
    }
    weir__free(env, points, bytes);
    return result;
}

void weir__ketama_free(weir__ketama *ring, const weir_env *env)
{
    weir__free(env, ring->points, ((size_t)ring->size + 1) * sizeof *ring->points);
    weir__free(env, ring->lows, ((size_t)ring->size + 1) * sizeof *ring->lows);
    weir__free(env, ring->buckets, ((size_t)ring->bucket_count + 1) * sizeof *ring->buckets);
    *ring = (weir__ketama){.points = NULL};
}
