/* Active checks: one a member, all on one checker, kept across reloads while nothing about them
 * changes. What they find becomes WEIR_MEMBER_UNHEALTHY. */
#include "gateway/checks.h"

#include "net/loop.h"

#include <stdio.h>
#include <string.h>

#define CHECKS_RETRY_NS (UINT64_C(100) * WEIR__NS_PER_MS) /* Of a flag that found no memory. */

/* ---- Flags ---- */

static void checks_set_flag(weir__member_check *check)
{
    bool const ill = weir_health_get_state(check->check) == WEIR_HEALTH_DOWN;
    if (ill == check->flagged)
        return;
    uint32_t const bit = WEIR_MEMBER_UNHEALTHY;
    int const result = weir_balancer_set_flags(weir_caller_balancer(check->service->caller),
                                               check->member, ill ? bit : 0, ill ? 0 : bit);
    if (result == WEIR_ENOMEM)
        check->service->checks_owe = true; /* The task tries again. */
    else
        check->flagged = ill;
}

/* Who has come back by its checks is not kept out for what it did before. One whose checks passed
   all along stays ejected: they do not see what its calls see. */
static void checks_uneject(const weir__member_check *check, uint64_t now_ns)
{
    (void)weir_caller_uneject(check->service->caller, check->member, now_ns);
}

static void checks_on_event(const weir_health_event *event, void *user)
{
    (void)user;
    if (event->kind != WEIR_HEALTH_CHECK_CHANGED)
        return;
    checks_set_flag(event->user);
    if (event->from == WEIR_HEALTH_DOWN)
        checks_uneject(event->user, event->at_ns);
}

/* Whether no flag is owed any more. */
static bool checks_settle(weir_gateway *gateway)
{
    bool owes = false;
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir__service *const service = gateway->services[i];
        if (!service->checks_owe)
            continue;
        service->checks_owe = false;
        for (size_t j = 0; j < service->check_count; j++)
            checks_set_flag(service->checks[j]);
        owes = owes || service->checks_owe;
    }
    return !owes;
}

static uint64_t checks_run(void *self, uint64_t now_ns)
{
    weir_gateway *const gateway = self;
    weir_task const task = weir_health_task(gateway->health);
    uint64_t const next_ns = task.run(task.self, now_ns);
    uint64_t const again_ns = weir__add_ns(now_ns, CHECKS_RETRY_NS);
    return checks_settle(gateway) || next_ns < again_ns ? next_ns : again_ns;
}

static void checks_wake(void *user)
{
    weir_gateway *const gateway = user;
    if (gateway->health_task != NULL)
        weir_loop_task_wake(gateway->health_task);
}

int weir__checks_create(weir_gateway *gateway)
{
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    client.max_idle_per_address = 1;
    client.max_idle = UINT32_MAX;
    weir_health_options options = WEIR_HEALTH_OPTIONS_INIT;
    options.on_event = checks_on_event;
    options.on_wake = checks_wake;
    options.user = gateway;
    options.env = &gateway->env;
    weir_task const task = {.run = checks_run, .self = gateway};
    int result = weir_http_client_create(&gateway->prober, gateway->loop, &client);
    if (result == WEIR_OK)
        result = weir_health_create(&gateway->health, &options);
    if (result == WEIR_OK)
        result = weir_loop_task_create(&gateway->health_task, gateway->loop, task);
    return result;
}

void weir__checks_destroy(weir_gateway *gateway)
{
    weir_loop_task_destroy(gateway->health_task);
    weir_health_destroy(gateway->health);
    weir_http_client_destroy(gateway->prober);
}

/* ---- Checks ---- */

static void checks_start(const weir_health_run *run, weir_health_result *result, void *user)
{
    weir__member_check *const check = user;
    if (check->http != NULL)
        weir_probe_http_start(run, result, check->http);
    else
        weir_probe_tcp_start(run, result, check->tcp);
}

static void checks_cancel(const weir_health_run *run, void *user)
{
    weir__member_check *const check = user;
    if (check->http != NULL)
        weir_probe_http_cancel(run, check->http);
    else
        weir_probe_tcp_cancel(run, check->tcp);
}

static void checks_free_one(const weir_env *env, weir__member_check *check)
{
    if (check == NULL)
        return;
    if (check->check != NULL)
        (void)weir_health_remove(check->health, check->check);
    weir_probe_http_destroy(check->http);
    weir_probe_tcp_destroy(check->tcp);
    weir__free(env, check, sizeof *check + check->text_size);
}

