#include "admin/admin.h"

#include <stdlib.h>
#include <string.h>

#define SERVICE_FIRST_ROOM 32

/* ---- Instances as JSON ---- */

static void service_write_str(weir__text *out, const char *before, const char *str)
{
    weir__text_str(out, before);
    weir__text_json(out, str, strlen(str));
}

/* Where an instance's own members go: the brace that opens them is there already. */
typedef struct service_splice {
    weir__text *out;
    bool begun;
} service_splice;

static void service_splice_part(const void *data, size_t size, void *user)
{
    service_splice *const splice = user;
    size_t const skip = splice->begun || size == 0 ? 0 : 1;
    splice->begun = true;
    weir__text_bytes(splice->out, (const char *)data + skip, size - skip);
}

/* With `more`, members of this view. */
static bool service_write(weir__text *out, const weir_instance *instance, const char *more)
{
    service_splice splice = {.out = out};
    service_write_str(out, "{\"service\":", instance->service);
    service_write_str(out, ",\"id\":", instance->id);
    weir__text_format(out, ",\"revision\":%llu", (unsigned long long)instance->revision);
    service_write_str(out, ",\"effective\":",
                      weir_instance_status_name(weir_instance_effective(instance)));
    weir__text_str(out, more);
    weir__text_str(out, ",");
    return weir_instance_format(instance, out->env, service_splice_part, &splice) == WEIR_OK &&
           weir__text_ok(out);
}

bool weir__admin_write_instance(weir__text *out, const weir_instance *instance)
{
    return service_write(out, instance, "");
}

/* ---- Lists ---- */

typedef struct service_entry {
    size_t name_at; /* In the names, which move while they grow... */
    const char *name;
    size_t instances, available;
} service_entry;

typedef struct service_list {
    weir_env env;
    weir__text names;
    service_entry *entries;
    size_t count, room;
    bool failed;
} service_list;

static bool service_collect(const weir_registry_service *service, void *user)
{
    service_list *const list = user;
    if (list->count == list->room) {
        size_t const room = list->room > 0 ? 2 * list->room : SERVICE_FIRST_ROOM;
        service_entry *const grown = weir__resize(&list->env, list->entries,
                                                  list->room * sizeof *grown, room * sizeof *grown);
        list->failed = grown == NULL;
        if (list->failed)
            return false;
        list->entries = grown;
        list->room = room;
    }
    list->entries[list->count++] = (service_entry){.name_at = list->names.size,
                                                   .instances = service->instances,
                                                   .available = service->available};
    weir__text_bytes(&list->names, service->name, strlen(service->name) + 1);
    return true;
}

static int service_order(const void *a, const void *b)
{
    return strcmp(((const service_entry *)a)->name, ((const service_entry *)b)->name);
}

static void service_write_list(weir__text *out, service_list *list, bool synced)
{
    for (size_t i = 0; i < list->count; i++)
        list->entries[i].name = list->names.data + list->entries[i].name_at;
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, service_order);
    weir__text_format(out, "{\"synced\":%s,\"services\":[", synced ? "true" : "false");
    for (size_t i = 0; i < list->count; i++) {
        const service_entry *const entry = &list->entries[i];
        service_write_str(out, i > 0 ? ",\n{\"name\":" : "\n{\"name\":", entry->name);
        weir__text_format(out, ",\"instances\":%zu,\"available\":%zu}", entry->instances,
                          entry->available);
    }
    weir__text_str(out, "]}\n");
}

void weir__admin_get_services(weir__admin_call *call)
{
    service_list list = {.env = call->env};
    weir__text out;
    weir__text_init(&list.names, &list.env);
    weir__text_init(&out, &list.env);
    bool const synced = weir_registry_visit_services(call->admin->registry, service_collect, &list);
    if (list.failed || !weir__text_ok(&list.names))
        out.failed = true;
    else
        service_write_list(&out, &list, synced);
    weir__text_free(&list.names);
    weir__free(&list.env, list.entries, list.room * sizeof *list.entries);
    weir__admin_answer_json(call, &out);
}

