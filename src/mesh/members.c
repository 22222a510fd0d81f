/* Who serves: the lines of the directive, and the registry's available instances. */
#include "mesh/mesh.h"

#include <stdio.h>
#include <string.h>

#define MEMBERS_PORT_TEXT 8 /* "[]:65535" */

/* ---- The directive ---- */

void weir__mesh_members_init(weir__mesh_members *members, const weir_env *env)
{
    *members = (weir__mesh_members){.env = env};
    weir__map_init(&members->ids, env);
}

void weir__mesh_members_free(weir__mesh_members *members)
{
    weir__map_free(&members->ids);
    weir__free(members->env, members->list, members->capacity * sizeof *members->list);
    weir__free(members->env, members->text, members->text_size);
}

static int members_option(const weir__option *option, void *out)
{
    weir_member *const member = out;
    if (weir__option_is(option, "weight"))
        return weir__option_u32(option, 0, 65535, &member->weight);
    if (weir__option_is(option, "priority"))
        return weir__option_u32(option, 0, 1000, &member->priority);
    if (weir__option_is(option, "max_in_flight"))
        return weir__option_u32(option, 0, 16000000, &member->max_in_flight);
    if (!weir__option_is(option, "zone"))
        return WEIR_ENOTFOUND;
    member->zone = option->value;
    return WEIR_OK;
}

static int members_reserve(weir__mesh_members *members)
{
    if (members->count < members->capacity)
        return WEIR_OK;
    size_t const capacity = members->capacity * 2 + 8;
    weir_member *const list =
        weir__resize(members->env, members->list, members->capacity * sizeof *list,
                     capacity * sizeof *list);
    if (list == NULL)
        return WEIR_ENOMEM;
    members->list = list;
    members->capacity = capacity;
    return WEIR_OK;
}

/* ID ADDRESS and options, behind the word that complaints begin with. */
static int members_add(weir__mesh_members *members, const weir__directive *directive)
{
    if (directive->count < 3)
        return weir__complain(directive->complaint, directive->words[0],
                              "expected an id and an address");
    const char *const id = directive->words[1];
    if (weir__map_get(&members->ids, id, strlen(id)) != NULL)
        return weir__complain(directive->complaint, directive->words[0], "\"%s\" is there already",
                              id);
    if (members_reserve(members))
        return WEIR_ENOMEM;
    weir_member *const member = &members->list[members->count];
    *member = (weir_member)WEIR_MEMBER_INIT;
    member->id = id;
    member->address = directive->words[2];
    int result = weir__directive_options(directive, 3, members_option, member);
    if (result == WEIR_OK)
        result = weir__map_put(&members->ids, id, strlen(id), directive->words[1]);
    members->count += result == WEIR_OK;
    return result;
}

static int members_line(weir__mesh_members *members, char *text, weir__complaint *complaint)
{
    static char name[] = "member";
    weir__directive directive = {.words = {name}, .complaint = complaint};
    weir__directive rest = {.words = {name}, .complaint = complaint};
    int const result = weir__directive_split(&rest, text);
    if (result != WEIR_OK || rest.count == 0)
        return result;
    if (rest.count == WEIR__DIRECTIVE_WORDS)
        return weir__complain(complaint, name, "has too many words");
    memcpy(directive.words + 1, rest.words, rest.count * sizeof *rest.words);
    directive.count = rest.count + 1;
    return members_add(members, &directive);
}

int weir__mesh_members_parse(weir__mesh_members *members, weir_bytes value, uint32_t *line,
                             weir__complaint *complaint)
{
    *line = 0;
    if (value.size > 0 && memchr(value.data, '\0', value.size) != NULL)
        return weir__complain(complaint, "member", "there is a NUL byte");
    members->text_size = value.size + 1;
    members->text = weir__alloc(members->env, members->text_size);
    if (members->text == NULL)
        return WEIR_ENOMEM;
    if (value.size > 0)
        memcpy(members->text, value.data, value.size);
    int result = WEIR_OK;
    for (char *next = members->text; result == WEIR_OK && next != NULL;) {
        char *const text = next;
        next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        ++*line;
        result = members_line(members, text, complaint);
    }
    return result;
}

/* ---- In force ---- */

/* What a service gets: `fixed` first, then from the view. */
typedef struct members_set {
    const weir__mesh_members *fixed;
    weir_member *list;
    size_t count, capacity;
    char *text; /* Addresses. */
    size_t text_size;
    char refused[WEIR_REGISTRY_MAX_NAME + 1]; /* The first who cannot be called, */
    weir__complaint complaint;                /* and why. */
} members_set;

static size_t members_address_bytes(const weir_instance *instance, const char *endpoint,
                                    const char **host, uint32_t *port)
{
    *host = instance->host;
    *port = instance->port;
    for (size_t i = 0; endpoint[0] != '\0' && i < instance->endpoint_count; i++)
        if (strcmp(instance->endpoints[i].name, endpoint) == 0) {
            *port = instance->endpoints[i].port;
            if (instance->endpoints[i].host[0] != '\0')
                *host = instance->endpoints[i].host;
            return strlen(*host) + MEMBERS_PORT_TEXT + 1;
        }
    if (endpoint[0] != '\0')
        *port = 0; /* It has no such endpoint. */
    return strlen(*host) + MEMBERS_PORT_TEXT + 1;
}

