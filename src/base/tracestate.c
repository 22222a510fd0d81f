#include "base/tracestate.h"

#include <weir/trace.h>

#include <string.h>

#define STATE_LARGE 128 /* Bytes of a member that is the first to go. */
#define STATE_KEY   256
#define STATE_VALUE 256

weir__field weir__field_trim(weir__field field)
{
    while (field.size > 0 && (field.data[0] == ' ' || field.data[0] == '\t')) {
        field.data++;
        field.size--;
    }
    while (field.size > 0 &&
           (field.data[field.size - 1] == ' ' || field.data[field.size - 1] == '\t'))
        field.size--;
    return field;
}

static bool state_key_ok(const char *key, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char const c = key[i];
        bool const first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!first && (i == 0 || c == '\0' || strchr("_-*/@", c) == NULL))
            return false;
    }
    return size >= 1 && size <= STATE_KEY;
}

static bool state_value_ok(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (value[i] < ' ' || value[i] > '~' || value[i] == ',' || value[i] == '=')
            return false;
    return size >= 1 && size <= STATE_VALUE && value[size - 1] != ' ';
}

static size_t state_key_size(weir__field member)
{
    const char *const equals = memchr(member.data, '=', member.size);
    return equals != NULL ? (size_t)(equals - member.data) : member.size;
}

bool weir__tracestate_read(weir__tracestate *list, weir__field header)
{
    while (header.size > 0) {
        const char *const comma = memchr(header.data, ',', header.size);
        size_t const size = comma != NULL ? (size_t)(comma - header.data) : header.size;
        weir__field const member = weir__field_trim((weir__field){header.data, size});
        header.data += size + (comma != NULL);
        header.size -= size + (comma != NULL);
        if (member.size == 0)
            continue;
        size_t const key = state_key_size(member);
        if (list->count == WEIR__TRACESTATE_MEMBERS || key == member.size ||
            !state_key_ok(member.data, key) ||
            !state_value_ok(member.data + key + 1, member.size - key - 1))
            return false;
        list->members[list->count++] = member;
    }
    return true;
}

static void state_drop(weir__tracestate *list, size_t at)
{
    list->count--;
    memmove(list->members + at, list->members + at + 1,
            (list->count - at) * sizeof list->members[0]);
}

/* Members of more than 128 bytes go first, then from the right, until it fits. */
void weir__tracestate_write(weir__tracestate *list, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++)
        size += list->members[i].size + 1;
    for (size_t i = list->count; i > 0 && size > WEIR_TRACESTATE_SIZE; i--)
        if (list->members[i - 1].size > STATE_LARGE) {
            size -= list->members[i - 1].size + 1;
            state_drop(list, i - 1);
        }
    while (size > WEIR_TRACESTATE_SIZE)
        size -= list->members[--list->count].size + 1;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            *out++ = ',';
        memcpy(out, list->members[i].data, list->members[i].size);
        out += list->members[i].size;
    }
    *out = '\0';
}

static bool state_find(const weir__tracestate *list, const char *key, size_t *at)
{
    size_t const size = strlen(key);
    for (*at = 0; *at < list->count; ++*at)
        if (state_key_size(list->members[*at]) == size &&
            memcmp(list->members[*at].data, key, size) == 0)
            return true;
    return false;
}

bool weir__tracestate_get(const char *state, const char *key, const char **value, size_t *size)
{
    weir__tracestate list = {.count = 0};
    size_t at;
    if (state == NULL || !weir__tracestate_read(&list, (weir__field){state, strlen(state)}) ||
        !state_find(&list, key, &at))
        return false;
    size_t const skip = strlen(key) + 1;
    *value = list.members[at].data + skip;
    *size = list.members[at].size - skip;
    return true;
}

static weir__field state_member(char *text, weir__field key, weir__field value)
{
    memcpy(text, key.data, key.size);
    text[key.size] = '=';
    memcpy(text + key.size + 1, value.data, value.size);
    return (weir__field){text, key.size + 1 + value.size};
}

bool weir__tracestate_set(char *out, const char *state, const char *key, const char *value)
{
    char text[STATE_KEY + STATE_VALUE + 2];
    weir__tracestate list = {.count = 0};
    size_t const key_size = strlen(key), value_size = value != NULL ? strlen(value) : 0;
    size_t at;
    bool const good =
        state_key_ok(key, key_size) && (value == NULL || state_value_ok(value, value_size));
    if (state != NULL && !weir__tracestate_read(&list, (weir__field){state, strlen(state)}))
        list.count = 0; /* What is malformed is not carried on. */
    if (good && state_find(&list, key, &at))
        state_drop(&list, at);
    if (good && value != NULL) {
        if (list.count == WEIR__TRACESTATE_MEMBERS)
            list.count--;
        memmove(list.members + 1, list.members, list.count * sizeof list.members[0]);
        list.members[0] =
            state_member(text, (weir__field){key, key_size}, (weir__field){value, value_size});
        list.count++;
    }
    weir__tracestate_write(&list, out);
    return good;
}