static void checks_free_all(const weir_env *env, weir__member_check **checks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        checks_free_one(env, checks[i]);
    weir__free(env, checks, count * sizeof(weir__member_check *));
}

void weir__checks_free(const weir_env *env, weir__service *service)
{
    checks_free_all(env, service->checks, service->check_count);
    service->checks = NULL;
    service->check_count = 0;
}

/* Where the check goes: the member's address, with the port of the checks if there is one. */
static int checks_address(char *out, const char *address, uint32_t port)
{
    weir_address parsed;
    if (weir_address_parse(&parsed, address))
        return WEIR_EINVAL;
    if (port != 0)
        parsed.port = (uint16_t)port;
    weir_address_format(&parsed, out);
    return WEIR_OK;
}

static int checks_make_prober(weir__member_check *check, weir_gateway *gateway,
                              const weir__health_config *config, const char *address)
{
    if (config->kind == WEIR__HEALTH_HTTP) {
        weir_probe_http_options http = config->http;
        http.address = address;
        return weir_probe_http_create(&check->http, gateway->prober, &http);
    }
    weir_probe_tcp_options tcp = WEIR_PROBE_TCP_OPTIONS_INIT;
    tcp.address = address;
    tcp.send = config->send.data;
    tcp.send_size = config->send.size;
    tcp.expect = config->expect.data;
    tcp.expect_size = config->expect.size;
    return weir_probe_tcp_create(&check->tcp, gateway->loop, &tcp);
}

/* All that, if it is the same, makes it the same check. */
static void checks_describe(weir__text *out, const weir__health_config *config, const char *address)
{
    const weir_health_check_options *const o = &config->check;
    const char *const texts[] = {address,           config->http.target, config->http.method,
                                 config->http.host, config->http.expect, config->http.warn,
                                 config->http.body};
    weir__text_format(out, "%d %u %u %u %u %u %u %u %d %u %u", (int)config->kind, o->interval_ms,
                      o->timeout_ms, o->rise, o->fall, o->fast_ms, o->down_ms, o->jitter_percent,
                      (int)o->initial, o->idle_ms, o->traffic_skips);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        weir__text_str(out, " ");
        weir__text_str(out, texts[i] != NULL ? texts[i] : "");
    }
    weir__text_format(out, " %zu ", config->send.size);
    weir__text_bytes(out, config->send.data, config->send.size);
    weir__text_bytes(out, config->expect.data, config->expect.size);
}

static weir__member_check *checks_alloc(const weir_env *env, const char *member,
                                        const weir__text *what)
{
    size_t const id_size = strlen(member) + 1;
    weir__member_check *const check =
        weir__alloc(env, sizeof(weir__member_check) + id_size + what->size);
    if (check == NULL)
        return NULL;
    check->text_size = id_size + what->size;
    check->what = check->member + id_size;
    check->what_size = what->size;
    memcpy(check->member, member, id_size);
    memcpy(check->member + id_size, what->data, what->size);
    return check;
}

/* One that is down stays down until the new check knows better. */
static int checks_add(weir_gateway *gateway, weir__member_check *check,
                      const weir__health_config *config, const weir__member_check *before)
{
    weir_health_check_options options = config->check;
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)++gateway->checks_made);
    options.start = checks_start;
    options.cancel = checks_cancel;
    options.user = check;
    options.critical = false; /* Of many members, no one is. */
    if (before != NULL && weir_health_get_state(before->check) == WEIR_HEALTH_DOWN)
        options.initial = WEIR_HEALTH_START_DOWN;
    check->health = gateway->health;
    check->flagged = before != NULL && before->flagged;
    return weir_health_add(gateway->health, id, &options, &check->check);
}

weir__member_check *weir__checks_find(const weir__service *service, const char *member,
                                      size_t likely)
{
    for (size_t i = 0; i < service->check_count; i++) {
        weir__member_check *const check = service->checks[(likely + i) % service->check_count];
        if (check != NULL && strcmp(check->member, member) == 0)
            return check;
    }
    return NULL;
}

void weir__checks_note(const weir__service *service, const weir_attempt *attempt, uint64_t now_ns)
{
    size_t const likely = (size_t)(uintptr_t)attempt->user;
    weir__member_check *const check = weir__checks_find(service, attempt->member->id, likely);
    if (check != NULL)
        weir_health_note_traffic(check->check, now_ns);
}

