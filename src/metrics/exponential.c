/*
 * Exponential histograms, as OpenTelemetry's data model has them: indexes are exact, at every
 * scale, and the scale becomes coarser when the values need more buckets than there are.
 */
#include "metrics/metrics.h"

#define EXPONENTIAL_MAX_PLACES 160
#define EXPONENTIAL_FRACTION   52
#define EXPONENTIAL_NEAR       1e-6 /* Above the error of log2, times 2^20. */
#define EXPONENTIAL_LIMBS      4

/* A number from 1 to below 2, in 1 + 127 bits; the first limb is the highest. */
typedef struct exponential_fixed {
    uint32_t limbs[EXPONENTIAL_LIMBS];
} exponential_fixed;

/* 2^(1/2), 2^(1/4), 2^(1/8), ... */
static const exponential_fixed exponential_roots[20] = {
    {{0xb504f333, 0xf9de6484, 0x597d89b3, 0x754abe9f}},
    {{0x9837f051, 0x8db8a96f, 0x46ad2318, 0x2e42f6f6}},
    {{0x8b95c1e3, 0xea8bd6e6, 0xfbe46287, 0x58a53c90}},
    {{0x85aac367, 0xcc487b14, 0xc5c95b8c, 0x2154c1b2}},
    {{0x82cd8698, 0xac2ba1d7, 0x3e2a475b, 0x46520bff}},
    {{0x8164d1f3, 0xbc030773, 0x7be56527, 0xbd14def4}},
    {{0x80b1ed4f, 0xd999ab6c, 0x25335719, 0xb6e6fd20}},
    {{0x8058d7d2, 0xd5e5f6b0, 0x94d589f6, 0x08ee4aa2}},
    {{0x802c6436, 0xd0e04f50, 0xff8ce94a, 0x6797b3ce}},
    {{0x8016302f, 0x17467628, 0x3690dfe4, 0x4d11d008}},
    {{0x800b179c, 0x82028fd0, 0x945e54e2, 0xae18f2f0}},
    {{0x80058baf, 0x7fee3b5d, 0x1c718b38, 0xe549cb93}},
    {{0x8002c5d0, 0x0fdcfcb6, 0xb6566a58, 0xc048be1f}},
    {{0x800162e6, 0x1bed4a48, 0xe84c2e1a, 0x463473d9}},
    {{0x8000b172, 0x92f702a3, 0xaa22beac, 0xca949013}},
    {{0x800058b9, 0x2abbae02, 0x030c5fa5, 0x256f41fe}},
    {{0x80002c5c, 0x8dade4d7, 0x1776c0f4, 0xdbea67d6}},
    {{0x8000162e, 0x44eaf636, 0x526be456, 0x600bdbe4}},
    {{0x80000b17, 0x21fa7c18, 0x8307016c, 0x1cd4e8b6}},
    {{0x8000058b, 0x90de7e4c, 0xecfc4875, 0x03488bb1}},
};

/* Their product, which is below 2 as well, cut off. */
static exponential_fixed exponential_multiply(const exponential_fixed *a,
                                              const exponential_fixed *b)
{
    uint32_t product[2 * EXPONENTIAL_LIMBS] = {0};
    for (size_t i = EXPONENTIAL_LIMBS; i-- > 0;) {
        uint64_t carry = 0;
        for (size_t j = EXPONENTIAL_LIMBS; j-- > 0;) {
            carry += (uint64_t)a->limbs[i] * b->limbs[j] + product[i + j + 1];
            product[i + j + 1] = (uint32_t)carry;
            carry >>= 32;
        }
        product[i] = (uint32_t)carry;
    }
    exponential_fixed result; /* 2 + 254 bits become 1 + 127. */
    for (size_t i = 0; i < EXPONENTIAL_LIMBS; i++)
        result.limbs[i] = product[i] << 1 | product[i + 1] >> 31;
    return result;
}

/*
 * Whether a number from 1 to below 2, given by its fraction, is above 2^(k / 2^scale). The error of
 * the product is below 2^-121, and but for 1, none of the 2^20 boundaries is nearer than 2^-77 to a
 * double.
 */
static bool exponential_above(uint64_t fraction, uint32_t k, int32_t scale)
{
    exponential_fixed boundary = {{UINT32_C(1) << 31}};
    for (int32_t j = 1; j <= scale; j++)
        if ((k >> (scale - j) & 1) != 0)
            boundary = exponential_multiply(&boundary, &exponential_roots[j - 1]);
    uint64_t const value = (UINT64_C(1) << EXPONENTIAL_FRACTION | fraction)
                           << (63 - EXPONENTIAL_FRACTION);
    uint64_t const high = (uint64_t)boundary.limbs[0] << 32 | boundary.limbs[1];
    return value > high; /* Below the 64 bits of `value`, the boundary has some. */
}

