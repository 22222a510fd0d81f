/* W3C Baggage: key OWS "=" OWS value *( OWS ";" OWS property ), with commas between members. */
#include "propagation/propagation.h"

#include "base/text.h"

#define BAGGAGE_MAX (WEIR_BAGGAGE_SIZE - 1)

/* ---- Reading ---- */

static bool baggage_is_token(const char *text, size_t size)
{
    static const char special[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        char const c = text[i];
        bool const letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || strchr(special, c) == NULL))
            return false;
    }
    return size > 0;
}

/* Printable ASCII but blank, quote, comma, semicolon and backslash. */
static bool baggage_is_octet(char c)
{
    return c > ' ' && c <= '~' && c != '"' && c != ',' && c != ';' && c != '\\';
}

static bool baggage_is_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!baggage_is_octet(text[i]))
            return false;
    return true;
}

/* Properties are opaque, and still no place for control bytes. */
static bool baggage_is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

static bool baggage_split(weir__field text, weir_baggage_member *member)
{
    const char *const semicolon = text.size > 0 ? memchr(text.data, ';', text.size) : NULL;
    size_t const size = semicolon != NULL ? (size_t)(semicolon - text.data) : text.size;
    const char *const equals = size > 0 ? memchr(text.data, '=', size) : NULL;
    if (equals == NULL)
        return false;
    size_t const key_size = (size_t)(equals - text.data);
    weir__field const key = weir__field_trim((weir__field){text.data, key_size});
    weir__field const value = weir__field_trim((weir__field){equals + 1, size - key_size - 1});
    weir__field const properties =
        semicolon != NULL ? weir__field_trim((weir__field){semicolon + 1, text.size - size - 1})
                          : (weir__field){text.data + text.size, 0};
    *member = (weir_baggage_member){key.data,   key.size,        value.data,
                                    value.size, properties.data, properties.size};
    return baggage_is_token(key.data, key.size) && baggage_is_value(value.data, value.size) &&
           baggage_is_plain(properties.data, properties.size);
}

/* The next member of a list, blanks cut off; false: there are no more. */
static bool baggage_cut(weir__field *list, weir__field *member)
{
    if (list->size == 0)
        return false;
    const char *const comma = memchr(list->data, ',', list->size);
    size_t const size = comma != NULL ? (size_t)(comma - list->data) : list->size;
    *member = weir__field_trim((weir__field){list->data, size});
    list->data += size + (comma != NULL);
    list->size -= size + (comma != NULL);
    return true;
}

bool weir_baggage_next(const char *baggage, size_t *at, weir_baggage_member *member)
{
    weir__field list = {baggage + *at, strlen(baggage + *at)};
    weir__field text;
    while (baggage_cut(&list, &text)) {
        *at = (size_t)(list.data - baggage);
        if (baggage_split(text, member))
            return true;
    }
    return false;
}

static bool baggage_find(const char *baggage, const char *key, size_t key_size,
                         weir_baggage_member *member)
{
    for (size_t at = 0; weir_baggage_next(baggage, &at, member);)
        if (member->key_size == key_size && memcmp(member->key, key, key_size) == 0)
            return true;
    return false;
}

/* ---- Writing ---- */

typedef struct baggage_writer {
    char *out;
    size_t size; /* Without a NUL; what is beyond the room is counted, and not written. */
    size_t room; /* Without a NUL. */
} baggage_writer;

static void baggage_byte(baggage_writer *writer, char c)
{
    if (writer->size < writer->room)
        writer->out[writer->size] = c;
    writer->size++;
}

static void baggage_bytes(baggage_writer *writer, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        baggage_byte(writer, data[i]);
}

/* A whole member, or none: false. */
static bool baggage_add(baggage_writer *writer, const weir_baggage_member *member)
{
    size_t const before = writer->size;
    if (before > 0)
        baggage_byte(writer, ',');
    baggage_bytes(writer, member->key, member->key_size);
    baggage_byte(writer, '=');
    baggage_bytes(writer, member->value, member->value_size);
    if (member->properties_size > 0) {
        baggage_byte(writer, ';');
        baggage_bytes(writer, member->properties, member->properties_size);
    }
    if (writer->size <= writer->room)
        return true;
    writer->size = before;
    return false;
}

static void baggage_end(baggage_writer *writer)
{
    writer->out[writer->size] = '\0';
}

/* What stands before, less the member with that key. */
static void baggage_forget(baggage_writer *writer, const weir_baggage_member *found)
{
    const char *const from = found->key;
    const char *const to = found->properties_size > 0 ? found->properties + found->properties_size
                                                      : found->value + found->value_size;
    size_t begin = (size_t)(from - writer->out), end = (size_t)(to - writer->out);
    if (end < writer->size)
        end++; /* With the comma behind it, */
    else if (begin > 0)
        begin--; /* or, of the last one, before it. */
    memmove(writer->out + begin, writer->out + end, writer->size - end);
    writer->size -= end - begin;
    baggage_end(writer);
}