/* ---- One service ---- */

typedef struct service_page {
    weir__text out;
    weir_registry_view view;
    size_t at;      /* Of those available, the first that is not before the visited. */
    const char *id; /* The only one wanted; NULL = all. */
    size_t written;
    bool failed;
} service_page;

/* Both lists are sorted by id. */
static bool service_is_available(service_page *page, const weir_instance *instance)
{
    const weir_registry_view *const view = &page->view;
    while (page->at < view->available_count &&
           strcmp(view->available[page->at]->id, instance->id) < 0)
        page->at++;
    return page->at < view->available_count &&
           strcmp(view->available[page->at]->id, instance->id) == 0;
}

static bool service_visit(const weir_instance *instance, void *user)
{
    service_page *const page = user;
    bool const available = service_is_available(page, instance);
    if (page->id != NULL && strcmp(page->id, instance->id) != 0)
        return true;
    if (page->id == NULL)
        weir__text_str(&page->out, page->written > 0 ? ",\n" : "\n");
    page->written++;
    page->failed = !service_write(&page->out, instance,
                                  available ? ",\"available\":true" : ",\"available\":false");
    return !page->failed;
}

/* Nothing changes meanwhile: this is the thread that changes it. */
static int service_look(weir__admin_call *call, service_page *page, const char *id)
{
    const weir__admin_target *const target = &call->target;
    weir_registry_query const query = {.service = target->service,
                                       .available = (target->given &
                                                     WEIR__ADMIN_BIT(WEIR__ADMIN_AVAILABLE)) != 0,
                                       .version = target->params[WEIR__ADMIN_VERSION],
                                       .zone = target->params[WEIR__ADMIN_ZONE]};
    weir_registry *const registry = call->admin->registry;
    page->id = id;
    weir_registry_begin(registry, target->service, &page->view);
    if (id == NULL) {
        service_write_str(&page->out, "{\"service\":", target->service);
        weir__text_format(&page->out, ",\"synced\":%s,\"protecting\":%s,\"revision\":%llu",
                          page->view.synced ? "true" : "false",
                          page->view.protecting ? "true" : "false",
                          (unsigned long long)page->view.revision);
        weir__text_str(&page->out, ",\"instances\":[");
    }
    int const code = weir_registry_lookup(registry, &query, service_visit, page, NULL);
    weir_registry_end(&page->view);
    page->out.failed |= page->failed;
    weir__text_str(&page->out, id == NULL ? "]}\n" : "\n");
    return code;
}

void weir__admin_get_service(weir__admin_call *call)
{
    weir_env const env = call->env;
    service_page page = {.written = 0};
    weir__text_init(&page.out, &env);
    if (service_look(call, &page, NULL) == WEIR_OK) {
        weir__admin_answer_json(call, &page.out);
        return;
    }
    weir__text_free(&page.out);
    weir__admin_refuse(call, 400, "version: not a range");
}

void weir__admin_get_instance(weir__admin_call *call)
{
    weir_env const env = call->env;
    service_page page = {.written = 0};
    weir__text_init(&page.out, &env);
    (void)service_look(call, &page, call->target.id);
    if (page.written > 0) {
        weir__admin_answer_json(call, &page.out);
        return;
    }
    weir__text_free(&page.out);
    if (page.view.synced)
        weir__admin_fail(call, WEIR_ENOTFOUND, "id");
    else
        weir__admin_refuse(call, 503, "registry: not in sync yet");
}

/* ---- Changes ---- */

static void service_done(const weir_registry_result *result, void *user)
{
    weir__admin_call *const call = user;
    weir_http_header revision = {weir_http_str("Weir-Revision"), {NULL, 0}};
    if (!weir__admin_let_go(call))
        return;
    if (result->code != WEIR_OK) {
        weir__admin_fail(call, result->code, result->code == WEIR_ENOTFOUND ? "id" : "instance");
        return;
    }
    weir__text text;
    weir_env const env = call->env;
    weir__text_init(&text, &env);
    weir__text_u64(&text, result->revision);
    revision.value = (weir_http_slice){text.data, text.size};
    weir__admin_answer(call, 204, NULL, &revision, weir__text_ok(&text) ? 1 : 0, NULL, 0);
    weir__text_free(&text);
}

