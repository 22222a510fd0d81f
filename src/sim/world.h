/* What the world and its services share: things that happen, once or again, at a time. */
#ifndef WEIR_SRC_SIM_WORLD_H
#define WEIR_SRC_SIM_WORLD_H

#include <weir/sim.h>

#include "base/heap.h"
#include "base/rng.h"

typedef struct weir__sim_call {
    weir_sim_done_fn done;
    void *user;
    uint64_t begun_ns;
} weir__sim_call;

/* A call on the service's side, which goes on when the caller has lost interest. */
typedef struct weir__sim_work {
    weir_sim_service *service;
    weir_sim_id call;
    weir_outcome outcome;
    uint64_t latency_ns;            /* Once it is served. */
    bool served;                    /* Takes one of the service's places. */
    struct weir__sim_pending *next; /* The one that waits behind. */
} weir__sim_work;

typedef struct weir__sim_change {
    weir_sim_service *service;
    weir_sim_behaviour behaviour;
} weir__sim_change;

typedef struct weir__sim_timer {
    weir_sim_timer_fn fn;
    void *user;
} weir__sim_timer;

/* Whatever is pending. In the heap while it has a time; in the table from begin to end. */
typedef struct weir__sim_pending {
    weir__heap_node node; /* First: the heap hands it back. */
    weir_sim_id id;       /* Place in the table, and how often that was used before; 0 = free. */
    weir_sim_id last_id;  /* The one before it. */
    bool inner;           /* Not the user's: its id was told to nobody. */
    void (*happen)(weir_sim *sim, struct weir__sim_pending *pending);
    union {
        weir__sim_timer timer;
        weir_task task;
        weir__sim_call call;
        weir__sim_work work;
        weir__sim_change change;
    } as;
} weir__sim_pending;

struct weir_sim_service {
    weir_sim *sim;
    weir_sim_service *next; /* In the world's list. */
    uint64_t number;
    weir_sim_behaviour behaviour;
    weir__rng rng;
    uint32_t serving, waiting;
    weir__sim_pending *first, *last; /* Who waits for a place. */
};

struct weir_sim {
    weir_env outer; /* Where memory comes from. */
    weir_env env;   /* What modules in this world are given. */
    weir_sim_options options;
    uint64_t now_ns;
    uint64_t events;
    uint64_t digest;
    weir__rng hooks, shuffle, draws; /* A stream each: see the header. */
    weir__heap heap;
    weir__sim_pending **table;
    size_t size, capacity;      /* Of the table: places in use or free, and allocated. */
    weir__sim_pending *free;    /* Linked by work.next. */
    weir_sim_service *services; /* Newest first. */
};

/* A new pending thing without a time; setting one cannot fail. NULL: no memory. */
weir__sim_pending *weir__sim_new(weir_sim *sim,
                                 void (*happen)(weir_sim *sim, weir__sim_pending *pending));
void weir__sim_set(weir_sim *sim, weir__sim_pending *pending, uint64_t at_ns);
void weir__sim_end(weir_sim *sim, weir__sim_pending *pending);
weir__sim_pending *weir__sim_find(const weir_sim *sim, weir_sim_id id); /* NULL if it is over. */
void weir__sim_trace(weir_sim *sim, weir_sim_kind kind, weir_sim_id id, uint64_t value);

#endif
