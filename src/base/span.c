#include "base/span.h"

#include <string.h>

#define SPAN_ALIGN 8

/* Walked twice: without a base, to find its size; then with one. */
typedef struct span_room {
    unsigned char *base;
    size_t used;
} span_room;

static void *span_put(span_room *room, const void *from, size_t size, size_t align)
{
    size_t const at = (room->used + align - 1) & ~(align - 1);
    room->used = at + size;
    if (room->base == NULL)
        return NULL;
    if (size > 0)
        memcpy(room->base + at, from, size);
    return room->base + at;
}

static const char *span_put_text(span_room *room, const char *text)
{
    return text != NULL ? span_put(room, text, strlen(text) + 1, 1) : NULL;
}

/* With a NUL behind it, as a tracer has them. */
static const char *span_put_string(span_room *room, const char *text, size_t size)
{
    const char *const copy = span_put(room, text, size, 1);
    (void)span_put(room, "", 1, 1);
    return copy;
}

static const void *span_put_strings(span_room *room, const char *const *from, size_t count)
{
    const char **const copy = span_put(room, from, count * sizeof *from, SPAN_ALIGN);
    for (size_t i = 0; i < count; i++) {
        const char *const text = span_put_text(room, from[i]);
        if (copy != NULL)
            copy[i] = text;
    }
    return copy;
}

static const void *span_put_value(span_room *room, const weir_attribute *from)
{
    switch (from->type) {
    case WEIR_ATTRIBUTE_STRING: return span_put_string(room, from->as.string, from->count);
    case WEIR_ATTRIBUTE_BYTES: return span_put(room, from->as.bytes, from->count, 1);
    case WEIR_ATTRIBUTE_BOOLS:
        return span_put(room, from->as.booleans, from->count * sizeof(bool), 1);
    case WEIR_ATTRIBUTE_STRINGS: return span_put_strings(room, from->as.strings, from->count);
    case WEIR_ATTRIBUTE_INTS:
    case WEIR_ATTRIBUTE_DOUBLES:
        return span_put(room, from->as.bytes, from->count * sizeof(int64_t), SPAN_ALIGN);
    case WEIR_ATTRIBUTE_BOOL:
    case WEIR_ATTRIBUTE_INT:
    case WEIR_ATTRIBUTE_DOUBLE: break;
    }
    return NULL;
}

static const weir_attribute *span_put_attributes(span_room *room, const weir_attribute *from,
                                                 size_t count)
{
    weir_attribute *const copy = span_put(room, from, count * sizeof *from, SPAN_ALIGN);
    for (size_t i = 0; i < count; i++) {
        const char *const key = span_put_text(room, from[i].key);
        const void *const value = span_put_value(room, &from[i]);
        if (copy == NULL)
            continue;
        copy[i].key = key;
        if (value != NULL)
            copy[i].as.bytes = value;
    }
    return copy;
}

static const weir_span_event *span_put_events(span_room *room, const weir_span_data *from)
{
    weir_span_event *const copy =
        span_put(room, from->events, from->event_count * sizeof *copy, SPAN_ALIGN);
    for (size_t i = 0; i < from->event_count; i++) {
        const weir_span_event *const event = &from->events[i];
        const char *const name = span_put_text(room, event->name);
        const weir_attribute *const attributes =
            span_put_attributes(room, event->attributes, event->attribute_count);
        if (copy != NULL) {
            copy[i].name = name;
            copy[i].attributes = attributes;
        }
    }
    return copy;
}

static const weir_span_link *span_put_links(span_room *room, const weir_span_data *from)
{
    weir_span_link *const copy =
        span_put(room, from->links, from->link_count * sizeof *copy, SPAN_ALIGN);
    for (size_t i = 0; i < from->link_count; i++) {
        const weir_span_link *const link = &from->links[i];
        const char *const state = span_put_text(room, link->context.state);
        const weir_attribute *const attributes =
            span_put_attributes(room, link->attributes, link->attribute_count);
        if (copy != NULL) {
            copy[i].context.state = state;
            copy[i].attributes = attributes;
        }
    }
    return copy;
}

static void span_put_all(span_room *room, const weir_span_data *from, const char *service)
{
    weir__span *const span = (weir__span *)(void *)room->base;
    room->used = sizeof *span;
    weir_span_data data = *from;
    data.context.state = span_put_text(room, from->context.state);
    data.name = span_put_text(room, from->name);
    data.status_message = span_put_text(room, from->status_message);
    data.attributes = span_put_attributes(room, from->attributes, from->attribute_count);
    data.events = span_put_events(room, from);
    data.links = span_put_links(room, from);
    service = span_put_text(room, service);
    if (span == NULL)
        return;
    span->data = data;
    span->service = service;
}

weir__span *weir__span_copy(const weir_env *env, const weir_span_data *from, const char *service)
{
    span_room room = {NULL, 0};
    span_put_all(&room, from, service);
    weir__span *const span = weir__resize(env, NULL, 0, room.used);
    if (span == NULL)
        return NULL;
    room.base = (unsigned char *)span;
    span_put_all(&room, from, service);
    span->next = NULL;
    span->size = room.used;
    return span;
}

void weir__span_free(const weir_env *env, weir__span *span)
{
    if (span != NULL)
        weir__free(env, span, span->size);
}

const char *weir__span_service(const weir_span_batch *batch)
{
    for (size_t i = 0; i < batch->resource_count; i++) {
        const weir_attribute *const attribute = &batch->resource[i];
        if (strcmp(attribute->key, "service.name") == 0 && attribute->type == WEIR_ATTRIBUTE_STRING)
            return attribute->as.string;
    }
    return "";
}

bool weir__span_is_local_root(const weir_span_data *span)
{
    static const uint8_t none[8] = {0};
    return span->parent_remote || memcmp(span->parent_id, none, sizeof none) == 0;
}
