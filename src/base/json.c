#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JSON_VALUE,        /* At the beginning, after a name, after a comma in an array. */
    JSON_VALUE_OR_END, /* After '['. */
    JSON_NAME,         /* After a comma in an object. */
    JSON_NAME_OR_END,  /* After '{'. */
    JSON_COMMA_OR_END, /* After a value in either. */
    JSON_NOTHING,      /* After the outermost value. */
};

void weir__json_begin(weir__json *json, const char *text, size_t size)
{
    *json = (weir__json){.text = text, .size = size, .kind = WEIR__JSON_ERROR, .token = text};
}

static weir__json_kind json_error(weir__json *json, const char *error, size_t at)
{
    if (json->error == NULL) {
        json->error = error;
        json->error_at = at;
    }
    json->kind = WEIR__JSON_ERROR;
    return json->kind;
}

bool weir__json_fail(weir__json *json, const char *error)
{
    (void)json_error(json, error, (size_t)(json->token - json->text));
    return false;
}

static void json_blank(weir__json *json)
{
    while (json->at < json->size && json->text[json->at] != '\0' &&
           strchr(" \t\n\r", json->text[json->at]) != NULL)
        json->at++;
}

static bool json_peek(const weir__json *json, char byte)
{
    return json->at < json->size && json->text[json->at] == byte;
}

static weir__json_kind json_token(weir__json *json, weir__json_kind kind, size_t from, size_t to)
{
    json->kind = kind;
    json->token = json->text + from;
    json->token_size = to - from;
    return kind;
}

static bool json_in_array(const weir__json *json)
{
    unsigned const level = json->depth - 1;
    return (json->arrays[level / 64] >> level % 64 & 1) != 0;
}

static void json_after_value(weir__json *json)
{
    json->expect = json->depth > 0 ? JSON_COMMA_OR_END : JSON_NOTHING;
}

static weir__json_kind json_open(weir__json *json, bool array)
{
    size_t const at = json->at++;
    if (json->depth == WEIR__JSON_DEPTH)
        return json_error(json, "nested too deeply", at);
    uint64_t const bit = UINT64_C(1) << json->depth % 64;
    uint64_t *const levels = &json->arrays[json->depth / 64];
    *levels = array ? *levels | bit : *levels & ~bit;
    json->depth++;
    json->expect = array ? JSON_VALUE_OR_END : JSON_NAME_OR_END;
    return json_token(json, array ? WEIR__JSON_ARRAY : WEIR__JSON_OBJECT, at, json->at);
}

static weir__json_kind json_close(weir__json *json)
{
    size_t const at = json->at++;
    bool const array = json_in_array(json);
    json->depth--;
    json_after_value(json);
    return json_token(json, array ? WEIR__JSON_ARRAY_END : WEIR__JSON_OBJECT_END, at, json->at);
}

static bool json_digit(const weir__json *json)
{
    return json->at < json->size && json->text[json->at] >= '0' && json->text[json->at] <= '9';
}

static bool json_digits(weir__json *json)
{
    if (!json_digit(json)) {
        (void)json_error(json, "expected a digit", json->at);
        return false;
    }
    while (json_digit(json))
        json->at++;
    return true;
}

static weir__json_kind json_number(weir__json *json)
{
    size_t const from = json->at;
    json->at += json_peek(json, '-');
    if (json_peek(json, '0'))
        json->at++;
    else if (!json_digits(json))
        return json->kind;
    if (json_digit(json))
        return json_error(json, "a number begins with 0", from);
    if (json_peek(json, '.')) {
        json->at++;
        if (!json_digits(json))
            return json->kind;
    }
    if (json_peek(json, 'e') || json_peek(json, 'E')) {
        json->at++;
        json->at += json_peek(json, '+') || json_peek(json, '-');
        if (!json_digits(json))
            return json->kind;
    }
    json_after_value(json);
    return json_token(json, WEIR__JSON_NUMBER, from, json->at);
}

/* Four hexadecimal digits, or -1. */
static int32_t json_hex(const char *p, size_t left)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    int32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        const char *const digit = i < left && p[i] != '\0' ? strchr(digits, p[i]) : NULL;
        if (digit == NULL)
            return -1;
        int32_t const at = (int32_t)(digit - digits);
        unit = unit * 16 + (at < 16 ? at : at - 6);
    }
    return unit;
}

