/**
 * @file weir/config.h
 * Configuration center: named values with versions, layers, history and gray releases, kept in a
 * weir_kv, read without a lock from any thread.
 *
 *   set, delete, compare-and-set, --> validators --> txn with compares --> weir_kv
 *   rollback, promote, import, file                                          |
 *   get, typed getters, templates <-- one hash lookup <-- view <-- watch ----+--> your watches
 *
 * A name has a value for everybody, and may have others for an environment, for a label, or for
 * both: its layers. Who asks is a weir_config_client, and is given, first match first:
 *
 *   1. the value of a gray release rule that takes this client (highest priority first, then by id)
 *   2. name @ environment : label      3. name @ environment      4. name @ : label      5. name
 *
 * In the kv a layer is one key, <root><name>, <root><name>@<environment>,
 * <root><name>@<environment>:<label> or <root><name>@:<label>; a rule, <root><name>@@<rule>. The
 * value there is a line that people and machines can read, then the value's own bytes:
 *
 *   v=12 ms=1700000000000 by=orders.conf\n<value>        "deleted" in that line: a deletion
 *
 * Versions are per layer: 1, 2, 3, ... Deleting makes a version too, and leaves a record of that
 * size behind, so that a version is never used twice. Every write moves the record that it replaces
 * to <history_root><key>::<version, 20 digits>, in one transaction, and drops what is beyond the
 * bound: history survives compaction, and a restart. Revisions are those of the kv, for all keys.
 *
 * Names are 1 to 511 bytes, environments, labels and rule ids 1 to 63, of UTF-8 without control
 * characters, blanks, DEL, '@', ':', '$', '{' and '}'.
 *
 * Threads:    weir_config_get() and all that is described as a read: any thread. All else, and the
 *             tasks: on the thread of the kv, where all callbacks come too. They may call any
 *             function but weir_config_destroy(), and reads.
 * Blocking:   never; the file source reads its file.
 * Allocation: reads never. The view takes about 130 bytes a name beside name and value, about 50
 *             for each further layer, beside what the kv takes itself.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <weir/kv.h>

WEIR_BEGIN_DECLS

typedef struct weir_config weir_config;
typedef struct weir_config_watcher weir_config_watcher; /**< Valid until it is stopped. */
typedef struct weir_config_file weir_config_file;

/** Longest names, with their NUL. */
#define WEIR_CONFIG_NAME_SIZE  512
#define WEIR_CONFIG_LABEL_SIZE 64

/** Who asks. Zero-initialize; all borrowed during the call. */
typedef struct weir_config_client {
    const char *environment;   /**< NULL = none. */
    const char *label;         /**< Of the layers; NULL = none. */
    const char *id;            /**< For shares of a gray release; NULL = in no share. */
    const char *const *labels; /**< "zone=a", "canary": for label sets of a gray release. */
    size_t label_count;
} weir_config_client;

/** Where a value was found. */
typedef enum weir_config_layer {
    WEIR_CONFIG_DEFAULT,
    WEIR_CONFIG_LABEL,
    WEIR_CONFIG_ENVIRONMENT,
    WEIR_CONFIG_ENVIRONMENT_LABEL,
    WEIR_CONFIG_GRAY, /**< A rule's. */
} weir_config_layer;

/** About a value that was found. */
typedef struct weir_config_info {
    size_t size;          /**< Of the value, also if it did not fit. */
    uint64_t version;     /**< Of its layer; of a rule, how often the rule was put. */
    uint64_t revision;    /**< Of the kv, when it was put. */
    uint64_t modified_ms; /**< On the wall clock of who put it. */
    weir_config_layer layer;
} weir_config_info;

/** What is wrong, and with what. */
typedef struct weir_config_error {
    int code;                         /**< WEIR_OK = nothing. */
    char name[WEIR_CONFIG_NAME_SIZE]; /**< Whose value or reference; may be empty. */
    char message[160];                /**< English. */
    size_t line;                      /**< In a file or document; 0 = it is not about one. */
} weir_config_error;

/* ---- Life ---- */

