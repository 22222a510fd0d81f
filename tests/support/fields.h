/* A carrier of a few fields, as headers of a request are. */
#ifndef WEIR_TEST_FIELDS_H
#define WEIR_TEST_FIELDS_H

#include <weir/propagation.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 16

typedef struct fields {
    struct field {
        char name[32];
        char value[9000];
        size_t size;
    } list[FIELDS_MAX];
    size_t count;
    size_t room; /* Fields that may be set. */
} fields;

static inline bool fields_get(void *self, const char *name, size_t index, const char **value,
                              size_t *size)
{
    fields *const all = self;
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i].name, name) == 0 && index-- == 0) {
            *value = all->list[i].value;
            *size = all->list[i].size;
            return true;
        }
    return false;
}

static inline bool fields_set(void *self, const char *name, const char *value, size_t size)
{
    fields *const all = self;
    struct field *const field = &all->list[all->count];
    if (all->count == all->room || size >= sizeof field->value)
        return false;
    (void)snprintf(field->name, sizeof field->name, "%s", name);
    memcpy(field->value, value, size);
    field->value[size] = '\0';
    field->size = size;
    all->count++;
    return true;
}

static inline weir_carrier fields_carrier(fields *all)
{
    return (weir_carrier){.get = fields_get, .set = fields_set, .self = all};
}

static inline void fields_add(fields *all, const char *name, const char *value)
{
    all->room = FIELDS_MAX;
    if (!fields_set(all, name, value, strlen(value)))
        abort();
}

/* The value of a field, or NULL. */
static inline const char *fields_of(const fields *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i].name, name) == 0)
            return all->list[i].value;
    return NULL;
}

#endif
