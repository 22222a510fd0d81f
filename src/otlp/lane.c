/*
 * One signal's requests. Who gives a batch and who cancels it may be on any thread: they change
 * what is waiting, or mark what runs as abandoned, and wake the loop. All else is the loop's.
 */
#include "otlp/otlp.h"

#include <stdio.h>
#include <string.h>

#define LANE_PIECE 65536 /* Of a body, handed to the client at a time. */

static void lane_send(weir__otlp_lane *lane);

/* ---- Other threads ---- */

bool weir__otlp_lane_claim(weir__otlp_lane *lane, uint64_t items)
{
    pthread_mutex_lock(&lane->otlp->lock);
    bool const is_free =
        !lane->encoding && !lane->has_waiting && (!lane->running || lane->abandoned);
    lane->encoding |= is_free;
    lane->stats.batches++;
    lane->stats.failed += is_free ? 0 : items;
    pthread_mutex_unlock(&lane->otlp->lock);
    return is_free;
}

void weir__otlp_lane_submit(weir__otlp_lane *lane, int error)
{
    pthread_mutex_lock(&lane->otlp->lock);
    lane->encoding = false;
    lane->has_waiting = error == WEIR_OK;
    if (error != WEIR_OK) {
        lane->stats.failed += lane->waiting.items;
        weir__otlp_job_clear(&lane->waiting);
    }
    pthread_mutex_unlock(&lane->otlp->lock);
    if (error == WEIR_OK)
        weir__waker_wake(&lane->otlp->waker);
}

void weir__otlp_lane_cancel(weir__otlp_lane *lane)
{
    weir_otlp *const otlp = lane->otlp;
    pthread_mutex_lock(&otlp->lock);
    if (lane->has_waiting) {
        lane->has_waiting = false;
        lane->stats.failed += lane->waiting.items;
        weir__otlp_job_clear(&lane->waiting);
    }
    lane->abandoned = lane->running;
    while (lane->telling && !pthread_equal(lane->teller, pthread_self()))
        pthread_cond_wait(&otlp->told, &otlp->lock);
    pthread_mutex_unlock(&otlp->lock);
    weir__waker_wake(&otlp->waker);
}

/* ---- The end of a job ---- */

/* The job is over; `result` goes to who gave it, if anybody still wants it. */
static void lane_tell(weir__otlp_lane *lane, int result)
{
    weir_otlp *const otlp = lane->otlp;
    uint64_t const lost = lane->job.items - lane->taken;
    pthread_mutex_lock(&otlp->lock);
    weir_exported_fn const done = lane->abandoned ? NULL : lane->job.done;
    void *const token = lane->job.token;
    lane->stats.taken += lane->taken;
    lane->stats.rejected += lane->rejected;
    lane->stats.failed += lost - lane->rejected;
    lane->running = lane->abandoned = false;
    lane->telling = done != NULL;
    lane->teller = pthread_self();
    pthread_mutex_unlock(&otlp->lock);
    weir__otlp_job_clear(&lane->job);
    if (done == NULL)
        return;
    done(token, result, (size_t)(result == WEIR_OK ? lost : 0));
    pthread_mutex_lock(&otlp->lock);
    lane->telling = false;
    pthread_cond_broadcast(&otlp->told);
    pthread_mutex_unlock(&otlp->lock);
}

static void lane_finish(weir__otlp_lane *lane)
{
    bool const some = lane->taken + lane->rejected > 0;
    lane_tell(lane, some ? WEIR_OK : lane->error);
}

static void lane_warn(weir__otlp_lane *lane, int error, uint64_t rejected, const char *message)
{
    weir_otlp_warning const warning = {lane->signal, error, lane->status, rejected, message};
    weir__otlp_warn(lane->otlp, &warning);
}

/* ---- Parts ---- */

static size_t lane_part_start(const weir__otlp_lane *lane)
{
    return lane->part > 0 ? lane->job.parts[lane->part - 1].end : 0;
}

static size_t lane_part_size(const weir__otlp_lane *lane)
{
    return lane->job.parts[lane->part].end - lane_part_start(lane);
}

/* The one at lane->part, for the first time; or there is none left. */
static void lane_begin_part(weir__otlp_lane *lane)
{
    weir_otlp *const otlp = lane->otlp;
    if (lane->part == lane->job.part_count) {
        lane_finish(lane);
        return;
    }
    int const begun = weir_retry_begin(&lane->retry, &otlp->retry, weir_loop_now_ns(otlp->loop),
                                       weir__random(&otlp->env));
    (void)begun; /* The options were checked at create. */
    lane->retry.deadline_ns = lane->retry_until_ns;
    lane_send(lane);
}

/* The part at lane->part is not taken. The next one is tried if that may go better. */
static void lane_fail_part(weir__otlp_lane *lane, int error, bool next, const char *message)
{
    size_t const end = next ? lane->part + 1 : lane->job.part_count;
    uint64_t lost = 0;
    for (; lane->part < end; lane->part++)
        lost += lane->job.parts[lane->part].items;
    if (lane->error == WEIR_OK)
        lane->error = error;
    lane_warn(lane, error, lost, message);
    lane_begin_part(lane);
}

