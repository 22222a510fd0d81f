/*
 * Inside a tracer. Records of spans live in a pool, a stack of those that are free; one that has
 * ended goes through the queue, a ring, to whoever has the exporter's role, and back.
 */
#ifndef WEIR_SRC_TRACER_TRACER_H
#define WEIR_SRC_TRACER_TRACER_H

#include <weir/tracer.h>

#include "base/env.h"
#include "base/fork.h"
#include "base/rng.h"

#include <pthread.h>
#include <stdatomic.h>

#define WEIR__RECORD_SIZE 1024 /* With its first bytes of texts and attributes. */
#define WEIR__CHUNK_SIZE  2048 /* More of them; for what is larger, one of its own size. */

/* More bytes for what a span says. */
typedef struct weir__span_record_chunk {
    struct weir__span_record_chunk *next;
    size_t size; /* With this header. */
} weir__span_record_chunk;

typedef struct weir__span_record {
    _Atomic uint64_t generation; /* Odd: a span uses it. */
    weir_tracer *tracer;
    uint32_t index;
    _Atomic uint32_t next_free;      /* Index + 1 of the next in the pool; 0 = none. */
    bool exported;                   /* It is sampled: it goes to the exporter at its end. */
    uint64_t start_ns;               /* Monotonic. */
    uint64_t wall_offset_ns;         /* What makes it the time since 1970, modulo 2^64. */
    unsigned char *at, *end;         /* What is left of the bytes in use. */
    weir__span_record_chunk *chunks; /* In use. */
    weir__span_record_chunk *spare;  /* Kept from a span before; NULL = none. */
    uint32_t attribute_room, event_room, link_room;
    weir_attribute *attributes; /* In the bytes, as those below; the data has the same. */
    weir_span_event *events;
    weir_span_link *links;
    weir_span_data data;
    unsigned char bytes[];
} weir__span_record;

/* A place in the queue, of the bounded queue of Dmitry Vyukov (1024cores.net, 2010): `turn` is the
 * position that may use it, to write at turn == position, to read at position + 1. */
typedef struct weir__queue_cell {
    _Atomic uint64_t turn;
    weir__span_record *record;
} weir__queue_cell;

typedef struct weir__queue {
    weir__queue_cell *cells;
    uint64_t mask;
    char apart[WEIR__CACHE_LINE];
    _Atomic uint64_t tail; /* To be written next. */
    char apart_too[WEIR__CACHE_LINE];
    _Atomic uint64_t head; /* To be read next. */
} weir__queue;

typedef enum weir__export_state {
    WEIR__EXPORT_IDLE,
    WEIR__EXPORT_ACTIVE, /* The exporter has a batch. */
    WEIR__EXPORT_OVER,   /* It has said how it went. */
} weir__export_state;

/* A flush, or the shutdown. Guarded by flush_lock. */
typedef struct weir__flush {
    bool active;
    uint64_t target; /* Position of the queue that it waits for. */
    uint64_t deadline_ns;
    uint64_t drops; /* As they were when it began. */
    weir_tracer_done_fn done;
    void *user;
    int result; /* Of the latest. */
} weir__flush;

struct weir_tracer {
    weir_tracer_options options; /* What it points to is in `resource`. */
    weir_env env;
    weir__span_record *resource; /* Of no span: has the resource and the scope. */
    weir__fork_watch fork;
    _Atomic bool closed;
    _Atomic uint64_t wall_offset_ns;

    _Atomic uint64_t id_owner; /* Tells its blocks of numbers from those of others. */
    uint64_t id_seeds[3];      /* Of span ids and of both halves of trace ids. */
    char apart[WEIR__CACHE_LINE];
    _Atomic uint64_t id_numbers; /* Given out in blocks. */

    char apart_too[WEIR__CACHE_LINE];
    _Atomic uint64_t pool;                 /* Changes << 32 | index + 1 of the first. */
    _Atomic(weir__span_record *) *records; /* max_spans of them. */
    _Atomic uint32_t record_count;         /* Made so far. */
    _Atomic uint64_t memory_bytes;