static void members_refuse(members_set *set, const char *id, const char *address)
{
    if (set->refused[0] != '\0')
        return;
    (void)snprintf(set->refused, sizeof set->refused, "%s", id);
    (void)weir__complain(&set->complaint, "member", "\"%.60s\" cannot be called at \"%.40s\"", id,
                         address);
}

static void members_add_fixed(members_set *set, const weir_mesh *mesh)
{
    for (size_t i = 0; i < set->fixed->count; i++) {
        const weir_member *const member = &set->fixed->list[i];
        if (weir__mesh_accepts(mesh, NULL, member->address))
            set->list[set->count++] = *member;
        else
            members_refuse(set, member->id, member->address);
    }
}

static void members_add_instance(members_set *set, const weir_mesh_service *service,
                                 const weir_instance *instance, char **at)
{
    const char *host;
    uint32_t port;
    size_t const bytes = members_address_bytes(instance, service->policy.endpoint, &host, &port);
    char *const address = *at;
    if (weir__map_get(&set->fixed->ids, instance->id, strlen(instance->id)) != NULL)
        return;
    (void)snprintf(address, bytes, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                   (unsigned)port);
    if (port == 0 || !weir__mesh_accepts(service->mesh, instance, address)) {
        members_refuse(set, instance->id, address);
        return;
    }
    *at += bytes;
    weir_member *const member = &set->list[set->count++];
    *member = (weir_member)WEIR_MEMBER_INIT;
    member->id = instance->id;
    member->address = address;
    member->zone = instance->zone;
    member->weight = instance->weight;
    member->labels = instance->metadata;
    member->label_count = instance->metadata_count;
}

static int members_fill(members_set *set, const weir_mesh_service *service,
                        const weir_registry_view *view)
{
    const char *host;
    uint32_t port;
    set->capacity = set->fixed->count + view->available_count + 1;
    for (size_t i = 0; i < view->available_count; i++)
        set->text_size +=
            members_address_bytes(view->available[i], service->policy.endpoint, &host, &port);
    set->text_size++;
    set->list = weir__alloc(&service->mesh->env, set->capacity * sizeof *set->list);
    set->text = weir__alloc(&service->mesh->env, set->text_size);
    if (set->list == NULL || set->text == NULL)
        return WEIR_ENOMEM;
    char *at = set->text;
    members_add_fixed(set, service->mesh);
    for (size_t i = 0; i < view->available_count; i++)
        members_add_instance(set, service, view->available[i], &at);
    for (size_t i = 0; i < set->count; i++)
        /* Its place, never followed: NOLINTNEXTLINE(performance-no-int-to-ptr) */
        set->list[i].user = (void *)(uintptr_t)i;
    return WEIR_OK;
}

/* The directive's text, whatever its size: *out is to be freed, with *room. */
static int members_read(const weir_mesh_service *service, char *name, char **out, size_t *room,
                        size_t *size)
{
    const weir_env *const env = &service->mesh->env;
    *room = 0;
    *out = NULL;
    for (;;) {
        int const result = weir__mesh_get(service, "members", name, *out, *room, size);
        if (result != WEIR_ETOOLARGE)
            return result;
        weir__free(env, *out, *room);
        *room = *size + 1;
        *out = weir__alloc(env, *room);
        if (*out == NULL) {
            *room = 0;
            return WEIR_ENOMEM;
        }
    }
}

int weir__mesh_read_members(weir_mesh_service *service)
{
    const weir_env *const env = &service->mesh->env;
    weir__mesh_members fixed;
    weir__complaint complaint;
    char name[WEIR_CONFIG_NAME_SIZE];
    char *text;
    size_t room, size = 0;
    uint32_t line = 0;
    weir__mesh_members_init(&fixed, env);
    int result = members_read(service, name, &text, &room, &size);
    if (result == WEIR_OK && text != NULL)
        result = weir__mesh_members_parse(&fixed, (weir_bytes){text, size}, &line, &complaint);
    else if (result != WEIR_ENOMEM)
        result = WEIR_OK; /* There is none. */
    weir__free(env, text, room);
    if (result != WEIR_OK) {
        weir__mesh_members_free(&fixed);
        if (result == WEIR_EINVAL)
            weir__mesh_problem(service, name, &complaint, line);
        return result == WEIR_EINVAL ? WEIR_OK : result;
    }
    weir__mesh_members_free(&service->fixed);
    service->fixed = fixed;
    return WEIR_OK;
}

int weir__mesh_put_members(weir_mesh_service *service)
{
    weir_mesh *const mesh = service->mesh;
    members_set set = {.fixed = &service->fixed};
    weir_registry_view view = {.synced = true};
    if (mesh->options.registry != NULL)
        weir_registry_begin(mesh->options.registry, service->name, &view);
    uint64_t const generation = view.generation;
    int result = members_fill(&set, service, &view);
    if (result == WEIR_OK)
        result = weir_caller_set_members(service->caller, set.list, set.count, 0);
    if (mesh->options.registry != NULL)
        weir_registry_end(&view);
    weir__free(&mesh->env, set.list, set.capacity * sizeof *set.list);
    weir__free(&mesh->env, set.text, set.text_size);
    if (result == WEIR_ENOMEM)
        return result;
    service->generation = generation;
    if (result == WEIR_EINVAL)
        (void)weir__complain(&set.complaint, "member", "they cannot be balanced");
    if (result == WEIR_EINVAL || set.refused[0] != '\0')
        weir__mesh_problem(service, set.refused, &set.complaint, 0);
    if (result == WEIR_OK)
        weir__mesh_tell(service, WEIR_MESH_MEMBERS);
    return WEIR_OK;
}
