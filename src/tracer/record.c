/* What a span says, copied into the bytes of its record. */
#include "tracer/tracer.h"

#include "base/text.h"

#include <string.h>

#define RECORD_ALIGN      8
#define RECORD_FIRST_ROOM 8 /* Elements of an array, when it gets its first. */

void weir__record_begin(weir__record *record)
{
    record->at = record->bytes;
    record->end = (unsigned char *)record + WEIR__RECORD_SIZE;
    record->attribute_room = record->event_room = record->link_room = 0;
    memset(&record->data, 0, sizeof record->data);
    record->data.name = record->data.status_message = "";
}

/* So that `size` bytes are left. */
static bool record_extend(weir__record *record, size_t size)
{
    weir_tracer *const tracer = record->tracer;
    size_t const header = (sizeof(weir__record_chunk) + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1UL);
    weir__record_chunk *chunk = record->spare;
    if (chunk != NULL && chunk->size - header >= size) {
        record->spare = NULL;
    } else {
        size_t const all = size > SIZE_MAX - header           ? 0
                           : size + header > WEIR__CHUNK_SIZE ? size + header
                                                              : WEIR__CHUNK_SIZE;
        chunk = all != 0 ? tracer->env.realloc_fn(NULL, 0, all, tracer->env.user) : NULL;
        if (chunk == NULL)
            return false;
        chunk->size = all;
        atomic_fetch_add_explicit(&tracer->memory_bytes, all, memory_order_relaxed);
    }
    chunk->next = record->chunks;
    record->chunks = chunk;
    record->at = (unsigned char *)chunk + header;
    record->end = (unsigned char *)chunk + chunk->size;
    return true;
}

static void *record_bytes(weir__record *record, size_t size)
{
    if (WEIR__UNLIKELY((size_t)(record->end - record->at) < size) && !record_extend(record, size))
        return NULL;
    void *const bytes = record->at;
    record->at += size;
    return bytes;
}

void *weir__record_room(weir__record *record, size_t size)
{
    size_t const skip = (size_t)(-(uintptr_t)record->at & (RECORD_ALIGN - 1));
    if (WEIR__UNLIKELY((size_t)(record->end - record->at) < skip + size)) {
        if (!record_extend(record, size))
            return NULL;
    } else {
        record->at += skip;
    }
    return record_bytes(record, size);
}