/** Start from WEIR_CONFIG_OPTIONS_INIT. */
typedef struct weir_config_options {
    size_t struct_size;        /**< Set by the macro; leave alone. */
    const weir_kv *kv;         /**< Required. Copied; what it stands for outlives the config. */
    const char *root;          /**< Prefix of the keys, 1..127 bytes. Copied. */
    const char *history_root;  /**< Neither begins with the other, 1..127 bytes. Copied. */
    weir_config_client client; /**< This process, where a read is given no other. Copied. */
    uint32_t history;          /**< Former versions kept for each layer, 0..1000. */
    uint32_t batch;            /**< Changes in one transaction of an import or a file, 1..100000;
                                    each takes up to three operations of the kv's. */
    uint32_t page;             /**< Pairs asked of the kv at a time, 1..100000. */
    uint32_t retry_ms;         /**< Between attempts to get in sync again, 1..86400000. */
    /** In sync, or no longer: code says why (WEIR_OK: it is). What was read stays in force. */
    void (*on_sync)(int code, void *user);
    /** A record in the kv that is none of ours was passed over. May be NULL, as on_sync may. */
    void (*on_problem)(const weir_config_error *error, void *user);
    void *user;          /**< Passed to both; borrowed. */
    const weir_env *env; /**< NULL for defaults; copied. */
} weir_config_options;

#define WEIR_CONFIG_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(weir_config_options), .kv = NULL, .root = "config/",                 \
        .history_root = "config-history/",                                                         \
        .client = {.environment = NULL,                                                            \
                   .label = NULL,                                                                  \
                   .id = NULL,                                                                     \
                   .labels = NULL,                                                                 \
                   .label_count = 0},                                                              \
        .history = 10, .batch = 32, .page = 10000, .retry_ms = 1000, .on_sync = NULL,              \
        .on_problem = NULL, .user = NULL, .env = NULL                                              \
    }

/**
 * Create it, and begin to read what is in the kv: it is in sync on return if the kv answers within
 * the call, as an embedded store does.
 *
 * @param out  receives the config, which the caller must destroy; NULL on failure.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_create(weir_config **out,
                                                const weir_config_options *options);

/** Stop all watches, tell WEIR_ECLOSED to all who still wait, and free it. File sources are
 * destroyed before. NULL is allowed. */
WEIR_API void weir_config_destroy(weir_config *config);

/** Gets in sync again after a failure. */
WEIR_API weir_task weir_config_task(weir_config *config);

typedef struct weir_config_status {
    bool in_sync;      /**< All of the kv up to `revision` is in the view, which follows it. */
    bool ready;        /**< It was in sync once. */
    uint64_t revision; /**< Of the newest change in the view, or of its listing. */
    uint64_t names;    /**< With a value in some layer. */
    uint64_t entries;  /**< In the view, those deleted too. */
    uint64_t bytes;    /**< Of memory, for the view. */
    uint64_t problems; /**< Records that were passed over. */
    uint64_t syncs;    /**< How often it read all keys. */
} weir_config_status;

WEIR_API void weir_config_get_status(const weir_config *config, weir_config_status *status);

/* ---- Reads: any thread, no lock, no allocation ---- */

/**
 * The value of a name, for this client.
 *
 * @param client  NULL = that of the options.
 * @param out     room for the value and a NUL after it; may be NULL if room is 0.
 * @param info    NULL, or set with WEIR_OK and WEIR_ETOOLARGE.
 * @return WEIR_OK; WEIR_ENOTFOUND: confirmed, there is none; WEIR_EBUSY: none is known, and not all
 *         keys were read yet; WEIR_ETOOLARGE: room is not above info->size.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_get(weir_config *config, const char *name,
                                             const weir_config_client *client, void *out,
                                             size_t room, weir_config_info *info);

/**
 * Typed: the value, or `fallback` if it is not there or malformed.
 *
 * @param code  NULL, or set: WEIR_OK; the fallback was taken because of WEIR_ENOTFOUND, WEIR_EBUSY,
 *              or WEIR_EPROTOCOL: there is a value, and it is not of the type.
 *
 * bool: true, yes, on, 1, false, no, off, 0. i64: decimal digits, '-' before. double: as JSON has
 * it. duration: "250ms", "1m30s", in ns.
 */
WEIR_API bool weir_config_get_bool(weir_config *config, const char *name,
                                   const weir_config_client *client, bool fallback, int *code);
WEIR_API int64_t weir_config_get_i64(weir_config *config, const char *name,
                                     const weir_config_client *client, int64_t fallback, int *code);
WEIR_API double weir_config_get_double(weir_config *config, const char *name,
                                       const weir_config_client *client, double fallback,
                                       int *code);
WEIR_API uint64_t weir_config_get_duration(weir_config *config, const char *name,
                                           const weir_config_client *client, uint64_t fallback_ns,
                                           int *code);
