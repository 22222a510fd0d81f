/*
 * The few functions of a real variable that formulas here ask for, without libm. They are total:
 * a NaN gives NaN, and no input traps. The last bit may differ between compilers, so nothing that
 * two machines must agree on may hang on it. Errors are bounds, relative to the result.
 */
#ifndef WEIR_SRC_REAL_H
#define WEIR_SRC_REAL_H

#include <stdint.h>
#include <string.h>

#define WEIR__INFINITY ((double)1e300 * 1e300)
#define WEIR__NAN      (WEIR__INFINITY - WEIR__INFINITY)

/* 2^x, error 2e-13, exact for whole x; infinite from 1024 on, 0 below -1075. */
double weir__exp2(double x);
/* Base 2 logarithm, error 1e-13, exact for powers of 2; of 0 minus infinity, below 0 NaN. */
double weir__log2(double x);
/* e^x, error 1e-12. */
double weir__exp(double x);
/*
 * base^y for base >= 0, error 1e-10. 1 when y is 0 or base is 1; 0^y is 0, and infinite for y < 0;
 * NaN for a negative base, for a whole y as well.
 */
double weir__pow(double base, double y);
/* Square root, within 1 ulp; below 0 NaN. */
double weir__sqrt(double x);

static inline uint64_t weir__real_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double weir__real_of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