/* Again, if there is time for it. */
static void lane_fail_for_now(weir__otlp_lane *lane, int error, const char *message)
{
    uint64_t at_ns;
    if (weir_retry_next(&lane->retry, WEIR_FAILURE, weir_loop_now_ns(lane->otlp->loop),
                        lane->retry_after_ns, &at_ns) == WEIR_RETRY_AT)
        weir_loop_timer_set(lane->timer, at_ns);
    else
        lane_fail_part(lane, error, false, message);
}

static void lane_retry(uint64_t now_ns, void *user)
{
    weir__otlp_lane *const lane = user;
    (void)now_ns;
    pthread_mutex_lock(&lane->otlp->lock);
    lane->stats.retries++;
    pthread_mutex_unlock(&lane->otlp->lock);
    lane_send(lane);
}

/* ---- Answers ---- */

static void lane_accepted(weir__otlp_lane *lane, const weir__otlp_answer *answer, bool readable)
{
    uint64_t const items = lane->job.parts[lane->part].items;
    uint64_t const rejected = answer->rejected < items ? answer->rejected : items;
    lane->taken += items - rejected;
    lane->rejected += rejected;
    if (!readable)
        lane_warn(lane, WEIR_OK, 0, "taken, with an answer that cannot be read");
    else if (rejected > 0 || answer->message.size > 0)
        lane_warn(lane, WEIR_OK, rejected, answer->message.size > 0 ? answer->message.data : "");
    lane->part++;
    lane_begin_part(lane);
}

static void lane_answered(weir__otlp_lane *lane)
{
    weir__otlp_answer answer;
    weir__text_init(&answer.message, &lane->otlp->env);
    bool const empty = lane->answer.size == 0;
    bool const readable = weir__otlp_answer_read(&answer, empty ? "{}" : lane->answer.data,
                                                 empty ? 2 : lane->answer.size) &&
                          weir__text_ok(&lane->answer);
    int const status = lane->status;
    const char *const message =
        answer.message.size > 0 ? answer.message.data : weir_http_reason(status);
    if (status >= 200 && status <= 299)
        lane_accepted(lane, &answer, readable);
    else if (status == 429 || (status >= 502 && status <= 504))
        lane_fail_for_now(lane, WEIR_EFAILED, message);
    else
        lane_fail_part(lane, WEIR_EFAILED, true, message);
    weir__text_free(&answer.message);
}

/* No answer. What was sent and not answered in time is not repeated: it may be there. */
static void lane_unanswered(weir__otlp_lane *lane, const weir_http_result *result)
{
    bool const connection = result->failure == WEIR_HTTP_CONNECT_FAILED ||
                            result->failure == WEIR_HTTP_CONNECT_TIMEOUT ||
                            result->failure == WEIR_HTTP_CLOSED_EARLY;
    char message[128];
    (void)snprintf(message, sizeof message, result->system_error != 0 ? "%s (errno %d)" : "%s",
                   result->reason, result->system_error);
    if (connection)
        lane_fail_for_now(lane, result->code, message);
    else
        lane_fail_part(lane, result->code, false, message);
}

static void lane_on_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    weir__otlp_lane *const lane = user;
    (void)call;
    lane->status = response->status;
    const weir_http_header *const later =
        weir_http_find(response->headers, response->header_count, "Retry-After");
    if (later != NULL)
        lane->retry_after_ns = weir__otlp_retry_after_ns(later->value.data, later->value.size,
                                                         weir__wall_ns(&lane->otlp->env));
}

static void lane_on_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    weir__otlp_lane *const lane = user;
    (void)call;
    weir__text_bytes(&lane->answer, data, size);
}

/* Where the answer is cut off or too long, its status counts; but a success may say more. */
static void lane_on_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    weir__otlp_lane *const lane = user;
    (void)call;
    lane->call = NULL;
    bool const success = lane->status >= 200 && lane->status <= 299;
    if (lane->status == 0 || (success && result->code == WEIR_ETOOLARGE))
        lane_unanswered(lane, result);
    else
        lane_answered(lane);
}

/* ---- Requests ---- */

static void lane_out_of_memory(weir__otlp_lane *lane)
{
    weir_http_call *const call = lane->call;
    lane->call = NULL;
    if (call != NULL)
        weir_http_call_cancel(call);
    lane_fail_part(lane, WEIR_ENOMEM, false, weir_strerror(WEIR_ENOMEM));
}

/* As much of the body as is taken now. */
static void lane_pump(weir__otlp_lane *lane)
{
    const char *const body = lane->job.body.data + lane_part_start(lane);
    size_t const size = lane_part_size(lane);
    int result = WEIR_OK;
    while (result == WEIR_OK && lane->sent < size) {
        size_t const left = size - lane->sent;
        size_t const piece = left < LANE_PIECE ? left : LANE_PIECE;
        result = weir_http_call_write(lane->call, body + lane->sent, piece);
        if (result == WEIR_OK)
            lane->sent += piece;
    }
    if (result == WEIR_OK)
        result = weir_http_call_finish(lane->call);
    if (result == WEIR_ENOMEM)
        lane_out_of_memory(lane); /* Full, or closed: the client has more to tell. */
}