/* After a call that is told service_done, if it returned WEIR_OK. */
static void service_asked(weir__admin_call *call, int code, const char *field)
{
    if (code == WEIR_OK)
        return;
    call->held = false;
    weir__admin_fail(call, code, field);
}

void weir__admin_register(weir__admin_call *call)
{
    const weir__admin_target *const target = &call->target;
    weir_env const env = call->env;
    weir_instance_error error;
    weir_instance *instance;
    int code = weir_instance_parse(&instance, target->service, target->id,
                                   call->text.size > 0 ? call->text.data : "", call->text.size,
                                   &env, &error);
    if (code == WEIR_EPROTOCOL || code == WEIR_EINVAL) {
        weir__admin_refuse(call, 400, "%s: %s, line %zu",
                           error.field[0] != '\0' ? error.field : "body", error.message,
                           error.line > 0 ? error.line : 1);
        return;
    }
    if (code != WEIR_OK) {
        weir__admin_fail(call, code, "body");
        return;
    }
    call->held = true;
    code = weir_registry_register(call->admin->registry, instance, service_done, call);
    weir_instance_destroy(instance, &env);
    service_asked(call, code, code == WEIR_EINVAL ? "expire_ms, renew_ms" : "instance");
}

void weir__admin_deregister(weir__admin_call *call)
{
    call->held = true;
    service_asked(call,
                  weir_registry_deregister(call->admin->registry, call->target.service,
                                           call->target.id, service_done, call),
                  "instance");
}

void weir__admin_drain(weir__admin_call *call)
{
    bool const off = (call->target.given & WEIR__ADMIN_BIT(WEIR__ADMIN_OFF)) != 0;
    call->held = true;
    service_asked(call,
                  weir_registry_drain(call->admin->registry, call->target.service, call->target.id,
                                      !off, service_done, call),
                  "instance");
}

void weir__admin_heartbeat(weir__admin_call *call)
{
    int const code =
        weir_registry_heartbeat(call->admin->registry, call->target.service, call->target.id);
    if (code == WEIR_OK)
        weir__admin_answer(call, 204, NULL, NULL, 0, NULL, 0);
    else
        weir__admin_fail(call, code, "id");
}

/* A name, with blanks and line ends around it. False: it is none. */
static bool service_read_status(const weir__text *body, weir_instance_status *out)
{
    weir_http_slice name = {body->size > 0 ? body->data : "", body->size};
    while (name.size > 0 && (unsigned char)name.data[name.size - 1] <= ' ')
        name.size--;
    for (; name.size > 0 && (unsigned char)*name.data <= ' '; name.size--)
        name.data++;
    for (unsigned i = WEIR_INSTANCE_UNKNOWN; i <= WEIR_INSTANCE_OUT_OF_SERVICE; i++) {
        *out = (weir_instance_status)i;
        if (weir__admin_same(name, weir_instance_status_name(*out)))
            return true;
    }
    return false;
}

void weir__admin_put_status(weir__admin_call *call)
{
    const weir__admin_target *const target = &call->target;
    weir_registry *const registry = call->admin->registry;
    bool const own = target->place == WEIR__ADMIN_STATUS;
    weir_instance_status status;
    if (!service_read_status(&call->text, &status) || (own && status == WEIR_INSTANCE_UNKNOWN)) {
        weir__admin_refuse(call, 400, "body: not %s", own ? "a status" : "an override");
        return;
    }
    call->held = true;
    int const code = own ? weir_registry_set_status(registry, target->service, target->id, status,
                                                    service_done, call)
                         : weir_registry_set_override(registry, target->service, target->id, status,
                                                      service_done, call);
    service_asked(call, code, "instance");
}