    weir__queue queue;
    uint64_t wake_mask; /* on_wake is called at positions with these bits zero. */

    char apart_again[WEIR__CACHE_LINE];
    _Atomic bool exporting; /* Somebody has the exporter's role. */
    _Atomic bool woken;     /* The task was asked for, and has not run since. */
    _Atomic bool missed;    /* Somebody wanted it meanwhile. */
    bool shut_down;         /* The role's, as all to the next line: the shutdown is over. */
    uint64_t next_export_ns, export_deadline_ns;
    uint64_t settled; /* Position of the queue before which all is done with. */
    const weir_span_data **batch;
    weir__span_record **batch_records;
    _Atomic uint32_t batch_count; /* Spans that the exporter has. */
    _Atomic int export_state;     /* weir__export_state. */
    int export_result;            /* Written before OVER. */
    size_t export_rejected;
    _Atomic uint64_t exported;
    _Atomic uint64_t dropped[WEIR_SPAN_DROPS];

    pthread_mutex_t flush_lock;
    weir__flush flush, shutdown; /* Guarded by it. */
};

/* ids.c */
typedef struct weir__id_block {
    uint64_t owner; /* The tracer whose numbers these are. */
    uint64_t next;  /* Times the golden ratio: what splitmix64 mixes. */
    uint64_t left;
} weir__id_block;

extern _Thread_local weir__id_block weir__id_block_self;

void weir__tracer_seed_ids(weir_tracer *tracer);
void weir__tracer_take_ids(weir_tracer *tracer, uint64_t owner);
void weir__tracer_new_trace(weir_tracer *tracer, uint64_t number, uint8_t *trace_id);

static inline uint64_t weir__tracer_number(weir_tracer *tracer)
{
    weir__id_block *const block = &weir__id_block_self;
    uint64_t const owner = atomic_load_explicit(&tracer->id_owner, memory_order_relaxed);
    if (WEIR__UNLIKELY(block->owner != owner || block->left == 0))
        weir__tracer_take_ids(tracer, owner);
    uint64_t const number = block->next;
    block->left--;
    block->next = number + WEIR__GOLDEN;
    return number;
}

/* pool.c: NULL when there are too many, or no memory. */
weir__span_record *weir__span_record_take(weir_tracer *tracer);
void weir__span_record_give(weir__span_record *record);
void weir__span_record_free(weir__span_record *record);
void weir__pool_reset(weir_tracer *tracer); /* All are free. Nobody else is there. */
void weir__pool_free(weir_tracer *tracer);

/* notes.c: `record` is a span's. What has no room is counted in its data. */
void weir__span_record_begin(weir__span_record *record, const weir_trace_context *context);
/* Bytes, aligned for anything; NULL without memory. */
void *weir__span_record_room(weir__span_record *record, size_t size);
const char *weir__span_record_text(weir__span_record *record, const char *text, size_t size);
void weir__span_record_set(weir__span_record *record, const weir_attribute *attributes,
                           size_t count);
void weir__span_record_event(weir__span_record *record, const weir_span_event *event,
                             uint64_t at_ns);
void weir__span_record_link(weir__span_record *record, const weir_span_link *link);

/* queue.c */
int weir__queue_init(weir__queue *queue, const weir_env *env, uint32_t size);
void weir__queue_free(weir__queue *queue, const weir_env *env);
void weir__queue_reset(weir__queue *queue);
/* False: it is full. *position is where. */
bool weir__queue_push(weir__queue *queue, weir__span_record *record, uint64_t *position);
weir__span_record *weir__queue_pop(weir__queue *queue); /* NULL: it is empty. */

/* export.c */
void weir__tracer_drop(weir_tracer *tracer, weir_span_drop reason, uint64_t count, int error);
void weir__tracer_enqueue(weir_tracer *tracer, weir__span_record *record, uint64_t now_ns);
uint64_t weir__tracer_run(void *self, uint64_t now_ns);
void weir__export_cancel(weir_tracer *tracer);

/* Of the time on the wall now. */
void weir__tracer_read_wall(weir_tracer *tracer, uint64_t now_ns);

#endif