static void lane_on_writable(weir_http_call *call, void *user)
{
    (void)call;
    lane_pump(user);
}

static void lane_send(weir__otlp_lane *lane)
{
    static const weir_http_call_events events = {lane_on_head, lane_on_body, lane_on_writable,
                                                 lane_on_done};
    weir_otlp *const otlp = lane->otlp;
    uint64_t const limit_ns =
        weir__add_ns(weir_loop_now_ns(otlp->loop), lane->route.timeout_ms * WEIR__NS_PER_MS);
    weir_http_call_options options = WEIR_HTTP_CALL_OPTIONS_INIT;
    options.deadline_ns = limit_ns < lane->job.deadline_ns ? limit_ns : lane->job.deadline_ns;
    options.connect_ms = options.head_ms = options.stall_ms = UINT32_MAX;
    lane->status = 0;
    lane->retry_after_ns = 0;
    lane->sent = 0;
    weir__text_clear(&lane->answer);
    lane->route.request.body_size = lane_part_size(lane);
    pthread_mutex_lock(&otlp->lock);
    lane->stats.requests++;
    lane->stats.bytes += lane->route.request.body_size;
    pthread_mutex_unlock(&otlp->lock);
    if (weir_http_call_start(&lane->call, otlp->client, &lane->route.address, &options,
                             &lane->route.request, &events, lane) != WEIR_OK)
        lane_out_of_memory(lane);
    else
        lane_pump(lane);
}

/* ---- The loop's turn ---- */

static void lane_stop(weir__otlp_lane *lane)
{
    if (lane->call != NULL)
        weir_http_call_cancel(lane->call);
    lane->call = NULL;
    weir_loop_timer_set(lane->timer, WEIR_NEVER);
}

static void lane_begin(weir__otlp_lane *lane)
{
    weir_otlp *const otlp = lane->otlp;
    uint64_t const now_ns = weir_loop_now_ns(otlp->loop);
    uint64_t const total_ns = weir__add_ns(now_ns, otlp->retry.total_ns);
    lane->part = 0;
    lane->taken = lane->rejected = 0;
    lane->error = WEIR_OK;
    lane->status = 0;
    lane->retry_until_ns = total_ns < lane->job.deadline_ns ? total_ns : lane->job.deadline_ns;
    if (lane->job.refused > 0) {
        lane->error = WEIR_ETOOLARGE;
        lane_warn(lane, WEIR_ETOOLARGE, lane->job.refused, "larger than a request may be");
    }
    if (lane->job.part_count > 0 && now_ns >= lane->job.deadline_ns)
        lane_fail_part(lane, WEIR_EDEADLINE, false, "too late to begin");
    else
        lane_begin_part(lane);
}

void weir__otlp_lane_turn(weir__otlp_lane *lane)
{
    weir_otlp *const otlp = lane->otlp;
    pthread_mutex_lock(&otlp->lock);
    bool const stop = lane->running && lane->abandoned;
    pthread_mutex_unlock(&otlp->lock);
    if (stop) {
        lane_stop(lane);
        lane_tell(lane, WEIR_OK);
    }
    pthread_mutex_lock(&otlp->lock);
    bool const start = lane->has_waiting && !lane->running;
    if (start) {
        weir__otlp_job const job = lane->waiting;
        lane->waiting = lane->job; /* Empty, with its memory. */
        lane->job = job;
        lane->has_waiting = false;
        lane->running = true;
    }
    pthread_mutex_unlock(&otlp->lock);
    if (start)
        lane_begin(lane);
}

/* ---- Life ---- */

int weir__otlp_lane_open(weir__otlp_lane *lane, weir_otlp *otlp, weir_otlp_signal signal)
{
    lane->otlp = otlp;
    lane->signal = signal;
    weir__otlp_job_init(&lane->waiting, &otlp->env);
    weir__otlp_job_init(&lane->job, &otlp->env);
    weir__text_init(&lane->answer, &otlp->env);
    int const result = weir__otlp_route_load(&lane->route, &otlp->env, &otlp->options, signal);
    return result != WEIR_OK ? result
                             : weir_loop_timer_create(&lane->timer, otlp->loop, lane_retry, lane);
}

static void lane_give_back(weir__otlp_lane *lane)
{
    if (lane->running) {
        lane_stop(lane);
        lane_tell(lane, WEIR_ECLOSED);
    }
    if (lane->has_waiting && lane->waiting.done != NULL)
        lane->waiting.done(lane->waiting.token, WEIR_ECLOSED, 0);
}

void weir__otlp_lane_close(weir__otlp_lane *lane)
{
    if (lane->otlp == NULL)
        return; /* It was not opened. */
    lane_give_back(lane);
    weir__otlp_route_free(&lane->route, &lane->otlp->env);
    weir__otlp_job_free(&lane->waiting);
    weir__otlp_job_free(&lane->job);
    weir__text_free(&lane->answer);
    weir_loop_timer_destroy(lane->timer);
}