/* Within an octave: how many boundaries from the first on are below the number. 0 < fraction. */
static int32_t exponential_within(uint64_t fraction, int32_t scale)
{
    double const number = weir__real_of_bits(fraction | UINT64_C(1023) << EXPONENTIAL_FRACTION);
    double const at = weir__log2(number) * (double)(UINT32_C(1) << scale);
    int32_t const nearest = (int32_t)(at + 0.5);
    double const off = at - nearest;
    if (off > EXPONENTIAL_NEAR)
        return nearest;
    if (off < -EXPONENTIAL_NEAR || nearest == INT32_C(1) << scale)
        return nearest - 1;
    return exponential_above(fraction, (uint32_t)nearest, scale) ? nearest : nearest - 1;
}

/* Divided by 2^shift, rounded down. */
static int64_t exponential_shifted(int64_t index, int32_t shift)
{
    return ((index + (INT64_C(1) << 40)) >> shift) - ((INT64_C(1) << 40) >> shift);
}

int32_t weir__exponential_index(double value, int32_t scale)
{
    uint64_t bits = weir__real_bits(value);
    int32_t exponent = (int32_t)(bits >> EXPONENTIAL_FRACTION) - 1023;
    if (exponent == -1023) { /* Subnormal. */
        bits = weir__real_bits(value * 0x1p64);
        exponent = (int32_t)(bits >> EXPONENTIAL_FRACTION) - 1023 - 64;
    }
    uint64_t const fraction = bits & ((UINT64_C(1) << EXPONENTIAL_FRACTION) - 1);
    if (scale <= 0) { /* Upper bounds belong to their buckets. */
        int32_t const octave = fraction > 0 ? exponent : exponent - 1;
        return (int32_t)exponential_shifted(octave, -scale);
    }
    int32_t const first = exponent * (INT32_C(1) << scale);
    return fraction > 0 ? first + exponential_within(fraction, scale) : first - 1;
}

/* ---- Counting ---- */

/* By how much the scale must fall for `low` and `high` to be less than `places` apart. */
static int32_t exponential_shift(int64_t low, int64_t high, uint32_t places)
{
    int32_t shift = 0;
    while (exponential_shifted(high, shift) - exponential_shifted(low, shift) >= places)
        shift++;
    return shift;
}

static void exponential_coarsen(weir__word *words, uint32_t places, int32_t shift,
                                pthread_mutex_t *lock)
{
    uint64_t counts[EXPONENTIAL_MAX_PLACES];
    uint64_t const end = weir__word_get(&words[WEIR__CELL_LOW]);
    int64_t const low = weir__ring_index(end);
    int64_t const high = weir__ring_index(weir__word_get(&words[WEIR__CELL_HIGH]));
    weir__ring_move_begin(words, lock);
    weir__word_set(&words[WEIR__CELL_SCALE],
                   weir__word_get(&words[WEIR__CELL_SCALE]) - (uint64_t)(int64_t)shift);
    for (int64_t i = low; end != 0 && i <= high; i++) {
        weir__word *const place = &words[weir__ring_place(i, places)];
        counts[i - low] = weir__word_get(place);
        weir__word_set(place, 0);
    }
    weir__word_set(&words[WEIR__CELL_LOW], 0);
    for (int64_t i = low; end != 0 && i <= high; i++)
        if (counts[i - low] > 0)
            weir__ring_add(words, places, exponential_shifted(i, shift), counts[i - low]);
    weir__ring_move_end(words, lock);
}

void weir__exponential_put(weir__word *words, uint32_t places, int64_t index, int32_t scale,
                           uint64_t n, pthread_mutex_t *lock)
{
    int32_t const own = (int32_t)(int64_t)weir__word_get(&words[WEIR__CELL_SCALE]);
    int32_t const coarser = own > scale ? own - scale : 0;
    if (coarser > 0)
        exponential_coarsen(words, places, coarser, lock);
    index = exponential_shifted(index, scale - own + coarser);
    uint64_t const low = weir__word_get(&words[WEIR__CELL_LOW]);
    uint64_t const high = weir__word_get(&words[WEIR__CELL_HIGH]);
    uint64_t const end = weir__ring_end(index);
    if (low != 0 && (end < low || end > high)) {
        int32_t const shift = exponential_shift(weir__ring_index(end < low ? end : low),
                                                weir__ring_index(end > high ? end : high), places);
        if (shift > 0)
            exponential_coarsen(words, places, shift, lock);
        index = exponential_shifted(index, shift);
    }
    weir__ring_add(words, places, index, n);
}

void weir__exponential_record(weir__word *words, uint32_t places, double value,
                              pthread_mutex_t *lock)
{
    int32_t const scale = (int32_t)(int64_t)weir__word_get(&words[WEIR__CELL_SCALE]);
    weir__exponential_put(words, places, weir__exponential_index(value, scale), scale, 1, lock);
}