/** A C string in `out`, of `room` >= 1. A value that does not fit or has a NUL in it: the fallback,
 * cut to the room if need be, and WEIR_ETOOLARGE or WEIR_EPROTOCOL. Returns `out`. */
WEIR_API const char *weir_config_get_string(weir_config *config, const char *name,
                                            const weir_config_client *client, const char *fallback,
                                            char *out, size_t room, int *code);

/**
 * Fill in a template: ${name} and ${name:default}, in names and defaults too; values are filled in
 * themselves. $${ stands for ${. Braces within a default come in pairs.
 *
 * @param size   NULL, or set: of the result, without its NUL.
 * @param error  NULL, or set on failure: whose reference, and why; a cycle is spelled out.
 * @return WEIR_OK; WEIR_ENOTFOUND or WEIR_EBUSY: a name without value or default; WEIR_EPROTOCOL:
 *         no '}', or an invalid name; WEIR_EINVAL: a cycle; WEIR_ETOOLARGE: over the room, 16
 *         references within one another, or 1000 in all.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_expand(weir_config *config, const char *text,
                                                const weir_config_client *client, char *out,
                                                size_t room, size_t *size,
                                                weir_config_error *error);

/** Visit each name with a value for this client, in no order, those that begin with `prefix`
 * (NULL = all). `value` is valid within the call, which must be short. False: enough. */
typedef bool (*weir_config_visit_fn)(const char *name, weir_bytes value,
                                     const weir_config_info *info, void *user);
WEIR_API void weir_config_visit(weir_config *config, const char *prefix,
                                const weir_config_client *client, weir_config_visit_fn visit,
                                void *user);

/* ---- Writes ---- */

/** One change of one layer. Zero-initialize, then set what is needed; all copied. */
typedef struct weir_config_change {
    const char *name;
    const char *environment; /**< NULL = for all. */
    const char *label;       /**< NULL = for all. */
    bool remove;             /**< Delete it; of one that is not there, nothing happens. */
    weir_bytes value;
    bool compare;       /**< Only if the layer's version is this one; */
    uint64_t version;   /**< 0 = only if it has no value. */
    const char *source; /**< Who says so: kept as by=; 1..63 letters, digits, '.', '_', '-'. NULL =
                             nobody in particular. */
} weir_config_change;

/** One layer at one version. Valid as long as what it is in. */
typedef struct weir_config_value {
    const char *name;
    const char *environment; /**< "" = for all. */
    const char *label;       /**< "" = for all. */
    uint64_t version;        /**< 0 = there was never any. */
    uint64_t revision; /**< When it was put; 0 = not known any more, of the oldest version that
                                  is kept. */
    uint64_t modified_ms;
    bool deleted; /**< This version is a deletion, or there was never any. */
    weir_bytes value;
    weir_bytes source; /**< Who put it; may be empty. */
} weir_config_value;

/** What became of a write; valid within the callback. */
typedef struct weir_config_result {
    int code;       /**< WEIR_OK; or nothing changed: WEIR_ENOTFOUND, WEIR_EINVAL (error says why),
                            WEIR_EBUSY (16 others came first), WEIR_ECLOSED, or the kv's. */
    bool succeeded; /**< False, with WEIR_OK: a version was not the one to compare with; `current`
                            tells, and nothing changed. */
    uint64_t revision;         /**< Of the kv after it. */
    uint64_t version;          /**< Of the layer that changed first; 0 = none did. */
    weir_config_value current; /**< Of the first layer that stood in the way; else zero. */
    weir_config_error error;
} weir_config_result;

/** Told once, perhaps before the function that was given it returns. */
typedef void (*weir_config_done_fn)(const weir_config_result *result, void *user);

/**
 * Make changes, all at once or none. Validators are asked first. Each layer may be named once.
 *
 * @param done   NULL, or told what became of it, if this returns WEIR_OK.
 * @param error  NULL, or set on failure: which key, and why.
 * @return WEIR_OK: taken; WEIR_EINVAL: no change, an invalid name, a layer twice, or a validator
 *         refused; WEIR_ENOMEM; else what the kv says.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_apply(weir_config *config,
                                               const weir_config_change *changes, size_t count,
                                               weir_config_done_fn done, void *user,
                                               weir_config_error *error);

/** weir_config_apply() of one value for all; a C string. */
WEIR_API WEIR_MUST_CHECK int weir_config_set(weir_config *config, const char *name,
                                             const char *value, weir_config_done_fn done,
                                             void *user, weir_config_error *error);
