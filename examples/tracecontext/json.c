#include "json.h"

#include <stdint.h>
#include <string.h>

#define JSON_DEPTH 64

static void json_blanks(json *text)
{
    while (text->at < text->end && strchr(" \t\r\n", *text->at) != NULL && *text->at != '\0')
        text->at++;
}

static bool json_take(json *text, char wanted)
{
    json_blanks(text);
    if (text->failed || text->at == text->end || *text->at != wanted)
        return false;
    text->at++;
    return true;
}

void json_open(json *text, char bracket)
{
    if (!json_take(text, bracket))
        text->failed = true;
}

bool json_more(json *text, char closing, size_t count)
{
    if (text->failed || json_take(text, closing))
        return false;
    if (count > 0 && !json_take(text, ','))
        text->failed = true;
    return !text->failed;
}

bool json_end(json *text)
{
    json_blanks(text);
    return !text->failed && text->at == text->end;
}

/* ---- Values that hold no others ---- */

static bool json_is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool json_skip_escape(json *text)
{
    int const kind = text->at < text->end ? *text->at++ : 0;
    if (kind != 'u')
        return kind != 0 && strchr("\"\\/bfnrt", kind) != NULL;
    for (int i = 0; i < 4; i++, text->at++)
        if (text->at == text->end || !json_is_hex(*text->at))
            return false;
    return true;
}

/* Behind its first quote. */
static bool json_skip_string(json *text)
{
    while (text->at < text->end) {
        unsigned char const c = (unsigned char)*text->at++;
        if (c == '"')
            return true;
        if (c < ' ' || (c == '\\' && !json_skip_escape(text)))
            return false;
    }
    return false;
}

static size_t json_digits(json *text)
{
    const char *const from = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9')
        text->at++;
    return (size_t)(text->at - from);
}

static bool json_skip_number(json *text)
{
    if (*text->at == '-')
        text->at++;
    bool const zero = text->at < text->end && *text->at == '0';
    size_t const digits = json_digits(text);
    if (digits == 0 || (zero && digits > 1))
        return false;
    if (text->at < text->end && *text->at == '.') {
        text->at++;
        if (json_digits(text) == 0)
            return false;
    }
    if (text->at == text->end || (*text->at != 'e' && *text->at != 'E'))
        return true;
    text->at++;
    if (text->at < text->end && (*text->at == '+' || *text->at == '-'))
        text->at++;
    return json_digits(text) > 0;
}

static bool json_skip_word(json *text)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t const size = strlen(words[i]);
        if ((size_t)(text->end - text->at) >= size && memcmp(text->at, words[i], size) == 0) {
            text->at += size;
            return true;
        }
    }
    return false;
}

/* ---- All ---- */

static void json_skip(json *text, unsigned depth)
{
    bool good = depth < JSON_DEPTH;
    if (!good || text->failed) {
        text->failed = true;
    } else if (json_take(text, '[')) {
        for (size_t i = 0; json_more(text, ']', i); i++)
            json_skip(text, depth + 1);
    } else if (json_take(text, '{')) {
        for (size_t i = 0; json_more(text, '}', i); i++) {
            (void)json_name(text);
            json_skip(text, depth + 1);
        }
    } else {
        good =
            json_take(text, '"') ? json_skip_string(text)
            : text->at < text->end && (*text->at == '-' || (*text->at >= '0' && *text->at <= '9'))
                ? json_skip_number(text)
                : json_skip_word(text);
        text->failed = text->failed || !good;
    }
}

json_text json_value(json *text)
{
    json_blanks(text);
    const char *const from = text->at;
    json_skip(text, 0);
    return (json_text){from, (size_t)(text->at - from)};
}

json_text json_name(json *text)
{
    json_open(text, '"');
    const char *const from = text->at;
    if (text->failed || !json_skip_string(text)) {
        text->failed = true;
        return (json_text){from, 0};
    }
    json_text const name = {from, (size_t)(text->at - 1 - from)};
    json_open(text, ':');
    return name;
}

/* Of \u: a URL is ASCII, and what is not is refused. */
static bool json_unescape(const char **at, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char const kind = *(*at)++;
    if (kind != 'u') {
        *out = to[strchr(from, kind) - from];
        return true;
    }
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        char const c = *(*at)++;
        code = code << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    *out = (char)code;
    return code > 0 && code < 128;
}

bool json_string(json_text value, char *out, size_t room)
{
    const char *const end = value.data + value.size - 1;
    size_t size = 0;
    if (value.size < 2 || value.data[0] != '"')
        return false;
    for (const char *at = value.data + 1; at < end; size++) {
        if (size + 1 >= room)
            return false;
        if (*at != '\\') {
            out[size] = *at++;
            continue;
        }
        at++;
        if (!json_unescape(&at, &out[size]))
            return false;
    }
    out[size] = '\0';
    return true;
}
