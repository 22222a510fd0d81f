/* The log's inside: a file that records are added to, and what the rooms of the log share. */
#ifndef WEIR_SRC_STORE_LOG_FILE_H
#define WEIR_SRC_STORE_LOG_FILE_H

#include "base/text.h"
#include "store/format.h"
#include "store/log.h"

#define WEIR__LOG_NAME         32
#define WEIR__LOG_NEW_SEGMENT  "temporary-log"
#define WEIR__LOG_NEW_SNAPSHOT "temporary-snapshot"

/* Records are gathered in memory, then written. */
typedef struct weir__log_file {
    int file; /* -1: none. */
    char name[WEIR__LOG_NAME];
    uint64_t sequence, salt;
    uint64_t written, synced; /* Bytes of the file. */
    uint32_t chain;           /* Sum of the last record, gathered ones included. */
    weir__text gathered;
} weir__log_file;

struct weir__log {
    const weir_env *env;
    const weir__files *files;
    uint64_t segment_bytes;
    int folder;
    weir__log_file segment;
    uint64_t first_sequence; /* The oldest segment in the folder. */
    uint64_t older_bytes;    /* Of segments before this one. */
    uint64_t revision;       /* The newest appended. */
    uint64_t syncs;
    struct {
        uint64_t revision, bytes; /* Of the newest; 0 = none. */
    } kept;
    struct {
        weir__log_file file;
        uint64_t revision, sequence, count; /* Records in it; sequence: see format.h. */
        uint64_t older_bytes;               /* Of the segments that it makes superfluous. */
        bool active;
    } snapshot;
    bool failed;
    weir_store_error error;
};

/* Sets *error, if the code is not WEIR_OK, and returns it. errno is used for WEIR_ESYSTEM. */
int weir__log_complain(weir_store_error *error, int code, const char *file, uint64_t offset,
                       const char *message);
/* The same for the log, which is read-only from then on. */
int weir__log_fail(weir__log *log, const char *file, uint64_t offset, const char *message);
void weir__log_name(char name[WEIR__LOG_NAME], const char *kind, uint64_t number);

/* ---- log_file.c ---- */

/* Creates it under that name, with its header. -1 with errno, or 0. */
int weir__log_file_create(weir__log *log, weir__log_file *file, const char *name,
                          const weir__file_header *header);
int weir__log_file_add(weir__log_file *file, uint64_t revision, const void *data, size_t size);
int weir__log_file_write(weir__log *log, weir__log_file *file); /* -1 with errno, or 0. */
int weir__log_file_sync(weir__log *log, weir__log_file *file);  /* The same. */
void weir__log_file_close(weir__log *log, weir__log_file *file);

/* ---- log.c ---- */

int weir__log_rotate(weir__log *log); /* All is written and synced before. As weir__log_flush(). */

/* ---- log_recovery.c ---- */

/* Reads the folder, and leaves the log ready to append. As weir__log_open(). */
int weir__log_recover(weir__log *log, weir__log_replay_fn replay, void *user,
                      weir_store_error *error);

#endif