int weir__checks_try(weir_gateway *gateway, const weir__health_config *config)
{
    weir__member_check trial = {.http = NULL};
    if (config->kind == WEIR__HEALTH_NONE)
        return WEIR_OK;
    int const result = checks_make_prober(&trial, gateway, config, "127.0.0.1:1");
    weir_probe_http_destroy(trial.http);
    weir_probe_tcp_destroy(trial.tcp);
    return result;
}

/* The checks of a service while they are made. */
typedef struct checks_making {
    weir_gateway *gateway;
    weir__service *service;
    weir__member_check **list;
    size_t count, members;
    int result;
} checks_making;

/* The check of one member: the one that is there, if it is the same, or a new one. */
static int checks_make(checks_making *making, const weir_member *member)
{
    const weir__health_config *const config = &making->service->extras.health;
    const weir_env *const env = &making->gateway->env;
    weir__member_check *const old = weir__checks_find(making->service, member->id, making->count);
    weir__member_check **const out = &making->list[making->count];
    char address[WEIR_ADDRESS_TEXT_SIZE];
    weir__text what;
    if (checks_address(address, member->address, config->port))
        return WEIR_EINVAL;
    weir__text_init(&what, env);
    checks_describe(&what, config, address);
    int result = weir__text_ok(&what) ? WEIR_OK : WEIR_ENOMEM;
    if (result == WEIR_OK && old != NULL && old->what_size == what.size &&
        memcmp(old->what, what.data, what.size) == 0) {
        old->kept = true;
        *out = old;
    } else if (result == WEIR_OK) {
        *out = checks_alloc(env, member->id, &what);
        result =
            *out == NULL ? WEIR_ENOMEM : checks_make_prober(*out, making->gateway, config, address);
        if (*out != NULL)
            (*out)->service = making->service;
        if (result == WEIR_OK)
            result = checks_add(making->gateway, *out, config, old);
    }
    weir__text_free(&what);
    return result;
}

static void checks_make_next(const weir_caller_member *member, void *user)
{
    checks_making *const making = user;
    if (making->result == WEIR_OK && making->count < making->members) {
        making->result = checks_make(making, member->member);
        making->count++;
    }
}

static void checks_count(const weir_caller_member *member, void *user)
{
    (void)member;
    ++*(size_t *)user;
}

static bool checks_has(const checks_making *making, const char *member)
{
    for (size_t i = 0; i < making->count; i++)
        if (strcmp(making->list[i]->member, member) == 0)
            return true;
    return false;
}

/* Clears the flags of members that are checked no more. */
static int checks_unflag(const checks_making *making)
{
    const weir__service *const service = making->service;
    for (size_t i = 0; i < service->check_count; i++) {
        weir__member_check *const check = service->checks[i];
        if (check->kept || !check->flagged || checks_has(making, check->member))
            continue;
        if (weir_balancer_set_flags(weir_caller_balancer(service->caller), check->member, 0,
                                    WEIR_MEMBER_UNHEALTHY) == WEIR_ENOMEM)
            return WEIR_ENOMEM;
        check->flagged = false;
    }
    return WEIR_OK;
}

/* Of `list`, those are let go that are not kept; the others are no longer marked. */
static void checks_let_go(const weir_env *env, weir__member_check **list, size_t count,
                          size_t capacity)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] != NULL && !list[i]->kept)
            checks_free_one(env, list[i]);
        else if (list[i] != NULL)
            list[i]->kept = false;
    weir__free(env, list, capacity * sizeof(weir__member_check *));
}

int weir__checks_set(weir__service *service, weir_gateway *gateway)
{
    checks_making making = {.gateway = gateway, .service = service};
    if (service->extras.health.kind != WEIR__HEALTH_NONE)
        weir_caller_visit(service->caller, checks_count, &making.members);
    making.list = weir__alloc(&gateway->env, making.members * sizeof(weir__member_check *));
    if (making.members > 0 && making.list == NULL)
        return WEIR_ENOMEM;
    if (making.members > 0)
        weir_caller_visit(service->caller, checks_make_next, &making);
    if (making.result == WEIR_OK)
        making.result = checks_unflag(&making);
    if (making.result != WEIR_OK) {
        checks_let_go(&gateway->env, making.list, making.count, making.members);
        return making.result;
    }
    checks_let_go(&gateway->env, service->checks, service->check_count, service->check_count);
    service->checks = making.list;
    service->check_count = making.members;
    service->checks_owe = true; /* Some may begin as down. */
    return WEIR_OK;
}
