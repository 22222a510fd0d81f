#include "base/setting.h"

#include "base/json.h"
#include "base/number.h"

#include <string.h>
#include <strings.h>

typedef struct setting_slice {
    const char *data;
    size_t size;
} setting_slice;

static bool setting_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static setting_slice setting_trim(const char *data, size_t size)
{
    while (size > 0 && setting_is_blank(data[0])) {
        data++;
        size--;
    }
    while (size > 0 && setting_is_blank(data[size - 1]))
        size--;
    return (setting_slice){data, size};
}

bool weir__setting_bool(const char *text)
{
    setting_slice const value = setting_trim(text, strlen(text));
    return value.size == 4 && strncasecmp(value.data, "true", 4) == 0;
}

bool weir__setting_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    weir__number_error error;
    setting_slice const value = setting_trim(text, strlen(text));
    return weir__number_u64(value.data, value.size, min, max, out, &error);
}

bool weir__setting_double(const char *text, double *out)
{
    setting_slice const value = setting_trim(text, strlen(text));
    return weir__json_read_double(value.data, value.size, out);
}

/* ---- Lists ---- */

/* The value of a digit; 16: it is none. */
static unsigned setting_digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *const at = c != '\0' ? strchr(digits, c) : NULL;
    unsigned const value = at != NULL ? (unsigned)(at - digits) : 22;
    return value < 16 ? value : value < 22 ? value - 6 : 16;
}

static const char *setting_decode(setting_slice in, weir__text *out)
{
    for (size_t i = 0; i < in.size; i++) {
        char byte = in.data[i];
        if (byte == '%') {
            unsigned const high = i + 1 < in.size ? setting_digit(in.data[i + 1]) : 16;
            unsigned const low = i + 2 < in.size ? setting_digit(in.data[i + 2]) : 16;
            if (high > 15 || low > 15)
                return "a % without two hex digits";
            byte = (char)(high << 4 | low);
            if (byte == '\0')
                return "a NUL";
            i += 2;
        }
        weir__text_bytes(out, &byte, 1);
    }
    weir__text_bytes(out, "", 1);
    return NULL;
}

static const char *setting_entry(setting_slice entry, weir__text *out)
{
    const char *const sign = memchr(entry.data, '=', entry.size);
    if (sign == NULL)
        return "an entry without =";
    size_t const before = (size_t)(sign - entry.data);
    setting_slice const key = setting_trim(entry.data, before);
    if (key.size == 0)
        return "an entry without a key";
    const char *const error = setting_decode(key, out);
    return error != NULL ? error
                         : setting_decode(setting_trim(sign + 1, entry.size - before - 1), out);
}

const char *weir__setting_list(const char *text, weir__text *out, size_t *count)
{
    *count = 0;
    for (;;) {
        size_t const size = strcspn(text, ",");
        setting_slice const entry = setting_trim(text, size);
        const char *const error = entry.size > 0 ? setting_entry(entry, out) : NULL;
        if (error != NULL)
            return error;
        *count += entry.size > 0;
        if (text[size] == '\0')
            return NULL;
        text += size + 1;
    }
}
