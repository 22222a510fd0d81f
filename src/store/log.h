/*
 * The log of a store: records in segments, and a snapshot that lets old segments go. It knows
 * nothing of what a record says. Not synchronized.
 *
 *   open: snapshot's records, then the segments' that are newer --> replay
 *   append, append, ... --> memory; flush --> write, and fdatasync if asked to
 *   snapshot_begin, _add, _add, ..., _end: a temporary file, synced, renamed; then old segments go
 *
 * A failed write, sync or rename of the log is final: everything returns WEIR_EREADONLY from then
 * on, and `error` tells why. A failed snapshot gives up that snapshot alone.
 */
#ifndef WEIR_SRC_STORE_LOG_H
#define WEIR_SRC_STORE_LOG_H

#include "base/env.h"
#include "store/files.h"

#include <weir/store.h>

typedef struct weir__log weir__log;

typedef struct weir__log_options {
    const weir_env *env;      /* Borrowed, outlives the log. */
    const weir__files *files; /* Borrowed, likewise. */
    const char *folder;       /* Copied. */
    uint64_t segment_bytes;
} weir__log_options;

/* A record of the snapshot or the log, in order. What it returns but WEIR_OK ends the opening;
 * WEIR_ECORRUPT if the record makes no sense. */
typedef int (*weir__log_replay_fn)(void *user, uint64_t revision, const void *data, size_t size);

/* WEIR_OK; WEIR_ENOMEM, WEIR_ESYSTEM, WEIR_EBUSY, WEIR_ECORRUPT, with *error set. */
int weir__log_open(weir__log **out, const weir__log_options *options, weir__log_replay_fn replay,
                   void *user, weir_store_error *error);
void weir__log_close(weir__log *log); /* Flushes nothing. NULL is allowed. */

/* Adds a record to what is to be flushed. `revision` never falls; several records may share one.
 * WEIR_OK, WEIR_ENOMEM or WEIR_EREADONLY. */
int weir__log_append(weir__log *log, uint64_t revision, const void *data, size_t size);
/* Writes what was appended, to the next segment if this one is full. With sync, all that was ever
 * written is on disk after. WEIR_OK, WEIR_ESYSTEM (now) or WEIR_EREADONLY (before). */
int weir__log_flush(weir__log *log, bool sync);

/* Begins a snapshot of the state at `revision`: all appended so far is flushed, and what is
 * appended from here on goes to a new segment. WEIR_OK, WEIR_EBUSY (one is under way), WEIR_ENOMEM,
 * WEIR_ESYSTEM, WEIR_EREADONLY. */
int weir__log_snapshot_begin(weir__log *log, uint64_t revision);
int weir__log_snapshot_add(weir__log *log, const void *data, size_t size); /* Or ENOMEM, ESYSTEM. */
/* Puts it in force and drops what it covers. Or WEIR_ENOMEM, WEIR_ESYSTEM: it is given up. */
int weir__log_snapshot_end(weir__log *log);
void weir__log_snapshot_abort(weir__log *log); /* No-op if none is under way. */

uint64_t weir__log_bytes(const weir__log *log);             /* Of all segments. */
uint64_t weir__log_snapshot_bytes(const weir__log *log);    /* Of the newest; 0 = none. */
uint64_t weir__log_snapshot_revision(const weir__log *log); /* 0 = none. */
uint64_t weir__log_syncs(const weir__log *log);
const weir_store_error *weir__log_error(const weir__log *log);

#endif