/** The same, only if its version is this one; 0 = only if it has no value. */
WEIR_API WEIR_MUST_CHECK int weir_config_compare_and_set(weir_config *config, const char *name,
                                                         uint64_t version, const char *value,
                                                         weir_config_done_fn done, void *user,
                                                         weir_config_error *error);
WEIR_API WEIR_MUST_CHECK int weir_config_delete(weir_config *config, const char *name,
                                                weir_config_done_fn done, void *user);

/**
 * Let a source say all that it has to say of one layer: put these values, and delete what else it
 * has put there before, and nobody after it; what it says already stays untouched. For what is kept
 * elsewhere as a whole: a file, a form, a release. In transactions of `batch` changes.
 *
 * @param source   kept as by=, as in weir_config_change. Not NULL.
 * @param changes  of each the name and the value count; no name may come twice.
 * @return WEIR_OK; WEIR_EBUSY: not in sync; else as weir_config_apply().
 */
WEIR_API WEIR_MUST_CHECK int weir_config_publish(weir_config *config, const char *source,
                                                 const char *environment, const char *label,
                                                 const weir_config_change *changes, size_t count,
                                                 weir_config_done_fn done, void *user,
                                                 weir_config_error *error);

/* ---- History ---- */

/** The versions of one layer that are kept, oldest first, the current one last; valid within the
 * callback. */
typedef struct weir_config_versions {
    int code; /**< WEIR_OK, WEIR_ENOMEM, WEIR_ECLOSED, or the kv's. */
    const weir_config_value *values;
    size_t count;
} weir_config_versions;

typedef void (*weir_config_versions_fn)(const weir_config_versions *versions, void *user);

/** Read the history of a layer. WEIR_OK: `fn` is told; WEIR_EINVAL, WEIR_ENOMEM, the kv's. */
WEIR_API WEIR_MUST_CHECK int weir_config_history(weir_config *config, const char *name,
                                                 const char *environment, const char *label,
                                                 weir_config_versions_fn fn, void *user);

/** The one with that version, or NULL: get at a version. */
WEIR_API const weir_config_value *weir_config_at_version(const weir_config_versions *versions,
                                                         uint64_t version);

/**
 * Put the value of a former version again, as a new version. Told: WEIR_ENOTFOUND if that version
 * is not kept, or is a deletion; WEIR_EINVAL if a validator refuses it now.
 *
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM, the kv's.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_rollback(weir_config *config, const char *name,
                                                  const char *environment, const char *label,
                                                  uint64_t version, weir_config_done_fn done,
                                                  void *user);

/** A line of a difference, without its line feed: ' ' = in both, '-' = only old, '+' = only new. */
typedef void (*weir_config_diff_fn)(char mark, weir_bytes line, void *user);

/**
 * The lines that two values differ by: as few as possible (a longest common subsequence), if what
 * lies between their common beginning and end is at most 1000 lines each; else all that is old
 * there, then all that is new.
 *
 * @param env  NULL for defaults.
 * @return WEIR_OK; WEIR_ENOMEM or WEIR_EINVAL: nothing was told.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_diff(weir_bytes from, weir_bytes to,
                                              weir_config_diff_fn fn, void *user,
                                              const weir_env *env);

/* ---- Gray releases ---- */

/** Who gets another value. Zero-initialize; all copied. */
typedef struct weir_config_rule {
    const char *name;
    const char *rule;        /**< Its id, among those of the name. */
    const char *environment; /**< Only of this one; NULL = of any. promote goes to its layer. */
    uint32_t priority;       /**< The highest is asked first. */
    /** Clients with all of these labels; each 1..63 bytes of UTF-8 without blank or
     * ','; up to 16. */
    const char *const *labels;
    size_t label_count;
    /** Of these, the share whose XXH64(salt, id) falls below it, 0..1000 permille. The same id is
     * in for the same salt on every machine, and stays in while the share grows. */
    uint32_t permille;
    const char *salt; /**< Up to 63 bytes without blank; NULL = the rule's id. */
    weir_bytes value;
} weir_config_rule;

/** Put a rule, or put another in its place. Codes as weir_config_apply(). */
WEIR_API WEIR_MUST_CHECK int weir_config_release(weir_config *config, const weir_config_rule *rule,
                                                 weir_config_done_fn done, void *user,
                                                 weir_config_error *error);
/** Its value becomes that of its environment, or for all; the rule goes, in the same transaction.
 * Told: WEIR_ENOTFOUND: there is no such rule. */
