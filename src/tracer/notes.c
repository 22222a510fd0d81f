/* What a span says, copied into the bytes of its record. */
#include "tracer/tracer.h"

#include "base/text.h"

#include <string.h>

#define NOTE_ALIGN      8
#define NOTE_FIRST_ROOM 8 /* Elements of an array, when it gets its first. */

/* Member by member: to fill all of it with zeros at once takes compilers far longer. */
void weir__span_record_begin(weir__span_record *record, const weir_trace_context *context)
{
    weir_span_data *const data = &record->data;
    record->at = record->bytes;
    record->end = (unsigned char *)record + WEIR__RECORD_SIZE;
    record->attribute_room = record->event_room = record->link_room = 0;
    data->context = *context;
    data->context.state = NULL;
    memset(data->parent_id, 0, sizeof data->parent_id);
    data->parent_remote = false;
    data->kind = WEIR_SPAN_INTERNAL;
    data->status = WEIR_SPAN_UNSET;
    data->status_message = data->name = "";
    data->start_ns = data->end_ns = 0;
    data->attributes = record->attributes = NULL;
    data->events = record->events = NULL;
    data->links = record->links = NULL;
    data->attribute_count = data->event_count = data->link_count = 0;
    data->dropped_attributes = data->dropped_events = data->dropped_links = 0;
}