const char *weir__record_text(weir__record *record, const char *text, size_t size)
{
    char *const copy = size < SIZE_MAX ? record_bytes(record, size + 1) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* An array that has no room for one more element gets twice as much; the old one lies fallow. */
static bool record_grow(weir__record *record, const void **array, size_t count, size_t element,
                        uint32_t *room)
{
    if (count < *room)
        return true;
    uint32_t const more = *room == 0 ? RECORD_FIRST_ROOM : *room * 2;
    void *const grown = weir__record_room(record, more * element);
    if (grown == NULL)
        return false;
    if (count > 0)
        memcpy(grown, *array, count * element);
    *array = grown;
    *room = more;
    return true;
}

/* Bytes of a text's first characters: what is not UTF-8 counts a byte each. */
static size_t record_cut(const char *text, size_t size, size_t characters)
{
    size_t at = 0, bad;
    if (size <= characters)
        return size;
    for (; at < size && characters > 0; characters--) {
        size_t const length = weir__text_utf8((const unsigned char *)text + at, size - at, &bad);
        at += length > 0 ? length : 1;
    }
    return at;
}

static bool record_copy_strings(weir__record *record, weir_attribute *out,
                                const weir_attribute *from)
{
    const char **const strings = weir__record_room(record, from->count * sizeof *strings);
    if (strings == NULL)
        return false;
    for (size_t i = 0; i < from->count; i++) {
        const char *const string = from->as.strings[i] != NULL ? from->as.strings[i] : "";
        size_t const size =
            record_cut(string, strlen(string), record->tracer->options.max_value_length);
        strings[i] = weir__record_text(record, string, size);
        if (strings[i] == NULL)
            return false;
    }
    out->as.strings = strings;
    return true;
}

static bool record_copy_array(weir__record *record, weir_attribute *out, const void *from,
                              size_t element)
{
    if (out->count > SIZE_MAX / 2 / element)
        return false;
    void *const copy = weir__record_room(record, out->count * element);
    if (copy == NULL)
        return false;
    if (out->count > 0)
        memcpy(copy, from, out->count * element);
    out->as.bytes = copy;
    return true;
}

/* The value, but not the key. */
static bool record_copy_value(weir__record *record, weir_attribute *out, const weir_attribute *from)
{
    size_t const longest = record->tracer->options.max_value_length;
    switch (from->type) {
    case WEIR_ATTRIBUTE_STRING:
        out->count = record_cut(from->as.string, from->count, longest);
        out->as.string = weir__record_text(record, from->as.string, out->count);
        return out->as.string != NULL;
    case WEIR_ATTRIBUTE_BOOL:
    case WEIR_ATTRIBUTE_INT:
    case WEIR_ATTRIBUTE_DOUBLE: out->as = from->as; return true;
    case WEIR_ATTRIBUTE_BYTES:
        out->count = from->count < longest ? from->count : longest;
        return record_copy_array(record, out, from->as.bytes, 1);
    case WEIR_ATTRIBUTE_STRINGS:
        return from->count <= SIZE_MAX / 2 / sizeof(char *) &&
               record_copy_strings(record, out, from);
    case WEIR_ATTRIBUTE_BOOLS:
        return record_copy_array(record, out, from->as.booleans, sizeof(bool));
    case WEIR_ATTRIBUTE_INTS:
        return record_copy_array(record, out, from->as.integers, sizeof(int64_t));
    case WEIR_ATTRIBUTE_DOUBLES:
        return record_copy_array(record, out, from->as.reals, sizeof(double));
    }
    return false;
}

/* A list of attributes: of the span itself, an event or a link. */
typedef struct record_list {
    const void *array; /* weir_attribute. */
    size_t count;
    uint32_t room, max, dropped;
} record_list;

static void record_put(weir__record *record, record_list *list, const weir_attribute *from)
{
    weir_attribute *const attributes = (weir_attribute *)(uintptr_t)list->array;
    weir_attribute copy = *from;
    size_t at = 0;
    if (from->key == NULL || from->key[0] == '\0') {
        list->dropped++;
        return;
    }
    while (at < list->count && strcmp(attributes[at].key, from->key) != 0)
        at++;
    if (at < list->count) {
        copy.key = attributes[at].key;
        if (record_copy_value(record, &copy, from))
            attributes[at] = copy;
        else
            list->dropped++;
        return;
    }
    if (list->count >= list->max ||
        (copy.key = weir__record_text(record, from->key, strlen(from->key))) == NULL ||
        !record_copy_value(record, &copy, from) ||
        !record_grow(record, &list->array, list->count, sizeof copy, &list->room)) {
        list->dropped++;
        return;
    }
    ((weir_attribute *)(uintptr_t)list->array)[list->count++] = copy;
}

void weir__record_set(weir__record *record, const weir_attribute *attributes, size_t count)
{
    weir_span_data *const data = &record->data;
    record_list list = {data->attributes, data->attribute_count, record->attribute_room,
                        record->tracer->options.max_attributes, data->dropped_attributes};
    for (size_t i = 0; i < count; i++)
        record_put(record, &list, &attributes[i]);
    data->attributes = list.array;
    data->attribute_count = list.count;
    data->dropped_attributes = list.dropped;
    record->attribute_room = list.room;
}

void weir__record_event(weir__record *record, const weir_span_event *event, uint64_t at_ns)
{
    weir_span_data *const data = &record->data;
    const void *array = data->events;
    const char *const name = event->name != NULL ? event->name : "";
    weir_span_event copy = {.at_ns = at_ns};
    record_list list = {.max = record->tracer->options.max_event_attributes,
                        .dropped = event->dropped_attributes};
    if (data->event_count >= record->tracer->options.max_events ||
        (copy.name = weir__record_text(record, name, strlen(name))) == NULL ||
        !record_grow(record, &array, data->event_count, sizeof copy, &record->event_room)) {
        data->dropped_events++;
        return;
    }
    for (size_t i = 0; i < event->attribute_count; i++)
        record_put(record, &list, &event->attributes[i]);
    copy.attributes = list.array;
    copy.attribute_count = list.count;
    copy.dropped_attributes = list.dropped;
    data->events = array;
    ((weir_span_event *)(uintptr_t)array)[data->event_count++] = copy;
}

void weir__record_link(weir__record *record, const weir_span_link *link)
{
    weir_span_data *const data = &record->data;
    const void *array = data->links;
    weir_span_link copy = {.context = link->context};
    const char *const state = link->context.state != NULL ? link->context.state : "";
    record_list list = {.max = record->tracer->options.max_link_attributes,
                        .dropped = link->dropped_attributes};
    if (data->link_count >= record->tracer->options.max_links ||
        (copy.context.state = weir__record_text(record, state, strlen(state))) == NULL ||
        !record_grow(record, &array, data->link_count, sizeof copy, &record->link_room)) {
        data->dropped_links++;
        return;
    }
    for (size_t i = 0; i < link->attribute_count; i++)
        record_put(record, &list, &link->attributes[i]);
    copy.attributes = list.array;
    copy.attribute_count = list.count;
    copy.dropped_attributes = list.dropped;
    data->links = array;
    ((weir_span_link *)(uintptr_t)array)[data->link_count++] = copy;
}