int weir_baggage_extract(const weir_carrier *carrier, char *out)
{
    baggage_writer writer = {.out = out, .room = BAGGAGE_MAX};
    weir__field header, text;
    weir_baggage_member member, before;
    int result = WEIR_OK;
    out[0] = '\0';
    for (size_t i = 0; carrier->get(carrier->self, "baggage", i, &header.data, &header.size); i++)
        while (baggage_cut(&header, &text)) {
            if (!baggage_split(text, &member))
                continue;
            if (baggage_find(out, member.key, member.key_size, &before))
                baggage_forget(&writer, &before);
            if (!baggage_add(&writer, &member))
                result = WEIR_ETOOLARGE;
            baggage_end(&writer);
        }
    return result == WEIR_OK && writer.size == 0 ? WEIR_ENOTFOUND : result;
}

int weir_baggage_inject(const char *baggage, const weir_carrier *carrier)
{
    size_t const size = strlen(baggage);
    if (size == 0)
        return WEIR_OK;
    return carrier->set(carrier->self, "baggage", baggage, size) ? WEIR_OK : WEIR_ENOMEM;
}

/* ---- Values ---- */

static size_t baggage_decode_byte(const char *text, size_t left, unsigned char *out)
{
    unsigned const high = left > 2 && text[0] == '%' ? weir__hex_digit(text[1]) : 16;
    unsigned const low = high < 16 ? weir__hex_digit(text[2]) : 16;
    *out = low < 16 ? (unsigned char)(high * 16 + low) : (unsigned char)text[0];
    return low < 16 ? 3 : 1;
}

/* The next bytes, decoded: at most 4, as many as a character may have. */
static size_t baggage_ahead(const char *text, size_t left, unsigned char out[4], size_t at[5])
{
    size_t count = 0;
    at[0] = 0;
    for (; count < 4 && at[count] < left; count++)
        at[count + 1] =
            at[count] + baggage_decode_byte(text + at[count], left - at[count], &out[count]);
    return count;
}

static void baggage_decode(baggage_writer *writer, const char *text, size_t size)
{
    unsigned char bytes[4];
    size_t at[5], bad = 1;
    for (size_t i = 0; i < size;) {
        size_t const count = baggage_ahead(text + i, size - i, bytes, at);
        size_t const good = weir__text_utf8(bytes, count, &bad);
        if (good > 0)
            baggage_bytes(writer, (const char *)bytes, good);
        else
            baggage_bytes(writer, "\xEF\xBF\xBD", 3);
        i += at[good > 0 ? good : bad];
    }
}

/* Written by way of the writer, as below: NOLINTNEXTLINE(readability-non-const-parameter) */
int weir_baggage_get(const char *baggage, const char *key, char *out, size_t room, size_t *size)
{
    weir_baggage_member member;
    baggage_writer writer = {.out = out, .room = room > 0 ? room - 1 : 0};
    if (!baggage_find(baggage, key, strlen(key), &member))
        return WEIR_ENOTFOUND;
    baggage_decode(&writer, member.value, member.value_size);
    if (size != NULL)
        *size = writer.size;
    if (room == 0 || writer.size > writer.room)
        return WEIR_ETOOLARGE;
    baggage_end(&writer);
    return WEIR_OK;
}

/* Encoded: '%' too, so that what comes out is what went in. */
static void baggage_encode(baggage_writer *writer, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *c = value; *c != '\0'; c++) {
        unsigned const byte = (unsigned char)*c;
        if (baggage_is_octet(*c) && *c != '%') {
            baggage_byte(writer, *c);
            continue;
        }
        baggage_byte(writer, '%');
        baggage_byte(writer, digits[byte >> 4]);
        baggage_byte(writer, digits[byte & 15]);
    }
}

/* NOLINTNEXTLINE(readability-non-const-parameter) */
int weir_baggage_set(char *out, const char *baggage, const char *key, const char *value)
{
    baggage_writer writer = {.out = out, .room = BAGGAGE_MAX};
    weir_baggage_member member;
    size_t const key_size = strlen(key);
    if (baggage == NULL)
        baggage = "";
    bool const good = baggage_is_token(key, key_size);
    for (size_t at = 0; weir_baggage_next(baggage, &at, &member);)
        if (!good || member.key_size != key_size || memcmp(member.key, key, key_size) != 0)
            (void)baggage_add(&writer, &member);
    size_t const before = writer.size;
    if (good && value != NULL) {
        if (before > 0)
            baggage_byte(&writer, ',');
        baggage_bytes(&writer, key, key_size);
        baggage_byte(&writer, '=');
        baggage_encode(&writer, value);
    }
    if (!good || writer.size <= writer.room) {
        baggage_end(&writer);
        return good ? WEIR_OK : WEIR_EINVAL;
    }
    writer = (baggage_writer){.out = out, .room = BAGGAGE_MAX};
    for (size_t at = 0; weir_baggage_next(baggage, &at, &member);)
        (void)baggage_add(&writer, &member);
    baggage_end(&writer);
    return WEIR_ETOOLARGE;
}
