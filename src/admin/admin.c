#include <weir/admin.h>

#include "admin/admin.h"

#include <string.h>

#define ADMIN_MAX_BODY     UINT64_C(1073741824)
#define ADMIN_MAX_ALIVE_MS 86400000

/* ---- Life ---- */

static bool admin_options_valid(const weir_admin_options *o)
{
    return o->max_body_bytes >= 1 && o->max_body_bytes <= ADMIN_MAX_BODY && o->alive_ms >= 1 &&
           o->alive_ms <= ADMIN_MAX_ALIVE_MS;
}

int weir_admin_create(weir_admin **out, const weir_admin_options *options)
{
    *out = NULL;
    weir_admin_options loaded = WEIR_ADMIN_OPTIONS_INIT;
    weir_env env;
    if ((options != NULL &&
         weir__options_load(&loaded, sizeof loaded, options, options->struct_size) != WEIR_OK) ||
        !admin_options_valid(&loaded) || weir__env_load(&env, loaded.env) != WEIR_OK)
        return WEIR_EINVAL;
    weir_admin *const admin = weir__alloc(&env, sizeof *admin);
    if (admin == NULL)
        return WEIR_ENOMEM;
    admin->env = env;
    admin->config = loaded.config;
    admin->registry = loaded.registry;
    admin->max_body_bytes = loaded.max_body_bytes;
    admin->max_streams = loaded.max_streams;
    admin->alive_ns = loaded.alive_ms * WEIR__NS_PER_MS;
    int const code = weir_admin_set_token(admin, loaded.token);
    if (code != WEIR_OK) {
        weir_admin_destroy(admin);
        return code;
    }
    *out = admin;
    return WEIR_OK;
}

void weir_admin_destroy(weir_admin *admin)
{
    if (admin == NULL)
        return;
    while (admin->calls != NULL)
        weir__admin_cut(admin->calls);
    weir_env const env = admin->env;
    weir__free(&env, admin, sizeof *admin);
}

size_t weir_admin_streams(const weir_admin *admin)
{
    return admin->streams;
}

/* ---- Tokens ---- */

int weir_admin_set_token(weir_admin *admin, const char *token)
{
    size_t const size = token != NULL ? strlen(token) : 0;
    if (size > WEIR_ADMIN_MAX_TOKEN)
        return WEIR_EINVAL;
    for (size_t i = 0; i < size; i++)
        if (token[i] <= 0x20 || token[i] >= 0x7f)
            return WEIR_EINVAL;
    if (size == admin->token_size && (size == 0 || memcmp(token, admin->token, size) == 0))
        return WEIR_OK;
    memset(admin->token, 0, sizeof admin->token);
    if (size > 0)
        memcpy(admin->token, token, size);
    admin->token_size = size;
    for (weir__admin_call *call = admin->calls; call != NULL;) {
        weir__admin_call *const next = call->next;
        if (call->stream)
            weir__admin_cut(call);
        call = next;
    }
    return WEIR_OK;
}

/* Takes as long for any two tokens: only the length of what is presented shows. */
static bool admin_token_matches(const weir_admin *admin, weir_http_slice presented)
{
    unsigned char copy[WEIR_ADMIN_MAX_TOKEN] = {0};
    if (presented.size > sizeof copy)
        return false;
    memcpy(copy, presented.data, presented.size);
    volatile unsigned differ = (unsigned)(presented.size ^ admin->token_size);
    for (size_t i = 0; i < sizeof copy; i++)
        differ = differ | (unsigned)(copy[i] ^ admin->token[i]);
    return differ == 0;
}

/* The one Authorization, if it is a Bearer's. */
static bool admin_bearer(const weir_http_request *request, weir_http_slice *token)
{
    static const char scheme[] = "Bearer ";
    size_t const skip = sizeof scheme - 1;
    const weir_http_header *found = NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!weir_http_equals(request->headers[i].name, "Authorization"))
            continue;
        if (found != NULL)
            return false;
        found = &request->headers[i];
    }
    if (found == NULL || found->value.size <= skip ||
        !weir_http_equals((weir_http_slice){found->value.data, skip}, scheme))
        return false;
    *token = (weir_http_slice){found->value.data + skip, found->value.size - skip};
    while (token->size > 0 && *token->data == ' ')
        *token = (weir_http_slice){token->data + 1, token->size - 1};
    return true;
}

bool weir__admin_is_local(const weir_address *peer)
{
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    if (peer->family == 4)
        return peer->ip[0] == 127;
    return memcmp(peer->ip, loopback, sizeof loopback) == 0 ||
           memcmp(peer->ip, mapped, sizeof mapped) == 0;
}

static bool admin_deny(weir_http_exchange *exchange, int status, const char *challenge,
                       const char *message)
{
    weir_http_header const headers[] = {{weir_http_str("Content-Type"),
                                         weir_http_str("text/plain")},
                                        {weir_http_str("WWW-Authenticate"),
                                         weir_http_str(challenge)}};
    weir_http_response const response = {.status = status,
                                         .headers = headers,
                                         .header_count = challenge != NULL ? 2 : 1,
                                         .body_size = strlen(message)};
    (void)weir_http_exchange_respond_with(exchange, &response, message);
    return false;
}

bool weir_admin_allows(weir_admin *admin, weir_http_exchange *exchange,
                       const weir_http_request *request)
{
    weir_http_slice token;
    if (admin->token_size > 0) {
        if (!admin_bearer(request, &token))
            return admin_deny(exchange, 401, "Bearer", "authorization: a bearer token is needed\n");
        return admin_token_matches(admin, token) ||
               admin_deny(exchange, 401, "Bearer error=\"invalid_token\"",
                          "authorization: not the token\n");
    }
    weir_address const peer = weir_http_exchange_peer(exchange);
    if (!weir__admin_is_local(&peer))
        return admin_deny(exchange, 403, NULL, "peer: only this machine, without a token\n");
    return weir__admin_same(request->method, "GET") || weir__admin_same(request->method, "HEAD") ||
           admin_deny(exchange, 403, NULL, "method: only GET and HEAD, without a token\n");
}

/* ---- Time ---- */

static uint64_t admin_run(void *self, uint64_t now_ns)
{
    weir_admin *const admin = self;
    if (now_ns < admin->due_ns)
        return admin->due_ns;
    for (weir__admin_call *call = admin->calls; call != NULL;) {
        weir__admin_call *const next = call->next;
        if (call->stream)
            weir__admin_stream_run(call);
        call = next;
    }
    admin->due_ns = weir__add_ns(now_ns, admin->alive_ns);
    return admin->due_ns;
}

weir_task weir_admin_task(weir_admin *admin)
{
    return (weir_task){.run = admin_run, .self = admin};
}
