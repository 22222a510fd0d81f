#include "otlp/otlp.h"

#include "base/otlp_json.h"

#include <string.h>

#define OTLP_KEPT_BYTES 4194304 /* Of a text that waits for the next batch. */

void weir__otlp_job_init(weir__otlp_job *job, const weir_env *env)
{
    *job = (weir__otlp_job){.deadline_ns = WEIR_NEVER};
    weir__text_init(&job->body, env);
}

void weir__otlp_job_free(weir__otlp_job *job)
{
    weir__free(job->body.env, job->parts, job->part_room * sizeof *job->parts);
    weir__text_free(&job->body);
    weir__otlp_job_init(job, job->body.env);
}

void weir__otlp_job_clear(weir__otlp_job *job)
{
    if (job->body.capacity > OTLP_KEPT_BYTES)
        weir__text_free(&job->body);
    weir__text_clear(&job->body);
    job->part_count = 0;
    job->items = job->refused = 0;
    job->done = NULL;
}

bool weir__otlp_job_end_part(weir__otlp_job *job, uint64_t items)
{
    if (job->part_count == job->part_room) {
        size_t const room = job->part_room > 0 ? 2 * job->part_room : 4;
        weir__otlp_part *const parts =
            weir__resize(job->body.env, job->parts, job->part_room * sizeof *parts,
                         room * sizeof *parts);
        if (parts == NULL)
            return false;
        job->parts = parts;
        job->part_room = room;
    }
    job->parts[job->part_count++] = (weir__otlp_part){job->body.size, items};
    return weir__text_ok(&job->body);
}

/* ---- Spans ---- */

/* One more, behind `items` others of the part that begins at `start`. False: it has no room, or
 * there is no memory, and nothing is changed. */
static bool job_add_span(weir__otlp_job *job, const weir_span_batch *batch,
                         const weir_span_data *span, size_t start, uint64_t items,
                         uint64_t max_bytes)
{
    static const size_t closing = sizeof "]}]}]}" - 1;
    weir__text *const body = &job->body;
    size_t const before = body->size;
    if (items == 0)
        weir__otlp_open_spans(body, batch);
    else
        weir__text_str(body, ",");
    weir__otlp_span(body, span);
    if (!weir__text_ok(body))
        return false;
    if (body->size - start + closing <= max_bytes)
        return true;
    weir__text_cut(body, before);
    return false;
}

static bool job_close_spans(weir__otlp_job *job, uint64_t items)
{
    if (items == 0)
        return weir__text_ok(&job->body);
    weir__otlp_close_spans(&job->body);
    return weir__otlp_job_end_part(job, items);
}

int weir__otlp_job_spans(weir__otlp_job *job, const weir_span_batch *batch, uint64_t max_bytes)
{
    size_t start = job->body.size;
    uint64_t items = 0;
    job->items += batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        const weir_span_data *const span = batch->spans[i];
        bool added = job_add_span(job, batch, span, start, items, max_bytes);
        if (!added && items > 0) {
            if (!job_close_spans(job, items))
                return WEIR_ENOMEM;
            start = job->body.size;
            items = 0;
            added = job_add_span(job, batch, span, start, items, max_bytes);
        }
        if (!weir__text_ok(&job->body))
            return WEIR_ENOMEM;
        items += added;
        job->refused += !added;
    }
    return job_close_spans(job, items) ? WEIR_OK : WEIR_ENOMEM;
}