/*
 * The escape at p, after its backslash: how many bytes it is long, and its code point. 0: it is
 * none. Two units of UTF-16 make one code point above U+FFFF (RFC 8259, section 7).
 */
static size_t json_escape(const char *p, size_t left, uint32_t *point)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meaning[] = "\"\\/\b\f\n\r\t";
    if (left == 0 || *p == '\0')
        return 0;
    const char *const found = strchr(plain, *p);
    if (found != NULL) {
        *point = (unsigned char)meaning[found - plain];
        return 1;
    }
    int32_t const unit = *p == 'u' ? json_hex(p + 1, left - 1) : -1;
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    *point = (uint32_t)unit;
    if (unit < 0xd800 || unit > 0xdbff)
        return 5;
    int32_t const low = left > 7 && p[5] == '\\' && p[6] == 'u' ? json_hex(p + 7, left - 7) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *point = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return 11;
}

static weir__json_kind json_string(weir__json *json, weir__json_kind kind)
{
    size_t const from = ++json->at;
    while (json->at < json->size && json->text[json->at] != '"') {
        const char *const p = json->text + json->at;
        size_t const left = json->size - json->at;
        size_t length = 0;
        size_t bad = 0;
        uint32_t point = 0;
        if (*p == '\\') {
            length = json_escape(p + 1, left - 1, &point);
            if (length == 0)
                return json_error(json, "no such escape", json->at);
            length++;
        } else if ((unsigned char)*p < 0x20) {
            return json_error(json, "a control character in a string", json->at);
        } else {
            length = weir__text_utf8((const unsigned char *)p, left, &bad);
            if (length == 0)
                return json_error(json, "not UTF-8", json->at);
        }
        json->at += length;
    }
    if (json->at == json->size)
        return json_error(json, "a string without end", json->at);
    json_after_value(json);
    return json_token(json, kind, from, json->at++);
}

static weir__json_kind json_name(weir__json *json)
{
    if (!json_peek(json, '"'))
        return json_error(json, "expected a name in quotes", json->at);
    if (json_string(json, WEIR__JSON_NAME) == WEIR__JSON_ERROR)
        return json->kind;
    json_blank(json);
    if (!json_peek(json, ':'))
        return json_error(json, "expected a colon", json->at);
    json->at++;
    json->expect = JSON_VALUE;
    return json->kind;
}

static weir__json_kind json_literal(weir__json *json)
{
    static const struct {
        const char *word;
        weir__json_kind kind;
    } words[] = {{"true", WEIR__JSON_TRUE}, {"false", WEIR__JSON_FALSE}, {"null", WEIR__JSON_NULL}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t const size = strlen(words[i].word);
        if (size > json->size - json->at || memcmp(json->text + json->at, words[i].word, size) != 0)
            continue;
        json->at += size;
        json_after_value(json);
        return json_token(json, words[i].kind, json->at - size, json->at);
    }
    return json_error(json, "expected a value", json->at);
}

static weir__json_kind json_value(weir__json *json)
{
    switch (json->text[json->at]) {
    case '{': return json_open(json, false);
    case '[': return json_open(json, true);
    case '"': return json_string(json, WEIR__JSON_STRING);
    default: break;
    }
    return json_peek(json, '-') || json_digit(json) ? json_number(json) : json_literal(json);
}

static weir__json_kind json_comma(weir__json *json)
{
    bool const array = json_in_array(json);
    if (json_peek(json, array ? ']' : '}'))
        return json_close(json);
    if (!json_peek(json, ','))
        return json_error(json, array ? "expected , or ]" : "expected , or }", json->at);
    json->at++;
    json_blank(json);
    if (json->at == json->size)
        return json_error(json, "the text ends too soon", json->at);
    return array ? json_value(json) : json_name(json);
}

