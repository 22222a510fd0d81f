/* What the files of the configuration center share. */
#ifndef WEIR_SRC_CONFIG_CONFIG_H
#define WEIR_SRC_CONFIG_CONFIG_H

#include <weir/config.h>

#include "base/hash.h"
#include "base/snapshot.h"
#include "base/text.h"

#include <regex.h>

#define WEIR__CONFIG_SHARDS     256
#define WEIR__CONFIG_SHARD_BITS 8
#define WEIR__CONFIG_ROOT_SIZE  128
#define WEIR__CONFIG_ATTEMPTS   16

/* ---- Keys and records: what is in the kv ---- */

/* A key under the root, taken apart; borrowed from it. */
typedef struct weir__config_key {
    weir_bytes name;
    weir_bytes scope; /* What follows the name, its '@' included; empty = for all. */
    weir_bytes environment, label, rule;
    weir_config_layer layer;
} weir__config_key;

/* A value in the kv, taken apart; borrowed from it. */
typedef struct weir__config_record {
    uint64_t version, modified_ms;
    bool deleted;
    weir_bytes source;
    weir_bytes environment, labels, salt; /* Of a rule; labels with commas between them. */
    uint64_t priority, permille;          /* Of a rule. */
    weir_bytes value;
} weir__config_record;

/* Words with their NUL, for what is told. */
typedef struct weir__config_words {
    char name[WEIR_CONFIG_NAME_SIZE];
    char environment[WEIR_CONFIG_LABEL_SIZE];
    char label[WEIR_CONFIG_LABEL_SIZE];
    char rule[WEIR_CONFIG_LABEL_SIZE];
} weir__config_words;

bool weir__config_word_ok(weir_bytes word, size_t room);
bool weir__config_source_ok(const char *source);
bool weir__config_key_parse(weir_bytes key, weir__config_key *out); /* Without the root. */
bool weir__config_record_parse(weir_bytes raw, weir__config_record *out);
/* The line before the value. */
void weir__config_record_write(weir__text *text, const weir__config_record *record);
bool weir__config_same(weir_bytes bytes, const char *str); /* NULL = "". */
bool weir__config_equal(weir_bytes a, weir_bytes b);
void weir__config_value_of(const weir__config_key *key, weir_bytes raw, uint64_t revision,
                           weir__config_words *words, weir_config_value *out);
/* Error NULL: nothing. Returns code. */
int weir__config_refuse(weir_config_error *error, int code, const char *name, const char *message);

/* ---- The view: names and their layers ---- */

/* What readers may still hold. */
typedef struct weir__config_garbage {
    struct weir__config_garbage *next;
    uint64_t mark;
    size_t bytes; /* Of the whole thing. */
} weir__config_garbage;

/* A layer or a rule. Offsets are from the beginning of its entry. */
typedef struct weir__config_item {
    uint64_t version, revision, modified_ms;
    uint32_t scope_at, scope_size;
    uint32_t raw_at, raw_size; /* The record as it is in the kv. */
    uint32_t value_at, value_size;
    uint32_t priority;
    uint32_t seen; /* Writer alone: in which listing. */
    uint8_t environment_size, label_size;
    uint8_t layer;
    bool deleted;
} weir__config_item;

/* All of a name; never changed but for `seen`. Items in the order in which they are asked. */
typedef struct weir__config_entry {
    weir__config_garbage garbage;
    uint32_t name_at, name_size;
    uint32_t count;
    weir__config_item items[];
} weir__config_entry;

typedef struct weir__config_slot {
    _Atomic uint64_t hash; /* Set before the entry, and never changed. */
    _Atomic(weir__config_entry *) entry;
} weir__config_slot;

/* Open addressing; names never leave. */
typedef struct weir__config_slots {
    weir__config_garbage garbage;
    size_t capacity; /* A power of two. */
    weir__config_slot slots[];
} weir__config_slots;

typedef struct weir__config_shard {
    _Atomic(weir__config_slots *) slots; /* NULL at first. */
    size_t count;                        /* Writer alone. */
} weir__config_shard;

/* A request to the kv that outlives the config, if need be. */
typedef struct weir__config_call {
    struct weir__config_call *next, **link;
    weir_config *config; /* NULL: it is gone. */
    weir_env env;
    void (*told)(struct weir__config_call *call, const weir_kv_result *result);
    void (*closed)(struct weir__config_call *call); /* Tells whoever waits. */
    void (*release)(struct weir__config_call *call);
} weir__config_call;

typedef struct weir__config_listing weir__config_listing;

typedef struct weir__config_validator {
    struct weir__config_validator *next;
    weir_config_validator v; /* Pointers are into `text`. */
    regex_t regex;
    size_t bytes;
    const char *choices[64];
    char text[];
} weir__config_validator;

struct weir_config {
    weir_config_options options; /* Fixed after create, as are the next six. */
    weir_env env;
    weir_kv kv;
    void *strings; /* What the options point to. */
    size_t strings_bytes;
    weir__hash_key seed;
    size_t root_size;
    _Atomic bool ready;
    weir__config_shard shards[WEIR__CONFIG_SHARDS];
    /* The kv's thread alone: */
    weir__config_garbage *garbage; /* Newest first. */
    size_t garbage_count;
    uint64_t names, entries, bytes, problems, syncs;
    uint64_t revision; /* All changes up to it are in the view. */
    uint32_t generation;
    uint64_t watch_id; /* 0 = none. */
    bool in_sync;
    int failed;        /* Why it is not. */
    uint64_t retry_ns; /* WEIR_NEVER: no need. */
    weir__config_listing *listing;
    weir__config_call *calls;
    weir_config_watcher *watchers;
    weir__config_validator *validators;
};

