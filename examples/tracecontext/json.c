#include "json.h"

#include <stdint.h>
#include <string.h>

typedef struct scanner {
    char *at, *end;
    unsigned depth;
} scanner;

static bool scan_value(scanner *s);

/* The byte here; NUL, which is nowhere allowed, at the end. */
static char scan_here(const scanner *s)
{
    if (s->at == s->end)
        return '\0';
    return *s->at;
}

/* The next byte that is no blank. */
static char scan_peek(scanner *s)
{
    while (scan_here(s) != '\0' && strchr(" \t\r\n", *s->at) != NULL)
        s->at++;
    return scan_here(s);
}

static bool scan_char(scanner *s, char c)
{
    bool const there = s->at < s->end && *s->at == c;
    s->at += there;
    return there;
}

static bool scan_digits(scanner *s)
{
    char *const begin = s->at;
    while (scan_here(s) >= '0' && scan_here(s) <= '9')
        s->at++;
    return s->at > begin;
}

static bool scan_number(scanner *s)
{
    (void)scan_char(s, '-');
    if (!scan_char(s, '0') && !scan_digits(s))
        return false;
    if (scan_char(s, '.') && !scan_digits(s))
        return false;
    if (!scan_char(s, 'e') && !scan_char(s, 'E'))
        return true;
    if (!scan_char(s, '+'))
        (void)scan_char(s, '-');
    return scan_digits(s);
}

/* Four hexadecimal digits. */
static bool scan_unit(scanner *s, uint32_t *unit)
{
    static const char digits[] = "0123456789abcdef";
    *unit = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char const c = scan_here(s);
        const char *const digit = strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c);
        if (c == '\0' || digit == NULL)
            return false;
        *unit = *unit << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

static bool scan_string(scanner *s)
{
    uint32_t unit;
    if (!scan_char(s, '"'))
        return false;
    while (s->at < s->end && (unsigned char)*s->at >= ' ') {
        char const c = *s->at++;
        if (c == '"')
            return true;
        if (c != '\\')
            continue;
        if (scan_char(s, 'u')
                ? !scan_unit(s, &unit)
                : s->at == s->end || *s->at == '\0' || strchr("\"\\/bfnrt", *s->at++) == NULL)
            return false;
    }
    return false;
}

static bool scan_word(scanner *s, const char *word)
{
    while (*word != '\0' && scan_char(s, *word))
        word++;
    return *word == '\0';
}

/* "key" : of a member; its extent is left in *key. */
static bool scan_key(scanner *s, json *key)
{
    (void)scan_peek(s);
    char *const begin = s->at;
    bool const good = scan_string(s);
    *key = (json){begin, (size_t)(s->at - begin)};
    (void)scan_peek(s);
    return good && scan_char(s, ':');
}

/* An array or an object. */
static bool scan_container(scanner *s)
{
    bool const object = *s->at++ == '{';
    char const close = object ? '}' : ']';
    json key;
    if (s->depth++ == JSON_DEPTH)
        return false;
    if (scan_peek(s) != close)
        do
            if ((object && !scan_key(s, &key)) || !scan_value(s))
                return false;
        while (scan_peek(s) == ',' && scan_char(s, ','));
    s->depth--;
    return scan_char(s, close);
}

static bool scan_value(scanner *s)
{
    char const c = scan_peek(s);
    if (c == '[' || c == '{')
        return scan_container(s);
    if (c == '"')
        return scan_string(s);
    if (c == 't' || c == 'f' || c == 'n')
        return scan_word(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
    return scan_number(s);
}

/* A value with the blanks around it; its extent, without them, is left in *value. */
static bool scan_extent(scanner *s, json *value)
{
    (void)scan_peek(s);
    char *const begin = s->at;
    bool const good = scan_value(s);
    *value = (json){begin, (size_t)(s->at - begin)};
    (void)scan_peek(s);
    return good;
}

bool json_read(json text, json *value)
{
    scanner s = {text.data, text.data + text.size, 0};
    return scan_extent(&s, value) && s.at == s.end;
}

bool json_next(json container, size_t *at, json *key, json *value)
{
    scanner s = {container.data + *at, container.data + container.size, 0};
    char const open = container.data[0];
    if ((open != '[' && open != '{') || s.at == s.end)
        return false;
    s.at++; /* The bracket, or the comma. */
    bool const found = (open == '[' || scan_key(&s, key)) && scan_extent(&s, value);
    *at = (size_t)(s.at - container.data);
    return found;
}

char *json_decode(json string)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    scanner s = {string.data + 1, string.data + string.size - 1, 0};
    char *out = string.data;
    if (string.data[0] != '"')
        return NULL;
    while (s.at < s.end) {
        uint32_t unit = (unsigned char)*s.at++;
        if (unit == '\\' && scan_char(&s, 'u'))
            (void)scan_unit(&s, &unit);
        else if (unit == '\\')
            unit = (unsigned char)meanings[strchr(escapes, *s.at++) - escapes];
        if (unit == 0 || unit > 0x7F)
            return NULL;
        *out++ = (char)unit;
    }
    *out = '\0';
    return string.data;
}
