#include "span_writer/span_writer.h"

#include <time.h>

/* How many bytes stand for themselves. */
static size_t line_plain(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
        i++;
    return i;
}

/* The letter at `p`, of `left` bytes; how many it has. */
static size_t line_letter(weir__text *out, const unsigned char *p, size_t left)
{
    size_t bad = 0;
    size_t const length = weir__text_utf8(p, left, &bad);
    if (length == 1 && (p[0] < ' ' || p[0] == 0x7f))
        weir__text_format(out, "\\u%04x", (unsigned)p[0]);
    else if (length == 2 && p[0] == 0xc2 && p[1] < 0xa0)
        weir__text_format(out, "\\u%04x", (unsigned)p[1]);
    else if (length == 0)
        weir__text_str(out, "\xef\xbf\xbd");
    else if (length == 1)
        weir__text_bytes(out, (const char[]){'\\', (char)p[0]}, 2); /* A quote or backslash. */
    else
        weir__text_bytes(out, p, length);
    return length > 0 ? length : bad;
}

/* No control gets through: ASCII's, DEL, or those of C1. */
static void line_quoted(weir__text *out, const char *text, size_t size)
{
    weir__text_str(out, "\"");
    while (size > 0) {
        size_t done = line_plain(text, size);
        if (done > 0)
            weir__text_bytes(out, text, done);
        else
            done = line_letter(out, (const unsigned char *)text, size);
        text += done;
        size -= done;
    }
    weir__text_str(out, "\"");
}

/* As it is, if nobody can take it for something else. */
static void line_key(weir__text *out, const char *key)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    if (key[strspn(key, plain)] == '\0')
        weir__text_str(out, key);
    else
        line_quoted(out, key, strlen(key));
}

/* ---- Values ---- */

static void line_int(weir__text *out, int64_t value)
{
    weir__text_str(out, value < 0 ? "-" : "");
    weir__text_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void line_double(weir__text *out, double value)
{
    if (value - value == 0)
        weir__text_double(out, value);
    else
        weir__text_str(out, value > 0 ? "Infinity" : value < 0 ? "-Infinity" : "NaN");
}

static void line_element(weir__text *out, const weir_attribute *array, size_t i)
{
    const char *const string = array->type == WEIR_ATTRIBUTE_STRINGS ? array->as.strings[i] : NULL;
    if (string != NULL)
        line_quoted(out, string, strlen(string));
    else if (array->type == WEIR_ATTRIBUTE_BOOLS)
        weir__text_str(out, array->as.booleans[i] ? "true" : "false");
    else if (array->type == WEIR_ATTRIBUTE_INTS)
        line_int(out, array->as.integers[i]);
    else if (array->type == WEIR_ATTRIBUTE_DOUBLES)
        line_double(out, array->as.reals[i]);
    else
        weir__text_str(out, "null");
}

static void line_value(weir__text *out, const weir_attribute *attribute)
{
    switch (attribute->type) {
    case WEIR_ATTRIBUTE_STRING: line_quoted(out, attribute->as.string, attribute->count); return;
    case WEIR_ATTRIBUTE_BOOL: weir__text_str(out, attribute->as.boolean ? "true" : "false"); return;
    case WEIR_ATTRIBUTE_INT: line_int(out, attribute->as.integer); return;
    case WEIR_ATTRIBUTE_DOUBLE: line_double(out, attribute->as.real); return;
    case WEIR_ATTRIBUTE_BYTES:
        weir__text_str(out, "0x");
        weir__text_hex(out, attribute->as.bytes, attribute->count);
        return;
    case WEIR_ATTRIBUTE_STRINGS:
    case WEIR_ATTRIBUTE_BOOLS:
    case WEIR_ATTRIBUTE_INTS:
    case WEIR_ATTRIBUTE_DOUBLES: break;
    }
    weir__text_str(out, "[");
    for (size_t i = 0; i < attribute->count; i++) {
        weir__text_str(out, i > 0 ? "," : "");
        line_element(out, attribute, i);
    }
    weir__text_str(out, "]");
}

/* ---- The line ---- */

static void line_time(weir__text *out, uint64_t at_ns)
{
    time_t const seconds = (time_t)(at_ns / WEIR__NS_PER_S);
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    (void)gmtime_r(&seconds, &tm);
    weir__text_format(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ ", tm.tm_year + 1900, tm.tm_mon + 1,
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                      (unsigned)(at_ns % WEIR__NS_PER_S / WEIR__NS_PER_US));
}

static const char *line_kind(weir_span_kind kind)
{
    switch (kind) {
    case WEIR_SPAN_INTERNAL: return " internal ";
    case WEIR_SPAN_SERVER: return " server ";
    case WEIR_SPAN_CLIENT: return " client ";
    case WEIR_SPAN_PRODUCER: return " producer ";
    case WEIR_SPAN_CONSUMER: return " consumer ";
    }
    return " unknown ";
}

static void line_count(weir__text *out, const char *name, uint64_t count)
{
    if (count == 0)
        return;
    weir__text_str(out, name);
    weir__text_u64(out, count);
}

static void line_status(weir__text *out, const weir_span_data *span)
{
    weir__text_str(out, span->status == WEIR_SPAN_ERROR ? "error"
                        : span->status == WEIR_SPAN_OK  ? "ok"
                                                        : "unset");
    if (span->status != WEIR_SPAN_ERROR || span->status_message == NULL)
        return;
    weir__text_str(out, " ");
    line_quoted(out, span->status_message, strlen(span->status_message));
}

void weir__span_line(weir__text *out, const weir_span_data *span)
{
    uint64_t const took_ns = span->end_ns - span->start_ns;
    line_time(out, span->start_ns);
    weir__text_hex(out, span->context.trace_id, sizeof span->context.trace_id);
    weir__text_str(out, " ");
    weir__text_hex(out, span->context.span_id, sizeof span->context.span_id);
    weir__text_str(out, line_kind(span->kind));
    line_quoted(out, span->name, strlen(span->name));
    weir__text_str(out, " ");
    weir__text_u64(out, took_ns / WEIR__NS_PER_MS);
    weir__text_format(out, ".%03ums ", (unsigned)(took_ns % WEIR__NS_PER_MS / WEIR__NS_PER_US));
    line_status(out, span);
    for (size_t i = 0; i < span->attribute_count; i++) {
        weir__text_str(out, " ");
        line_key(out, span->attributes[i].key);
        weir__text_str(out, "=");
        line_value(out, &span->attributes[i]);
    }
    line_count(out, " events:", span->event_count);
    line_count(out, " links:", span->link_count);
    line_count(out, " dropped:",
               (uint64_t)span->dropped_attributes + span->dropped_events + span->dropped_links);
    weir__text_str(out, "\n");
}
