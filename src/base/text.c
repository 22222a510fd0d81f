#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIR__TEXT_FIRST_CAPACITY 128

void weir__text_init(weir__text *text, const weir_env *env)
{
    *text = (weir__text){.env = env};
}

void weir__text_free(weir__text *text)
{
    weir__free(text->env, text->data, text->capacity);
    weir__text_init(text, text->env);
}

void weir__text_clear(weir__text *text)
{
    text->size = 0;
    text->failed = false;
    if (text->data != NULL)
        text->data[0] = '\0';
}

void weir__text_cut(weir__text *text, size_t size)
{
    text->size = size;
    text->failed = false;
    if (text->data != NULL)
        text->data[size] = '\0';
}

bool weir__text_ok(const weir__text *text)
{
    return !text->failed;
}

/* Room for `size` more bytes and a NUL. */
static bool text_reserve(weir__text *text, size_t size)
{
    if (text->failed)
        return false;
    if (size < text->capacity - text->size)
        return true;
    size_t capacity = text->capacity > 0 ? text->capacity : WEIR__TEXT_FIRST_CAPACITY;
    while (capacity - text->size <= size && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    char *data = NULL;
    if (capacity - text->size > size)
        data = weir__resize(text->env, text->data, text->capacity, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void weir__text_bytes(weir__text *text, const void *data, size_t size)
{
    if (!text_reserve(text, size))
        return;
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void weir__text_str(weir__text *text, const char *str)
{
    weir__text_bytes(text, str, strlen(str));
}

void weir__text_u64(weir__text *text, uint64_t value)
{
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    weir__text_bytes(text, digits + first, sizeof digits - first);
}

void weir__text_hex(weir__text *text, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *const bytes = data;
    char pairs[64];
    for (size_t i = 0; i < size;) {
        size_t used = 0;
        for (; i < size && used < sizeof pairs; i++) {
            pairs[used++] = digits[bytes[i] / 16];
            pairs[used++] = digits[bytes[i] % 16];
        }
        weir__text_bytes(text, pairs, used);
    }
}

void weir__text_double(weir__text *text, double value)
{
    char digits[40];
    int size = 0;
    for (int precision = 15; precision <= 17; precision++) {
        size = snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    /* A locale's point may be another letter, or more than one. */
    bool pointed = false;
    for (int i = 0; i < size; i++) {
        bool const plain = (digits[i] >= '0' && digits[i] <= '9') || digits[i] == '-' ||
                           digits[i] == '+' || digits[i] == 'e';
        if (plain || !pointed)
            weir__text_bytes(text, plain ? &digits[i] : ".", 1);
        pointed |= !plain;
    }
}

void weir__text_format(weir__text *text, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int const size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        text->failed = true;
    else if (text_reserve(text, (size_t)size)) {
        (void)vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
}

size_t weir__text_utf8(const unsigned char *p, size_t left, size_t *bad)
{
    size_t size = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        size = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        size = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        size = 4;
    if (p[0] == 0xe0)
        low = 0xa0; /* Overlong below. */
    else if (p[0] == 0xed)
        high = 0x9f; /* Surrogates above. */
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f; /* U+10FFFF is the last. */
    for (size_t i = 1; i < size; i++, low = 0x80, high = 0xbf) {
        if (i == left || p[i] < low || p[i] > high)
            return 0;
        *bad = i + 1;
    }
    return size;
}

static void text_json_ascii(weir__text *text, char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char special[] =
        "\"\"\\\\\bb\ff\nn\rr\tt"; /* The byte, what follows a backslash. */
    for (const char *s = special; *s != '\0'; s += 2)
        if (byte == *s) {
            weir__text_bytes(text, (const char[]){'\\', s[1]}, 2);
            return;
        }
    if ((unsigned char)byte >= 0x20) {
        weir__text_bytes(text, &byte, 1);
        return;
    }
    weir__text_str(text, "\\u00");
    weir__text_bytes(text, (const char[]){hex[byte / 16], hex[byte % 16]}, 2);
}

/* How many bytes, from the first on, are ASCII that stands for itself. */
static size_t text_json_plain(const char *str, size_t size)
{
    size_t i = 0;
    while (i < size && str[i] >= ' ' && (unsigned char)str[i] < 0x80 && str[i] != '"' &&
           str[i] != '\\')
        i++;
    return i;
}

void weir__text_json(weir__text *text, const char *str, size_t size)
{
    weir__text_str(text, "\"");
    for (size_t i = 0; i < size;) {
        size_t const plain = text_json_plain(str + i, size - i);
        weir__text_bytes(text, str + i, plain);
        i += plain;
        if (i == size)
            break;
        size_t bad = 0;
        size_t const length = weir__text_utf8((const unsigned char *)str + i, size - i, &bad);
        if (length == 1)
            text_json_ascii(text, str[i]);
        else if (length > 1)
            weir__text_bytes(text, str + i, length);
        else
            weir__text_str(text, "\xef\xbf\xbd");
        i += length > 0 ? length : bad;
    }
    weir__text_str(text, "\"");
}

bool weir__text_is_utf8(const void *data, size_t size)
{
    const unsigned char *const bytes = data;
    size_t bad = 0;
    for (size_t i = 0; i < size;) {
        size_t const length = weir__text_utf8(bytes + i, size - i, &bad);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

void weir__text_json_value(weir__text *text, const void *data, size_t size)
{
    if (weir__text_is_utf8(data, size)) {
        weir__text_str(text, "\"value\":");
        weir__text_json(text, data, size);
        return;
    }
    weir__text_str(text, "\"hex\":\"");
    weir__text_hex(text, data, size);
    weir__text_str(text, "\"");
}

void weir__text_label(weir__text *text, const char *str, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (str[i] == '\\' || str[i] == '"')
            weir__text_bytes(text, (const char[]){'\\', str[i]}, 2);
        else if (str[i] == '\n')
            weir__text_str(text, "\\n");
        else
            weir__text_bytes(text, str + i, 1);
    }
}
