/**
 * @file weir/admin.h
 * The HTTP face of a weir_config and a weir_registry: for programs in other languages, and for
 * operators with curl.
 *
 *   weir_http_server --on_request--> your handler --> weir_admin_allows()  401, 403
 *                                         |                | yes
 *                                         |                v
 *                                         +--------> weir_admin_handle() --> config, registry
 *                                                          | none of its paths: yours
 *
 *     GET    /config                               all layers and rules, as weir_config_export()
 *            ?pattern=GLOB
 *     GET    /config?watch                         a stream of changes
 *            &pattern=GLOB &revision=N
 *     POST   /config                               import such a document
 *     GET    /config/NAME                          the value's own bytes, as this client gets it
 *            ?environment= &label= &id= &labels=A,B
 *     GET    /config/NAME?version=N                a former value of one layer
 *     GET    /config/NAME?history                  all versions of it that are kept, oldest first
 *            &environment= &label=
 *     PUT    /config/NAME                          the body is the value of one layer
 *            ?environment= &label= &source=
 *     DELETE /config/NAME                          of one layer, as PUT
 *     POST   /config/NAME?rollback=N               put the value of version N again, as PUT
 *            &environment= &label=
 *     POST   /config/NAME?promote=RULE             of a gray release; ?abandon=RULE likewise
 *     GET    /services                             all that have instances, sorted
 *     GET    /services?watch                       a stream of changes
 *            &service=NAME &revision=N
 *     GET    /services/SERVICE                     its instances, sorted
 *            ?available &zone= &version=RANGE      RANGE as weir_version_match() has it
 *     GET    /services/SERVICE/ID                  one
 *     PUT    /services/SERVICE/ID                  register it: JSON, as registry.h tells
 *     DELETE /services/SERVICE/ID                  deregister it
 *     POST   /services/SERVICE/ID/heartbeat        renew its lease; 404: register it again
 *     PUT    /services/SERVICE/ID/status           the body is a name: UP, DOWN, STARTING, ...
 *     PUT    /services/SERVICE/ID/override         the same; UNKNOWN takes it away
 *     POST   /services/SERVICE/ID/drain            ?off: no longer
 *
 * Names are percent-decoded; that of a value may have slashes. Queries are decoded as forms are: a
 * '+' is a blank. A parameter that is not known there, or comes twice, is 400, and so is a
 * precondition where there is none to check. HEAD goes where GET does.
 *
 * A value's ETag is the version of its layer: "3". Where it was found in another layer than the one
 * asked for, it tells which, "3/default" or "3/gray", and is no version to compare with. PUT and
 * DELETE take If-Match: "3", and If-None-Match: * for a layer without a value: else they are 412,
 * with the ETag that is in force. Weir-Version, Weir-Revision, Weir-Layer and Weir-Modified-Ms tell
 * of a value; Weir-Revision of a change, too. GET takes If-None-Match, for 304.
 *
 * Answers: 200; 201 a new value; 204 done; 304; 400 malformed, or a validator refuses; 404; 405,
 * with Allow; 409 a newer registration is in force, or what is stored there is none; 412; 413; 503
 * not in sync yet, too busy, read-only, or closed; 500 out of memory. Errors are one line of
 * text/plain, which begins with the field that is wrong. Writes are answered once they are as safe
 * as the store makes them.
 *
 * A stream is one JSON object a line (application/x-ndjson). Blank lines keep it alive.
 *
 *     {"kind":"begun","revision":7}                        all changes after revision 7 follow
 *     {"kind":"set","revision":8,"name":"a","version":2,"value":"x",
 *      "previous":{"version":1,"value":"w"}}
 *     {"kind":"compacted","revision":90}                   the last: see below
 *
 * Kinds of /config: set, deleted, rule_put, rule_gone (weir_config_event_kind), with "environment",
 * "label" and "rule" where there is one, and "hex" instead of "value" where that is not UTF-8.
 * Kinds of /services: as weir_registry_event_name(), with "service", "id", "instance", "previous".
 * It ends by itself with "closed": the space is; or, of /config, with "compacted": it has fallen
 * behind the history that is kept; read again, and watch from that document's revision + 1.
 * (/services tells "resync" instead, lists all, and goes on.) After a cut, ask for
 * revision = that of the last line: its changes come again, and none is missed; or for the one
 * after it, where changes come one by one. Cut between "resync" and "synced", ask for none. A
 * client that reads slowly pauses its watch, and nothing is queued for it; one that takes nothing
 * for the server's write_ms is cut, amid a line if need be.
 *
 * Threads:    all on the thread of the server's loop, which is that of the config's and registry's
 *             weir_kv, too.
 * Blocking:   never, by itself.
 * Allocation: per request; a stream, per line.
 */