WEIR_API WEIR_MUST_CHECK int weir_config_promote(weir_config *config, const char *name,
                                                 const char *rule, weir_config_done_fn done,
                                                 void *user);
/** The rule goes. Told: WEIR_ENOTFOUND: there is no such rule. */
WEIR_API WEIR_MUST_CHECK int weir_config_abandon(weir_config *config, const char *name,
                                                 const char *rule, weir_config_done_fn done,
                                                 void *user);

/* ---- Watching ---- */

typedef enum weir_config_event_kind {
    WEIR_CONFIG_SET,
    WEIR_CONFIG_DELETED,
    WEIR_CONFIG_RULE_PUT,  /**< environment and label are those of the rule; its id is `rule`. */
    WEIR_CONFIG_RULE_GONE, /**< Promoted or abandoned. */
    WEIR_CONFIG_OVER,      /**< The watch has ended; code says why. Stop it, if you have not. */
} weir_config_event_kind;

/** One change; valid within the callback. Reads made in it see this change, or a later one. */
typedef struct weir_config_event {
    weir_config_event_kind kind;
    /** OVER: WEIR_ECOMPACTED: it has fallen behind the history that is kept: read again, and watch
     * from weir_config_status.revision + 1. WEIR_ECLOSED: the kv is. */
    int code;
    uint64_t revision; /**< A watch from revision + 1 goes on after all changes of this one. */
    const char *rule;  /**< RULE_...: its id; else "". */
    weir_config_value value;    /**< As it is now. */
    weir_config_value previous; /**< What it was; version 0 = nothing, or not known any more. */
} weir_config_event;

/** Returns false: this one was taken; no more, until weir_config_resume(). */
typedef bool (*weir_config_event_fn)(const weir_config_event *event, void *user);

/** What to watch. Zero-initialize, then set fn, and pattern at least. */
typedef struct weir_config_watch {
    /** A glob over names: '*' any bytes but '/', '**' any, '?' one but '/'. A name without these
     * matches itself; "orders/" followed by "**" is a prefix. Copied. */
    const char *pattern;
    uint64_t revision; /**< From this one on; 0 = what comes after the view as it is now. */
    weir_config_event_fn fn;
    void *user; /**< Passed to fn; borrowed. */
} weir_config_watch;

/**
 * Tell of each change, in order of revision, never the same twice, none left out, whatever the
 * values: by revision, not by content. Nothing is queued for a slow watcher, it reads on in the
 * kv's history; one who falls behind that is told WEIR_ECOMPACTED.
 *
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_watch_start(weir_config_watcher **out, weir_config *config,
                                                     const weir_config_watch *watch);
/** Go on after fn returned false. WEIR_OK; WEIR_ENOMEM: still paused. */
WEIR_API WEIR_MUST_CHECK int weir_config_resume(weir_config_watcher *watcher);
/** It is told nothing more. Also within its own fn. NULL is allowed. */
WEIR_API void weir_config_watch_stop(weir_config_watcher *watcher);

/** Whether a glob matches a name. */
WEIR_API bool weir_config_match(const char *pattern, const char *name);

/* ---- Validators ---- */

typedef enum weir_config_check {
    WEIR_CONFIG_CHECK_INTEGER,  /**< min .. max. */
    WEIR_CONFIG_CHECK_DURATION, /**< min .. max, in ns. */
    WEIR_CONFIG_CHECK_CHOICE,   /**< One of `choices`. */
    WEIR_CONFIG_CHECK_REGEX,    /**< POSIX extended, found anywhere: anchor it with ^ and $. */
    WEIR_CONFIG_CHECK_JSON,     /**< RFC 8259. */
    WEIR_CONFIG_CHECK_CUSTOM,   /**< fn. */
} weir_config_check;

/** False: refused; `reason`, of 128 bytes, says why; made empty, there was no memory to find out.
 * Must not call the config's writes. */
typedef bool (*weir_config_check_fn)(const char *name, weir_bytes value, char *reason, void *user);

/** What values are allowed. Zero-initialize; all copied. */
typedef struct weir_config_validator {
    const char *pattern; /**< A glob over names. */
    weir_config_check check;
    int64_t min, max;
    const char *const *choices; /**< 1..64. */
    size_t choice_count;
    const char *regex;
    weir_config_check_fn fn;
    void *user; /**< Passed to fn; borrowed. */
} weir_config_validator;

