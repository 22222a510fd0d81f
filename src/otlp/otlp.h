/*
 * Inside the exporter. Each signal has a lane, with one batch under way at a time: it is encoded
 * where it is given, and waits; the loop's thread, woken through a pipe, takes it and sends its
 * parts, one after another.
 */
#ifndef WEIR_SRC_OTLP_OTLP_H
#define WEIR_SRC_OTLP_OTLP_H

#include <weir/otlp.h>
#include <weir/retry.h>

#include "net/waker.h"

#include "base/text.h"

#include <pthread.h>

#define WEIR__OTLP_QUOTED(x) #x
#define WEIR__OTLP_DOTTED(a, b, c)                                                                 \
    WEIR__OTLP_QUOTED(a) "." WEIR__OTLP_QUOTED(b) "." WEIR__OTLP_QUOTED(c)
#define WEIR__OTLP_VERSION                                                                         \
    WEIR__OTLP_DOTTED(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH)

#define WEIR__OTLP_HEADERS 64
#define WEIR__OTLP_OWN     2 /* Content-Type, User-Agent. */

/* One request's body, which ends there in the text of its job. */
typedef struct weir__otlp_part {
    size_t end;
    uint64_t items; /* Spans or data points. */
} weir__otlp_part;

/* A batch, encoded. */
typedef struct weir__otlp_job {
    weir__text body;
    weir__otlp_part *parts;
    size_t part_count, part_room;
    uint64_t items;   /* In all... */
    uint64_t refused; /* ...of which these are too large by themselves. */
    uint64_t deadline_ns;
    weir_exported_fn done; /* NULL: nobody wants to know. */
    void *token;
} weir__otlp_job;

/* Where a signal goes: what is the same in all requests. */
typedef struct weir__otlp_route {
    weir_address address;
    uint32_t timeout_ms;
    weir_http_request request;
    weir_http_header headers[WEIR__OTLP_HEADERS + WEIR__OTLP_OWN];
    char *block; /* Holds their texts. */
    size_t block_size, used;
} weir__otlp_route;

typedef struct weir__otlp_lane {
    weir_otlp *otlp;
    weir_otlp_signal signal;
    weir__otlp_route route;

    /* Guarded by the lock. */
    bool encoding; /* `waiting` is being filled. */
    bool has_waiting, running;
    bool abandoned; /* What runs is of no interest any more. */
    bool telling;   /* `teller` is in somebody's done(). */
    pthread_t teller;
    weir__otlp_job waiting;
    weir_otlp_stats stats;

    /* The loop's thread's. */
    weir__otlp_job job;
    size_t part, sent; /* The part under way, and its bytes handed over. */
    weir_retry retry;
    uint64_t retry_until_ns;
    weir_loop_timer *timer;
    weir_http_call *call;
    int status; /* Of the answer; 0: its head has not come. */
    uint64_t retry_after_ns;
    weir__text answer;
    uint64_t taken, rejected; /* Of this job. */
    int error;                /* The first; WEIR_OK: none. */
} weir__otlp_lane;

struct weir_otlp {
    weir_env env;
    weir_loop *loop;
    weir_http_client *client;
    weir__waker waker;
    weir_otlp_options options; /* Its texts are in the routes. */
    weir_retry_options retry;
    pthread_mutex_t lock;
    pthread_cond_t told; /* Nobody is telling any more. */
    weir__otlp_lane lanes[WEIR_OTLP_SIGNALS];
    weir_metrics *metrics;          /* NULL: none. */
    weir_span_batch origin;         /* Of no spans: who counts them. */
    weir_loop_timer *metrics_timer; /* NULL: there never were any. */
};

/* route.c: static English of what is wrong; NULL: nothing. */
const char *weir__otlp_route_error(const weir_otlp_options *options, weir_otlp_signal signal);
/* Of options without an error: WEIR_OK or WEIR_ENOMEM. */
int weir__otlp_route_load(weir__otlp_route *route, const weir_env *env,
                          const weir_otlp_options *options, weir_otlp_signal signal);
void weir__otlp_route_free(weir__otlp_route *route, const weir_env *env);

/* job.c */
void weir__otlp_job_init(weir__otlp_job *job, const weir_env *env);
void weir__otlp_job_free(weir__otlp_job *job);
void weir__otlp_job_clear(weir__otlp_job *job); /* Keeps the memory of an ordinary batch. */
/* WEIR_OK or WEIR_ENOMEM. */
int weir__otlp_job_spans(weir__otlp_job *job, const weir_span_batch *batch, uint64_t max_bytes);
/* WEIR_OK, WEIR_ENOMEM or WEIR_EBUSY. */
int weir__otlp_job_metrics(weir__otlp_job *job, weir_metrics *metrics, const weir_span_batch *who,
                           uint64_t max_bytes);
/* What was appended to the text since the last part is one, of so many items. */
bool weir__otlp_job_end_part(weir__otlp_job *job, uint64_t items);

/* answer.c */
typedef struct weir__otlp_answer {
    uint64_t rejected;
    weir__text message; /* Initialized by who asks; empty = none. */
} weir__otlp_answer;

/* {"partialSuccess":{"rejectedSpans":"3","errorMessage":".."}}, or with rejectedDataPoints, or
 * {"code":3,"message":".."}. False: it is no such thing. */
bool weir__otlp_answer_read(weir__otlp_answer *answer, const char *text, size_t size);

/* retry_after.c: of its seconds or date; 0: it cannot be read, or is over. */
uint64_t weir__otlp_retry_after_ns(const char *text, size_t size, uint64_t wall_ns);

/* lane.c */
int weir__otlp_lane_open(weir__otlp_lane *lane, weir_otlp *otlp, weir_otlp_signal signal);
void weir__otlp_lane_close(weir__otlp_lane *lane);
/* On the loop's thread: what others have asked for. */
void weir__otlp_lane_turn(weir__otlp_lane *lane);
/* For who gives so many items, on any thread: `waiting` is to be filled; false: it is not free. */
bool weir__otlp_lane_claim(weir__otlp_lane *lane, uint64_t items);
/* It is; or, with an error, it is not to be sent. */
void weir__otlp_lane_submit(weir__otlp_lane *lane, int error);
void weir__otlp_lane_cancel(weir__otlp_lane *lane);
void weir__otlp_warn(weir_otlp *otlp, const weir_otlp_warning *warning);

#endif