weir__json_kind weir__json_next(weir__json *json)
{
    if (json->error != NULL)
        return WEIR__JSON_ERROR;
    json_blank(json);
    if (json->expect == JSON_NOTHING)
        return json->at == json->size ? json_token(json, WEIR__JSON_END, json->at, json->at)
                                      : json_error(json, "something follows the value", json->at);
    if (json->at == json->size)
        return json_error(json, "the text ends too soon", json->at);
    switch (json->expect) {
    case JSON_COMMA_OR_END: return json_comma(json);
    case JSON_NAME_OR_END: return json_peek(json, '}') ? json_close(json) : json_name(json);
    case JSON_VALUE_OR_END: return json_peek(json, ']') ? json_close(json) : json_value(json);
    default: return json_value(json);
    }
}

bool weir__json_end(weir__json *json)
{
    return weir__json_next(json) == WEIR__JSON_END ||
           (json->error == NULL && weir__json_fail(json, "something is left to be read"));
}

static bool json_expect(weir__json *json, weir__json_kind kind, const char *error)
{
    weir__json_kind const next = weir__json_next(json);
    return next == kind || (next != WEIR__JSON_ERROR && weir__json_fail(json, error));
}

bool weir__json_object(weir__json *json)
{
    return json_expect(json, WEIR__JSON_OBJECT, "expected an object");
}

bool weir__json_array(weir__json *json)
{
    return json_expect(json, WEIR__JSON_ARRAY, "expected an array");
}

bool weir__json_member(weir__json *json)
{
    return weir__json_next(json) == WEIR__JSON_NAME;
}

bool weir__json_element(weir__json *json)
{
    if (json->error != NULL)
        return false;
    json_blank(json);
    if (json->at < json->size && !json_peek(json, ']'))
        return true;
    (void)weir__json_next(json);
    return false;
}

bool weir__json_skip(weir__json *json)
{
    unsigned const depth = json->depth;
    do {
        if (weir__json_next(json) == WEIR__JSON_ERROR)
            return false;
    } while (json->depth > depth || json->kind == WEIR__JSON_NAME);
    return true;
}

