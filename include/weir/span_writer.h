/**
 * @file weir/span_writer.h
 * Exporters of spans to a file or a terminal.
 *
 *   WEIR_SPAN_FORMAT_OTLP  one line of OTLP JSON a batch: OpenTelemetry's file exporter, which
 *                          collectors read back (receiver otlpjsonfile)
 *   WEIR_SPAN_FORMAT_TEXT  one line a span, for people:
 *
 *     2026-11-23T10:25:18.123456Z 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 server
 *     "GET /orders" 12.345ms error "no stock" http.request.method="GET" n=[1,2]   (all in one line)
 *
 * Lines are whole: one that could not be written wholly is cut off again, or, where others have
 * written behind it or it cannot be, ended before the next one begins; so is one that a process
 * left behind that died. No control character gets through to a terminal.
 *
 *     tracer_options.exporter = weir_span_writer_exporter(writer);
 *
 * Threads:    one export at a time, as a tracer has it, on any thread.
 * Blocking:   for as long as write(2) takes.
 * Allocation: per batch, when its text is longer than any before.
 */
#ifndef WEIR_SPAN_WRITER_H
#define WEIR_SPAN_WRITER_H

#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_span_writer weir_span_writer;

typedef enum weir_span_format {
    WEIR_SPAN_FORMAT_TEXT,
    WEIR_SPAN_FORMAT_OTLP,
} weir_span_format;

/** Start from WEIR_SPAN_WRITER_OPTIONS_INIT, then change what you need. */
typedef struct weir_span_writer_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    weir_span_format format;
    /** A file, made with mode 0644 if it is not there, and appended to by this writer alone; NULL =
     * `fd`. Copied. */
    const char *path;
    int fd; /**< Without a path: where to write; borrowed. Default 2, stderr. */
    /** Of a file: before it would be longer, it is renamed to path.1, in place of the one before,
     * and begun anew; 0 = no limit. One batch may be longer. */
    uint64_t max_bytes;
    const weir_env *env; /**< NULL for defaults; copied. */
} weir_span_writer_options;

#define WEIR_SPAN_WRITER_OPTIONS_INIT                                                              \
    {                                                                                              \
        .struct_size = sizeof(weir_span_writer_options), .format = WEIR_SPAN_FORMAT_TEXT,          \
        .path = NULL, .fd = 2, .max_bytes = 0, .env = NULL                                         \
    }

/**
 * Create a writer; a file is opened now.
 *
 * @param out      receives the writer, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults: text on stderr.
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM, or WEIR_ESYSTEM: errno says why it cannot be opened.
 */
WEIR_API WEIR_MUST_CHECK int weir_span_writer_create(weir_span_writer **out,
                                                     const weir_span_writer_options *options);

/** Close the file, and free. NULL is allowed. After the tracer. */
WEIR_API void weir_span_writer_destroy(weir_span_writer *writer);

/**
 * The hook for a tracer. It ends an export within the call, with WEIR_OK, WEIR_ENOMEM, or
 * WEIR_ESYSTEM: the batch was not written, or not wholly, or the file could not be begun anew.
 */
WEIR_API weir_span_exporter weir_span_writer_exporter(weir_span_writer *writer);

WEIR_END_DECLS

#endif
