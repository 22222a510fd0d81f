#include "base/real.h"

#define REAL_LN2      0.693147180559945309417
#define REAL_LOG2_E   1.442695040888963407360
#define REAL_BIAS     1023
#define REAL_FRACTION 52
#define REAL_MINIMUM  0x1p-1022 /* The least that is not subnormal. */

/* 2^n for n whose power is a normal number: -1022 .. 1023. */
static double real_power(int n)
{
    return weir__real_of_bits((uint64_t)(n + REAL_BIAS) << REAL_FRACTION);
}

/* 2^(i / 16). */
static const double real_sixteenths[16] = {
    1.00000000000000000000, 1.04427378242741384032, 1.09050773266525765921, 1.13878863475669165370,
    1.18920711500272106672, 1.24185781207348404859, 1.29683955465100966593, 1.35425554693689272830,
    1.41421356237309504880, 1.47682614593949931139, 1.54221082540794082361, 1.61049033194925430818,
    1.68179283050742908606, 1.75625216037329948311, 1.83400808640934246349, 1.91520656139714729387,
};

/* x = n + i / 16 + r with |r| <= 1 / 32; of Taylor's series for 2^r the rest is below 2e-13. */
double weir__exp2(double x)
{
    if (x != x)
        return x;
    if (x >= 1024.0)
        return WEIR__INFINITY;
    if (x < -1075.0)
        return 0.0;
    uint32_t const at = (uint32_t)(16.0 * x + 32768.5); /* Above 0, where truncation is floor. */
    double const t = (x - ((double)at - 32768.0) / 16.0) * REAL_LN2, square = t * t;
    double const series =
        (1.0 + t) + square * ((1.0 / 2 + t * (1.0 / 6)) + square * (1.0 / 24 + t * (1.0 / 120)));
    int const n = (int)(at / 16) - 2048, half = n / 2;
    /* In two steps, since 2^n may be no normal number. */
    return series * real_sixteenths[at % 16] * real_power(half) * real_power(n - half);
}

/*
 * x = 2^n m with m around 1, and ln m = 2 artanh s, s = (m - 1) / (m + 1): |s| < .172. The series
 * of artanh goes to s^15 / 15; what is left out is below 1e-13 of the sum.
 */
double weir__log2(double x)
{
    if (!(x > 0))
        return x == 0 ? -WEIR__INFINITY : WEIR__NAN;
    if (x > 0x1.fffffffffffffp1023)
        return x;
    int n = -REAL_BIAS;
    if (x < REAL_MINIMUM) {
        x *= 0x1p64;
        n -= 64;
    }
    uint64_t const bits = weir__real_bits(x);
    uint64_t const fraction = bits & ((UINT64_C(1) << REAL_FRACTION) - 1);
    n += (int)(bits >> REAL_FRACTION);
    double m = weir__real_of_bits(fraction | (uint64_t)REAL_BIAS << REAL_FRACTION);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        n++;
    }
    double const s = (m - 1.0) / (m + 1.0), z = s * s, w = z * z;
    double const high = (1.0 / 9 + z * (1.0 / 11)) + w * (1.0 / 13 + z * (1.0 / 15));
    double const sum = (1.0 + z * (1.0 / 3)) + w * ((1.0 / 5 + z * (1.0 / 7)) + w * high);
    return n + 2.0 * REAL_LOG2_E * s * sum;
}

double weir__exp(double x)
{
    return weir__exp2(x * REAL_LOG2_E);
}

double weir__pow(double base, double y)
{
    if (y == 0 || base == 1.0)
        return 1.0;
    return weir__exp2(y * weir__log2(base));
}

/* Heron's: each step squares the error and halves it; the halved exponent starts below 7 %. */
double weir__sqrt(double x)
{
    if (!(x >= 0))
        return WEIR__NAN;
    if (x == 0 || x > 0x1.fffffffffffffp1023)
        return x;
    if (x < REAL_MINIMUM)
        return weir__sqrt(x * 0x1p64) * 0x1p-32;
    double root = weir__real_of_bits((weir__real_bits(x) >> 1) +
                                     ((uint64_t)REAL_BIAS << (REAL_FRACTION - 1)));
    for (int i = 0; i < 4; i++)
        root = 0.5 * (root + x / root);
    return root;
}