/* So that `size` bytes are left. */
static bool note_extend(weir__span_record *record, size_t size)
{
    weir_tracer *const tracer = record->tracer;
    size_t const header = (sizeof(weir__span_record_chunk) + NOTE_ALIGN - 1) & ~(NOTE_ALIGN - 1UL);
    weir__span_record_chunk *chunk = record->spare;
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

static void *note_bytes(weir__span_record *record, size_t size)
{
    if (WEIR__UNLIKELY((size_t)(record->end - record->at) < size) && !note_extend(record, size))
        return NULL;
    void *const bytes = record->at;
    record->at += size;
    return bytes;
}

void *weir__span_record_room(weir__span_record *record, size_t size)
{
    size_t const skip = (size_t)(-(uintptr_t)record->at & (NOTE_ALIGN - 1));
    if (WEIR__UNLIKELY((size_t)(record->end - record->at) < skip + size)) {
        if (!note_extend(record, size))
            return NULL;
    } else {
        record->at += skip;
    }
    return note_bytes(record, size);
}

const char *weir__span_record_text(weir__span_record *record, const char *text, size_t size)
{
    char *const copy = size < SIZE_MAX ? note_bytes(record, size + 1) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/*
 * An array that has room for one more element: itself, or one with twice as much, and the old one
 * lies fallow; NULL without memory.
 */
static void *note_grow(weir__span_record *record, void *array, size_t count, size_t element,
                       uint32_t *room)
{
    if (count < *room)
        return array;
    uint32_t const more = *room == 0 ? NOTE_FIRST_ROOM : *room * 2;
    void *const grown = weir__span_record_room(record, more * element);
    if (grown == NULL)
        return NULL;
    if (count > 0)
        memcpy(grown, array, count * element);
    *room = more;
    return grown;
}

/* Bytes of a text's first characters: what is not UTF-8 counts a byte each. */
static size_t note_cut(const char *text, size_t size, size_t characters)
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

static const void *note_copy_strings(weir__span_record *record, const weir_attribute *from)
{
    const char **const strings = weir__span_record_room(record, from->count * sizeof *strings);
    if (strings == NULL)
        return NULL;
    for (size_t i = 0; i < from->count; i++) {
        const char *const string = from->as.strings[i] != NULL ? from->as.strings[i] : "";
        size_t const size =
            note_cut(string, strlen(string), record->tracer->options.max_value_length);
        strings[i] = weir__span_record_text(record, string, size);
        if (strings[i] == NULL)
            return NULL;
    }
    return strings;
}

static const void *note_copy_array(weir__span_record *record, const void *from, size_t count,
                                   size_t element)
{
    void *const copy = weir__span_record_room(record, count * element);
    if (copy != NULL && count > 0)
        memcpy(copy, from, count * element);
    return copy;
}

/* What a value of this type points to; NULL without memory. */
static const void *note_copy_value(weir__span_record *record, const weir_attribute *from,
                                   size_t *count)
{
    size_t const longest = record->tracer->options.max_value_length;
    if (from->count > SIZE_MAX / 2 / sizeof(uint64_t))
        return NULL;
    switch (from->type) {
    case WEIR_ATTRIBUTE_STRING:
        *count = note_cut(from->as.string, from->count, longest);
        return weir__span_record_text(record, from->as.string, *count);
    case WEIR_ATTRIBUTE_BYTES:
        *count = from->count < longest ? from->count : longest;
        return note_copy_array(record, from->as.bytes, *count, 1);
    case WEIR_ATTRIBUTE_STRINGS: return note_copy_strings(record, from);
    case WEIR_ATTRIBUTE_BOOLS:
        return note_copy_array(record, from->as.booleans, from->count, sizeof(bool));
    case WEIR_ATTRIBUTE_INTS:
    case WEIR_ATTRIBUTE_DOUBLES:
        return note_copy_array(record, from->as.integers, from->count, sizeof(int64_t));
    case WEIR_ATTRIBUTE_BOOL:
    case WEIR_ATTRIBUTE_INT:
    case WEIR_ATTRIBUTE_DOUBLE: break;
    }
    return NULL;
}

/* Member by member: a load of what was just stored in pieces would wait for them. */
static bool note_put_value(weir__span_record *record, weir_attribute *slot,
                           const weir_attribute *from)
{
    size_t count = from->count;
    if (from->type == WEIR_ATTRIBUTE_BOOL) {
        slot->as.boolean = from->as.boolean;
    } else if (from->type == WEIR_ATTRIBUTE_INT) {
        slot->as.integer = from->as.integer;
    } else if (from->type == WEIR_ATTRIBUTE_DOUBLE) {
        slot->as.real = from->as.real;
    } else {
        const void *const value = note_copy_value(record, from, &count);
        if (value == NULL)
            return false;
        slot->as.bytes = value;
    }
    slot->type = from->type;
    slot->count = count;
    return true;
}

/* A list of attributes: of the span itself, an event or a link. */
typedef struct note_list {
    weir_attribute *array;
    size_t count;
    uint32_t room, max, dropped;
} note_list;

/* Keys lie behind a byte with the last bits of their length, so that most are told apart by it. */
static const char *note_key(weir__span_record *record, const char *key, size_t size)
{
    char *const copy = note_bytes(record, size + 2);
    if (copy == NULL)
        return NULL;
    copy[0] = (char)size;
    memcpy(copy + 1, key, size + 1);
    return copy + 1;
}

static size_t note_find(const note_list *list, const char *key, size_t size)
{
    const weir_attribute *const attributes = list->array;
    size_t at = 0;
    while (at < list->count &&
           (attributes[at].key[-1] != (char)size || memcmp(attributes[at].key, key, size + 1) != 0))
        at++;
    return at;
}

/* A slot for one more; NULL: there is none, or no memory. */
static weir_attribute *note_add(weir__span_record *record, note_list *list, const char *key,
                                size_t size)
{
    if (list->count >= list->max)
        return NULL;
    weir_attribute *const array =
        note_grow(record, list->array, list->count, sizeof array[0], &list->room);
    if (array == NULL)
        return NULL;
    list->array = array;
    array[list->count].key = note_key(record, key, size);
    return array[list->count].key != NULL ? &array[list->count] : NULL;
}

static void note_put(weir__span_record *record, note_list *list, const weir_attribute *from)
{
    size_t const size = from->key != NULL ? strlen(from->key) : 0;
    if (size == 0) {
        list->dropped++;
        return;
    }
    size_t const at = note_find(list, from->key, size);
    bool const known = at < list->count;
    weir_attribute *const slot = known ? list->array + at : note_add(record, list, from->key, size);
    if (slot == NULL || !note_put_value(record, slot, from))
        list->dropped++;
    else
        list->count += !known;
}

void weir__span_record_set(weir__span_record *record, const weir_attribute *attributes,
                           size_t count)
{
    weir_span_data *const data = &record->data;
    note_list list = {record->attributes, data->attribute_count, record->attribute_room,
                      record->tracer->options.max_attributes, data->dropped_attributes};
    for (size_t i = 0; i < count; i++)
        note_put(record, &list, &attributes[i]);
    data->attributes = record->attributes = list.array;
    data->attribute_count = list.count;
    data->dropped_attributes = list.dropped;
    record->attribute_room = list.room;
}

/* A list of its own, of an event or a link. */
static note_list note_all(weir__span_record *record, const weir_attribute *attributes, size_t count,
                          uint32_t max, uint32_t dropped)
{
    note_list list = {.max = max, .dropped = dropped};
    for (size_t i = 0; i < count; i++)
        note_put(record, &list, &attributes[i]);
    return list;
}

void weir__span_record_event(weir__span_record *record, const weir_span_event *event,
                             uint64_t at_ns)
{
    const weir_tracer_options *const options = &record->tracer->options;
    weir_span_data *const data = &record->data;
    size_t const count = data->event_count;
    const char *const given = event->name != NULL ? event->name : "";
    const char *name = NULL;
    weir_span_event *events = NULL;
    if (count < options->max_events)
        name = weir__span_record_text(record, given, strlen(given));
    if (name != NULL)
        events = note_grow(record, record->events, count, sizeof events[0], &record->event_room);
    if (events == NULL) {
        data->dropped_events++;
        return;
    }
    note_list const list = note_all(record, event->attributes, event->attribute_count,
                                    options->max_event_attributes, event->dropped_attributes);
    events[count] = (weir_span_event){name, at_ns, list.array, list.count, list.dropped};
    data->events = record->events = events;
    data->event_count++;
}

void weir__span_record_link(weir__span_record *record, const weir_span_link *link)
{
    const weir_tracer_options *const options = &record->tracer->options;
    weir_span_data *const data = &record->data;
    size_t const count = data->link_count;
    const char *const given = link->context.state != NULL ? link->context.state : "";
    const char *state = NULL;
    weir_span_link *links = NULL;
    if (count < options->max_links)
        state = weir__span_record_text(record, given, strlen(given));
    if (state != NULL)
        links = note_grow(record, record->links, count, sizeof links[0], &record->link_room);
    if (links == NULL) {
        data->dropped_links++;
        return;
    }
    note_list const list = note_all(record, link->attributes, link->attribute_count,
                                    options->max_link_attributes, link->dropped_attributes);
    links[count] = (weir_span_link){link->context, list.array, list.count, list.dropped};
    links[count].context.state = state;
    data->links = record->links = links;
    data->link_count++;
}