#ifndef WEIR_ADMIN_H
#define WEIR_ADMIN_H

#include <weir/config.h>
#include <weir/http.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLS

typedef struct weir_admin weir_admin;

#define WEIR_ADMIN_MAX_TOKEN 255 /**< Bytes. */

/** Start from WEIR_ADMIN_OPTIONS_INIT. */
typedef struct weir_admin_options {
    size_t struct_size;      /**< Set by the macro; leave alone. */
    weir_config *config;     /**< NULL = /config is none of its paths. Borrowed: outlives it. */
    weir_registry *registry; /**< NULL = /services is none of its paths. Borrowed: outlives it. */
    const char *token; /**< As weir_admin_set_token(); NULL or "" = none, and no writes. Copied. */
    uint64_t max_body_bytes; /**< Of a request, 1..1073741824; over it is 413. */
    uint32_t max_streams;    /**< At the same time; more are 503. */
    uint32_t alive_ms;       /**< A stream that is silent so long, or up to twice, gets a blank
                                  line, from the task; 1..86400000. */
    const weir_env *env;     /**< NULL for defaults; copied. */
} weir_admin_options;

#define WEIR_ADMIN_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(weir_admin_options), .config = NULL, .registry = NULL,               \
        .token = NULL, .max_body_bytes = 1 << 20, .max_streams = 1000, .alive_ms = 15000,          \
        .env = NULL                                                                                \
    }

/**
 * Create it. Requests come from any weir_http_server's on_request, or several.
 *
 * @param out  receives the admin, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults: it only authorizes.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_admin_create(weir_admin **out, const weir_admin_options *options);

/**
 * Cut streams and requests in progress (writes under way may still be done), and free it. Before
 * the config, the registry and the loop, and not from a callback of theirs; before or after the
 * server, whose drain would wait for streams. NULL is allowed.
 */
WEIR_API void weir_admin_destroy(weir_admin *admin);

/**
 * From now on, this token. If it is another, streams in progress are cut: they come back with it.
 *
 * @param token  NULL or "" = none; else up to WEIR_ADMIN_MAX_TOKEN bytes of visible ASCII. Copied.
 * @return WEIR_OK; WEIR_EINVAL: nothing changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_admin_set_token(weir_admin *admin, const char *token);

/**
 * Whether a request may be served, by whomever. With a token: if it says "Authorization: Bearer
 * <token>" (RFC 6750), compared in a time that tells nothing of the token, its length included.
 * Without: GET and HEAD alone, and from this machine alone (127.0.0.0/8, ::1).
 *
 * Ask it first, for each request but those that anybody may make, such as /healthz:
 * weir_admin_handle() does not ask again.
 *
 * @return false: no, and it was answered (401 or 403): the exchange is no longer yours.
 */
WEIR_API WEIR_MUST_CHECK bool weir_admin_allows(weir_admin *admin, weir_http_exchange *exchange,
                                                const weir_http_request *request);

/**
 * Serve a request that is allowed. From on_request, before the exchange is handled, paused or
 * answered by anyone else.
 *
 * @return true: it is one of its paths, and is answered, or will be: the exchange is no longer
 *         yours; false: it is not, and nothing happened.
 */
WEIR_API WEIR_MUST_CHECK bool weir_admin_handle(weir_admin *admin, weir_http_exchange *exchange,
                                                const weir_http_request *request);

/** Blank lines for silent streams, and another try for those that lacked memory. */
WEIR_API weir_task weir_admin_task(weir_admin *admin);

/** Streams in progress. */
WEIR_API size_t weir_admin_streams(const weir_admin *admin);

WEIR_END_DECLS

#endif