/* In a read section, or on the kv's thread. NULL: no such name. */
weir__config_entry *weir__config_find(weir_config *config, const char *name, size_t size);
/*
 * The kv's thread. Puts a record, or with raw.data NULL its deletion, unless there is a newer one.
 * WEIR_OK or WEIR_ENOMEM: nothing changed.
 */
int weir__config_put(weir_config *config, const weir__config_key *key, weir_bytes raw,
                     uint64_t revision);
void weir__config_sweep(weir_config *config, bool all);
void weir__config_view_free(weir_config *config);
/* Visits all entries: for (size_t at[2] = {0}; (e = weir__config_next(config, at)) != NULL;). */
weir__config_entry *weir__config_next(weir_config *config, size_t at[2]);
const weir__config_item *weir__config_item_of(const weir__config_entry *entry, weir_bytes scope);
/* Whether it is this layer; NULL = none. */
bool weir__config_item_in(const weir__config_entry *entry, const weir__config_item *item,
                          const char *environment, const char *label);
/* What a layer's scope names; empty = none. Of a rule: nothing. */
weir_bytes weir__config_item_environment(const weir__config_entry *entry,
                                         const weir__config_item *item);
weir_bytes weir__config_item_label(const weir__config_entry *entry, const weir__config_item *item);
/* Counts a record that is none, and tells of it. */
void weir__config_problem(weir_config *config, weir_bytes key, const char *message);
/* In a read section: the value for this client; NULL: *code says why. */
const weir__config_item *weir__config_choose(weir_config *config, const char *name,
                                             const weir_config_client *client,
                                             const weir__config_entry **entry, int *code);

static inline const char *weir__config_bytes(const weir__config_entry *entry, uint32_t at)
{
    return (const char *)entry + at;
}

/* ---- Following the kv ---- */

int weir__config_sync_begin(weir_config *config);
void weir__config_lost(weir_config *config, int code); /* Tries again later. */
void weir__config_call_add(weir_config *config, weir__config_call *call);
void weir__config_call_remove(weir__config_call *call);
void weir__config_told(const weir_kv_result *result, void *user); /* For each call: the user. */
void weir__config_watchers_free(weir_config *config);

/* ---- Writing ---- */

typedef enum weir__config_what {
    WEIR__CONFIG_SET,
    WEIR__CONFIG_REMOVE,
    WEIR__CONFIG_RULE, /* Put a rule. */
    WEIR__CONFIG_DROP, /* A rule. */
    WEIR__CONFIG_READ, /* Of history: only the value is of interest. */
} weir__config_what;

/* A change of one key; all borrowed during the call. */
typedef struct weir__config_edit {
    const char *name, *environment, *label, *rule, *source; /* NULL = none. */
    const char *rule_environment, *labels, *salt;
    weir_bytes value;
    uint64_t version; /* To compare with; READ: which one. */
    weir__config_what what;
    uint32_t priority, permille;
    bool compare;
    bool from_first; /* The value is that of the first edit's record. */
} weir__config_edit;

int weir__config_submit(weir_config *config, const weir__config_edit *edits, size_t count,
                        weir_config_done_fn done, void *user, weir_config_error *error);
int weir__config_edit_check(weir_config *config, const weir__config_edit *edit,
                            weir_config_error *error);
int weir__config_validate(weir_config *config, const char *name, weir_bytes value,
                          weir_config_error *error);
void weir__config_validators_free(weir_config *config);
/* Appends the key under the root: name and scope. */
void weir__config_key_write(weir__text *text, const weir__config_edit *edit);
/* Appends "::" and the version. */
void weir__config_version_write(weir__text *text, uint64_t version);

/*
 * Many edits in batches. While it is built, its strings are places in `strings`, which moves; from
 * weir__config_run_check() on they are strings.
 */
typedef struct weir__config_run {
    weir_config *config;
    weir_env env;
    weir__config_edit *edits;
    size_t count, capacity, at;
    weir__text strings;
    weir_config_result result; /* So far. */
    bool asking, again;        /* Within the call that asks; an answer came within it. */
    weir_config_done_fn done;
    void *user;
} weir__config_run;

weir__config_run *weir__config_run_create(weir_config *config); /* NULL: no memory. */
void weir__config_run_free(weir__config_run *run);
weir__config_edit *weir__config_run_add(weir__config_run *run); /* NULL: no memory. */
/* The place of a copy with a NUL; weir__text_ok(&run->strings) tells if there was memory. */
const char *weir__config_run_string(weir__config_run *run, const void *data, size_t size);
/* The place at an offset of `strings`. */
static inline const char *weir__config_run_offset(size_t at)
{
    return (const char *)(uintptr_t)(at + 1); /* NOLINT(performance-no-int-to-ptr) */
}
/* A string by its place, until more are added. */
const char *weir__config_run_resolve(const weir__config_run *run, const char *place);
/* Who says what a layer has. NULL = none. */
typedef struct weir__config_says {
    const char *source, *environment, *label;
} weir__config_says;

bool weir__config_says_ok(const weir__config_says *says);
/* Adds a value. WEIR_OK or WEIR_ENOMEM. */
int weir__config_run_say(weir__config_run *run, const weir__config_says *says, const char *name,
                         size_t name_size, weir_bytes value);
/* Adds that what else it has said before goes. WEIR_OK or WEIR_ENOMEM. */
int weir__config_run_unsay(weir__config_run *run, const weir__config_says *says);
/* Each edit is checked, and no key may come twice. WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
int weir__config_run_check(weir__config_run *run, weir_config_error *error);
/* Leaves out what is in force already; how many are left. */
size_t weir__config_run_trim(weir__config_run *run);
/* Makes it so, batch after batch; tells, once, and frees the run. */
void weir__config_run_start(weir__config_run *run, weir_config_done_fn done, void *user);

#endif