/**
 * From now on every write here of a name that matches, of any layer or rule, must pass; values
 * already there stay. Where several match, all must agree. What is checked is the value as
 * written, before templates.
 *
 * @param error  NULL, or set with WEIR_EINVAL.
 * @return WEIR_OK; WEIR_EINVAL: an empty range, no choices, a bad regex, no fn; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_add_validator(weir_config *config,
                                                       const weir_config_validator *validator,
                                                       weir_config_error *error);

/** Remove all validators that were added with this `user`. Not within one of them. */
WEIR_API void weir_config_remove_validators(weir_config *config, const void *user);

/* ---- Snapshot and import ---- */

/** Part of a document. */
typedef void (*weir_config_write_fn)(const void *data, size_t size, void *user);

/**
 * Write all layers and rules of names that match, as one JSON document, in order of names:
 *
 *   {"revision":7,"values":[{"name":"a","environment":"test","label":"x","value":"1"}],
 *    "rules":[{"name":"a","rule":"r","priority":1,"permille":50,"salt":"s","labels":["x"],
 *              "value":"2"}]}
 *
 * "hex" instead of "value", where it is not UTF-8; "source", where one is known. The view as it is
 * now, at its revision.
 *
 * @param pattern  NULL = all.
 * @return WEIR_OK; WEIR_ENOMEM: nothing was written; WEIR_EBUSY: not all keys were read yet.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_export(weir_config *config, const char *pattern,
                                                weir_config_write_fn write, void *user);

/**
 * Put all that a document has, as new versions; names that it does not have stay as they are, and
 * values that are the same already do not change. The whole of it is read, and checked, before
 * anything changes; then it goes in transactions of `batch` changes, the first failure of which
 * ends it. `done` is told once.
 *
 * @return WEIR_OK; WEIR_EPROTOCOL: not such a document; WEIR_EINVAL: a name, or a validator;
 *         WEIR_ENOMEM; the kv's.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_import(weir_config *config, const char *text, size_t size,
                                                weir_config_done_fn done, void *user,
                                                weir_config_error *error);

/* ---- A file as a source ---- */

/** What became of a load; valid within the callback. */
typedef struct weir_config_file_event {
    weir_config_error error; /**< code WEIR_OK: the file is in force; else nothing changed. */
    size_t changed;          /**< Values set and deleted. */
} weir_config_file_event;

/** Start from WEIR_CONFIG_FILE_OPTIONS_INIT. */
typedef struct weir_config_file_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    const char *path;   /**< Required. Copied. */
    const char *source; /**< by= of what it sets: what else that source has set in this layer, and
                                  is not in the file, is deleted, after a restart too. Required. */
    const char *environment; /**< Layer; NULL = for all. */
    const char *label;       /**< Layer; NULL = for all. */
    uint32_t interval_ms;    /**< Between looks, 1..86400000. */
    uint32_t settle_ms;      /**< It is read once it has not changed for so long, 0..60000. */
    uint64_t max_bytes;      /**< 1 .. 64 MiB. */
    void (*on_load)(const weir_config_file_event *event, void *user); /**< May be NULL. */
    void *user;                                                       /**< Passed; borrowed. */
} weir_config_file_options;

#define WEIR_CONFIG_FILE_OPTIONS_INIT                                                              \
    {                                                                                              \
        .struct_size = sizeof(weir_config_file_options), .path = NULL, .source = NULL,             \
        .environment = NULL, .label = NULL, .interval_ms = 1000, .settle_ms = 100,                 \
        .max_bytes = 1 << 20, .on_load = NULL, .user = NULL                                        \
    }

/**
 * Let a file say what is in force in one layer. It is looked at by its path, each interval, by
 * device, inode, size and times: so a rename over it, a swapped link and a save in place are all
 * seen, and one that is missing for a while is waited for. Within it: one JSON object, whose
 * members are names and their values (strings; numbers and words as they are written; objects and
 * arrays as their JSON text), or lines of `name = value`, blank lines and lines that begin with #.
 * A file that cannot be read, parsed or validated changes nothing, is told of once, and is tried
 * again when it changes. Read for the first time by the task's first run.
 *
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_config_file_create(weir_config_file **out, weir_config *config,
                                                     const weir_config_file_options *options);
/** What it has set stays. NULL is allowed. */
WEIR_API void weir_config_file_destroy(weir_config_file *file);
WEIR_API weir_task weir_config_file_task(weir_config_file *file);

WEIR_END_DECLS

#endif
