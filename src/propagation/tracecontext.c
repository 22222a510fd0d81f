/* traceparent and tracestate: W3C Trace Context Level 2. */
#include "propagation/propagation.h"

#define PARENT_SIZE (WEIR_TRACEPARENT_SIZE - 1)
#define STATE_MAX   32  /* Members. */
#define STATE_LARGE 128 /* Bytes of a member that is the first to go. */
#define STATE_KEY   256
#define STATE_VALUE 256

/* ---- traceparent: version "-" trace id "-" span id "-" flags ---- */

static bool parent_read(weir_trace_context *out, const char *text, size_t size)
{
    uint8_t version, flags;
    if (size < PARENT_SIZE || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    bool const hex = weir__hex_read(text, &version, 1) && weir__hex_read(text + 53, &flags, 1) &&
                     weir__hex_read(text + 3, out->trace_id, 16) &&
                     weir__hex_read(text + 36, out->span_id, 8);
    if (!hex || version == 0xFF || (version == 0 && size > PARENT_SIZE) ||
        (size > PARENT_SIZE && text[PARENT_SIZE] != '-'))
        return false;
    out->flags = flags & (WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM);
    return weir_trace_context_valid(out);
}

int weir_traceparent_parse(weir_trace_context *out, const char *text, size_t size)
{
    weir__field const field = weir__field_trim((weir__field){text, size});
    memset(out, 0, sizeof *out);
    if (parent_read(out, field.data, field.size))
        return WEIR_OK;
    memset(out, 0, sizeof *out);
    return WEIR_EPROTOCOL;
}

void weir_traceparent_format(const weir_trace_context *context, char *out)
{
    uint8_t const flags = context->flags & (WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM);
    memcpy(out, "00-", 3);
    weir__hex_write(context->trace_id, 16, out + 3);
    out[35] = '-';
    weir__hex_write(context->span_id, 8, out + 36);
    out[52] = '-';
    weir__hex_write(&flags, 1, out + 53);
    out[PARENT_SIZE] = '\0';
}

/* ---- tracestate: members "key=value" with commas between ---- */

/* Members, as they are in somebody's text. */
typedef struct state_list {
    weir__field members[STATE_MAX + 1];
    size_t count;
} state_list;

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

/* Adds what one header has; false: it is malformed, or they are too many. Empty members are none. */
static bool state_read(state_list *list, weir__field header)
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
        if (list->count == STATE_MAX || key == member.size || !state_key_ok(member.data, key) ||
            !state_value_ok(member.data + key + 1, member.size - key - 1))
            return false;
        list->members[list->count++] = member;
    }
    return true;
}

static void state_drop(state_list *list, size_t at)
{
    list->count--;
    memmove(list->members + at, list->members + at + 1,
            (list->count - at) * sizeof list->members[0]);
}

/* Members of more than 128 bytes go first, then from the right, until it fits. */
static void state_write(state_list *list, char *out)
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

void weir__tracestate_extract(const weir_carrier *carrier, char *state)
{
    state_list list; /* Not filled with zeros: most have none. */
    weir__field header;
    state[0] = '\0';
    list.count = 0;
    for (size_t i = 0; carrier->get(carrier->self, "tracestate", i, &header.data, &header.size);
         i++)
        if (!state_read(&list, header))
            return;
    if (list.count > 0)
        state_write(&list, state);
}

static bool state_find(const state_list *list, const char *key, size_t *at)
{
    size_t const size = strlen(key);
    for (*at = 0; *at < list->count; ++*at)
        if (state_key_size(list->members[*at]) == size &&
            memcmp(list->members[*at].data, key, size) == 0)
            return true;
    return false;
}

bool weir_tracestate_get(const char *state, const char *key, const char **value, size_t *size)
{
    state_list list = {.count = 0};
    size_t at;
    if (state == NULL || !state_read(&list, (weir__field){state, strlen(state)}) ||
        !state_find(&list, key, &at))
        return false;
    size_t const skip = strlen(key) + 1;
    *value = list.members[at].data + skip;
    *size = list.members[at].size - skip;
    return true;
}

int weir_tracestate_set(char *out, const char *state, const char *key, const char *value)
{
    char text[STATE_KEY + STATE_VALUE + 2];
    state_list list = {.count = 0};
    size_t const key_size = strlen(key), value_size = value != NULL ? strlen(value) : 0;
    size_t at;
    bool const good =
        state_key_ok(key, key_size) && (value == NULL || state_value_ok(value, value_size));
    if (state != NULL && !state_read(&list, (weir__field){state, strlen(state)}))
        list.count = 0; /* What is malformed is not carried on. */
    if (good && state_find(&list, key, &at))
        state_drop(&list, at);
    if (good && value != NULL) {
        if (list.count == STATE_MAX)
            list.count--;
        memmove(list.members + 1, list.members, list.count * sizeof list.members[0]);
        memcpy(text, key, key_size);
        text[key_size] = '=';
        memcpy(text + key_size + 1, value, value_size);
        list.members[0] = (weir__field){text, key_size + 1 + value_size};
        list.count++;
    }
    state_write(&list, out);
    return good ? WEIR_OK : WEIR_EINVAL;
}

/* ---- Both ---- */

int weir__tracecontext_extract(const weir_carrier *carrier, weir_trace_context *out, char *state)
{
    weir__field parent, other;
    if (!carrier->get(carrier->self, "traceparent", 0, &parent.data, &parent.size))
        return WEIR_ENOTFOUND;
    if (carrier->get(carrier->self, "traceparent", 1, &other.data, &other.size) ||
        weir_traceparent_parse(out, parent.data, parent.size) != WEIR_OK)
        return WEIR_EPROTOCOL;
    weir__tracestate_extract(carrier, state);
    return WEIR_OK;
}

bool weir__tracecontext_inject(const weir_trace_context *context, const weir_carrier *carrier)
{
    char text[WEIR_TRACEPARENT_SIZE];
    const char *const state = context->state;
    weir_traceparent_format(context, text);
    return carrier->set(carrier->self, "traceparent", text, PARENT_SIZE) &&
           (state == NULL || state[0] == '\0' ||
            carrier->set(carrier->self, "tracestate", state, strlen(state)));
}
