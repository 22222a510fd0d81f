/* Hex digits, eight at a time: ids are read and written with each call between services. */
#ifndef WEIR_SRC_PROPAGATION_HEX_H
#define WEIR_SRC_PROPAGATION_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The value of one digit, of either case; above 15: it is none. */
static inline unsigned weir__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/*
 * Of eight letters, the values as lower-case digits, a byte each, and *bad not zero if one of them
 * is none: by arithmetic on all of them at once. What a letter would be the digit of is written
 * again, and compared.
 */
static inline uint64_t weir__hex_digits(uint64_t text, uint64_t *bad)
{
    uint64_t const ones = UINT64_C(0x0101010101010101);
    uint64_t const values = (text & (ones * 0x0F)) + (text >> 6 & ones) * 9;
    uint64_t const letters = (values + ones * 6) >> 4 & ones; /* 1 in each that is above 9. */
    *bad |= (values + ones * '0' + letters * ('a' - '0' - 10)) ^ text;
    *bad |= values & (ones * 0xF0);
    return values;
}

/* The first byte lowest, on any machine. */
static inline uint64_t weir__hex_order(uint64_t word)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

static inline uint64_t weir__hex_load(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return weir__hex_order(word);
}

static inline void weir__hex_store(void *out, uint64_t word)
{
    word = weir__hex_order(word);
    memcpy(out, &word, sizeof word);
}

/* Eight digits, the first of each pair above: the low four bytes. */
static inline uint64_t weir__hex_pack(uint64_t digits)
{
    uint64_t pairs = (digits << 4 | digits >> 8) & UINT64_C(0x00FF00FF00FF00FF);
    pairs = (pairs | pairs >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    return (pairs | pairs >> 16) & UINT32_MAX;
}

/* Four bytes, spread into eight halves, and each to its letter: by arithmetic on all at once. */
static inline uint64_t weir__hex_letters(uint64_t bytes)
{
    uint64_t const sixes = UINT64_C(0x0606060606060606), ones = UINT64_C(0x0101010101010101);
    uint64_t halves = bytes & UINT32_MAX;
    halves = (halves | halves << 16) & UINT64_C(0x0000FFFF0000FFFF);
    halves = (halves | halves << 8) & UINT64_C(0x00FF00FF00FF00FF);
    halves = (halves >> 4 | halves << 8) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    uint64_t const letters = (halves + sixes) >> 4 & ones; /* 1 in each that is above 9. */
    return halves + ones * '0' + letters * ('a' - '0' - 10);
}

/* Lower-case digits, `count` bytes of them; false: there is another letter. */
static inline bool weir__hex_read(const char *text, uint8_t *out, size_t count)
{
    uint64_t bad = 0;
    for (; count >= 8; count -= 8, text += 16, out += 8) {
        uint64_t const first = weir__hex_digits(weir__hex_load(text), &bad);
        uint64_t const second = weir__hex_digits(weir__hex_load(text + 8), &bad);
        weir__hex_store(out, weir__hex_pack(first) | weir__hex_pack(second) << 32);
    }
    for (; count > 0; count--, text += 2, out++) {
        unsigned const high = weir__hex_digit(text[0]), low = weir__hex_digit(text[1]);
        bool const upper = (text[0] > '9' && text[0] <= 'Z') || (text[1] > '9' && text[1] <= 'Z');
        bad |= high > 15 || low > 15 || upper ? 1 : 0;
        *out = (uint8_t)(high << 4 | (low & 15));
    }
    return bad == 0;
}

static inline void weir__hex_write(const uint8_t *bytes, size_t count, char *out)
{
    for (; count >= 8; count -= 8, bytes += 8, out += 16) {
        uint64_t const word = weir__hex_load((const char *)bytes);
        weir__hex_store(out, weir__hex_letters(word));
        weir__hex_store(out + 8, weir__hex_letters(word >> 32));
    }
    for (; count > 0; count--, bytes++, out += 2) {
        out[0] = "0123456789abcdef"[*bytes >> 4];
        out[1] = "0123456789abcdef"[*bytes & 15];
    }
}

#endif