/* Whole, of at most 20 digits; false: it is no such number, or out of range. */
static bool json_magnitude(const char *digits, size_t size, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t const digit = (uint64_t)(digits[i] - '0');
        if (digits[i] < '0' || digits[i] > '9' || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return size > 0;
}

/* A string is taken as well: it is how protobuf writes 64 bits in JSON, which promises but 53. */
static bool json_integer(weir__json *json, bool *negative, uint64_t *magnitude)
{
    weir__json_kind const kind = weir__json_next(json);
    if (kind == WEIR__JSON_ERROR)
        return false;
    *negative = json->token_size > 0 && json->token[0] == '-';
    if ((kind == WEIR__JSON_NUMBER || kind == WEIR__JSON_STRING) &&
        json_magnitude(json->token + *negative, json->token_size - *negative, magnitude))
        return true;
    return weir__json_fail(json, "expected a whole number");
}

bool weir__json_u64(weir__json *json, uint64_t min, uint64_t max, uint64_t *out)
{
    bool negative = false;
    uint64_t magnitude = 0;
    if (!json_integer(json, &negative, &magnitude))
        return false;
    if ((negative && magnitude > 0) || magnitude < min || magnitude > max)
        return weir__json_fail(json, "a number out of range");
    *out = magnitude;
    return true;
}

bool weir__json_i64(weir__json *json, int64_t min, int64_t max, int64_t *out)
{
    bool negative = false;
    uint64_t magnitude = 0;
    if (!json_integer(json, &negative, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return weir__json_fail(json, "a number out of range");
    /* -(m - 1) - 1: the magnitude of INT64_MIN has no positive of its own. */
    int64_t const value =
        negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    if (value < min || value > max)
        return weir__json_fail(json, "a number out of range");
    *out = value;
    return true;
}

bool weir__json_bool(weir__json *json, bool *out)
{
    weir__json_kind const kind = weir__json_next(json);
    if (kind != WEIR__JSON_TRUE && kind != WEIR__JSON_FALSE)
        return kind != WEIR__JSON_ERROR && weir__json_fail(json, "expected true or false");
    *out = kind == WEIR__JSON_TRUE;
    return true;
}

/* Of a number, from its e on; beyond what a double can hold its exact value says nothing more. */
static long json_exponent(const char *text, size_t size)
{
    long exponent = 0;
    bool const negative = size > 1 && text[1] == '-';
    for (size_t i = 0; i < size; i++)
        if (text[i] >= '0' && text[i] <= '9' && exponent < 100000)
            exponent = exponent * 10 + (text[i] - '0');
    return negative ? -exponent : exponent;
}

/* Without its point, so that strtod() need not know which one the locale has: 12.5e3 is 125e2. */
static bool json_pointless(const char *text, size_t size, char *out, size_t room)
{
    size_t mantissa = 0;
    size_t used = 0;
    long decimals = 0;
    bool point = false;
    if (size + 16 > room) /* Too long to be meant. */
        return false;
    for (; mantissa < size && text[mantissa] != 'e' && text[mantissa] != 'E'; mantissa++) {
        if (text[mantissa] == '.') {
            point = true;
            continue;
        }
        out[used++] = text[mantissa];
        decimals += point;
    }
    long const exponent = json_exponent(text + mantissa, size - mantissa);
    (void)snprintf(out + used, room - used, "e%ld", exponent - decimals);
    return true;
}

static bool json_to_double(const char *text, size_t size, double *out)
{
    char digits[512];
    if (!json_pointless(text, size, digits, sizeof digits))
        return false;
    double const value = strtod(digits, NULL);
    if (value - value != 0) /* Infinite. */
        return false;
    *out = value;
    return true;
}

bool weir__json_double(weir__json *json, double *out)
{
    return json_expect(json, WEIR__JSON_NUMBER, "expected a number") &&
           (json_to_double(json->token, json->token_size, out) ||
            weir__json_fail(json, "a number out of range"));
}

bool weir__json_read_double(const char *text, size_t size, double *out)
{
    weir__json json;
    weir__json_begin(&json, text, size);
    return weir__json_next(&json) == WEIR__JSON_NUMBER && json.token_size == size &&
           json_to_double(text, size, out);
}

/* What is next in an escaped string, from *at on, as UTF-8: at most 4 bytes, 0 at the end. */
static size_t json_unescape(const weir__json *json, size_t *at, unsigned char out[4])
{
    const char *const p = json->token + *at;
    if (*at == json->token_size)
        return 0;
    if (*p != '\\') {
        (*at)++;
        out[0] = (unsigned char)*p;
        return 1;
    }
    uint32_t point = 0;
    *at += 1 + json_escape(p + 1, json->token_size - *at - 1, &point);
    if (point < 0x80) {
        out[0] = (unsigned char)point;
        return 1;
    }
    size_t const size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        out[i] = (unsigned char)(0x80 | (point & 0x3f));
    out[0] = (unsigned char)(lead[size] | point);
    return size;
}

bool weir__json_copy(weir__json *json, char *out, size_t room)
{
    unsigned char bytes[4];
    size_t size = 0;
    size_t at = 0;
    if (!json_expect(json, WEIR__JSON_STRING, "expected a string"))
        return false;
    for (size_t more; (more = json_unescape(json, &at, bytes)) > 0; size += more) {
        if (more >= room - size)
            return weir__json_fail(json, "a string that is too long");
        if (bytes[0] == '\0')
            return weir__json_fail(json, "a string with a NUL");
        memcpy(out + size, bytes, more);
    }
    out[size] = '\0';
    return true;
}

void weir__json_unescape(const weir__json *json, weir__text *out)
{
    unsigned char bytes[4];
    size_t at = 0;
    if (json->token_size == 0)
        weir__text_bytes(out, "", 0);
    for (size_t more; (more = json_unescape(json, &at, bytes)) > 0;)
        weir__text_bytes(out, bytes, more);
}

bool weir__json_text(weir__json *json, weir__text *out)
{
    if (!json_expect(json, WEIR__JSON_STRING, "expected a string"))
        return false;
    weir__json_unescape(json, out);
    return true;
}

bool weir__json_is(const weir__json *json, const char *str)
{
    unsigned char bytes[4];
    size_t at = 0;
    size_t const size = strlen(str);
    size_t matched = 0;
    for (size_t more; (more = json_unescape(json, &at, bytes)) > 0; matched += more)
        if (more > size - matched || memcmp(str + matched, bytes, more) != 0)
            return false;
    return matched == size;
}

size_t weir__json_line(const weir__json *json)
{
    size_t line = 1;
    for (size_t i = 0; i < json->error_at; i++)
        line += json->text[i] == '\n';
    return line;
}
