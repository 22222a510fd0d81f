#include <weir/span_writer.h>

#include "base/otlp_json.h"
#include "span_writer/span_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITER_BACKUP ".1" /* Behind the path. */

struct weir_span_writer {
    weir_env env;
    weir_span_format format;
    int fd;       /* -1: the file could not be begun anew. */
    size_t paths; /* Bytes at `path`; 0: the descriptor is somebody else's. */
    char *path;   /* With a NUL; that of the backup behind it. */
    char *backup;
    uint64_t max_bytes;
    bool torn; /* The last line has no end. */
    weir__text text;
};

/* ---- Files ---- */

/* Of an ordinary file; 0: it is none. */
static uint64_t writer_size(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
}

static int writer_open(weir_span_writer *writer)
{
    writer->fd = open(writer->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (writer->fd < 0)
        return WEIR_ESYSTEM;
    char last = '\n';
    uint64_t const size = writer_size(writer->fd);
    writer->torn = size > 0 && pread(writer->fd, &last, 1, (off_t)size - 1) == 1 && last != '\n';
    return WEIR_OK;
}

/* Makes place for so many bytes more. */
static int writer_make_place(weir_span_writer *writer, size_t more)
{
    if (writer->path == NULL)
        return WEIR_OK;
    uint64_t const size = writer->fd >= 0 ? writer_size(writer->fd) : 0;
    if (size > 0 && writer->max_bytes > 0 && size + more > writer->max_bytes) {
        if (rename(writer->path, writer->backup) != 0)
            return WEIR_ESYSTEM;
        (void)close(writer->fd);
        writer->fd = -1;
    }
    return writer->fd >= 0 ? WEIR_OK : writer_open(writer);
}

/* All of it; or what was written is cut off again, if it is the end of the file. */
static int writer_append(weir_span_writer *writer, const char *data, size_t size)
{
    uint64_t const before = writer_size(writer->fd);
    size_t written = 0;
    while (written < size) {
        ssize_t const more = write(writer->fd, data + written, size - written);
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            break;
        written += (size_t)more;
    }
    if (written == size) {
        writer->torn = false;
        return WEIR_OK;
    }
    int const error = errno;
    bool const ours = written > 0 && writer_size(writer->fd) == before + written;
    if (written > 0 && (!ours || ftruncate(writer->fd, (off_t)before) != 0))
        writer->torn = data[written - 1] != '\n';
    errno = error;
    return WEIR_ESYSTEM;
}

/* ---- Batches ---- */

static void writer_encode(weir_span_writer *writer, const weir_span_batch *batch)
{
    weir__text *const text = &writer->text;
    weir__text_clear(text);
    if (writer->format == WEIR_SPAN_FORMAT_OTLP)
        weir__otlp_open_spans(text, batch);
    for (size_t i = 0; i < batch->count; i++) {
        if (writer->format == WEIR_SPAN_FORMAT_TEXT) {
            weir__span_line(text, batch->spans[i]);
            continue;
        }
        weir__text_str(text, i > 0 ? "," : "");
        weir__otlp_span(text, batch->spans[i]);
    }
    if (writer->format == WEIR_SPAN_FORMAT_TEXT)
        return;
    weir__otlp_close_spans(text);
    weir__text_str(text, "\n");
}

static int writer_write(weir_span_writer *writer, const weir_span_batch *batch)
{
    if (batch->count == 0)
        return WEIR_OK;
    writer_encode(writer, batch);
    if (!weir__text_ok(&writer->text))
        return WEIR_ENOMEM;
    int result = writer_make_place(writer, writer->text.size + writer->torn);
    if (result == WEIR_OK && writer->torn)
        result = writer_append(writer, "\n", 1);
    return result == WEIR_OK ? writer_append(writer, writer->text.data, writer->text.size) : result;
}

static void writer_export(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                          weir_exported_fn done, void *token)
{
    (void)deadline_ns;
    done(token, writer_write(self, batch), 0);
}

weir_span_exporter weir_span_writer_exporter(weir_span_writer *writer)
{
    return (weir_span_exporter){writer_export, NULL, writer};
}

/* ---- Life ---- */

static int writer_load(weir_span_writer *writer, const weir_span_writer_options *o)
{
    weir__text_init(&writer->text, &writer->env);
    writer->format = o->format;
    writer->max_bytes = o->max_bytes;
    writer->fd = o->fd;
    if (o->path == NULL)
        return WEIR_OK;
    writer->fd = -1;
    size_t const size = strlen(o->path);
    size_t const room = 2 * size + sizeof WRITER_BACKUP + 1;
    writer->path = weir__alloc(&writer->env, room);
    if (writer->path == NULL)
        return WEIR_ENOMEM;
    writer->paths = room;
    writer->backup = writer->path + size + 1;
    memcpy(writer->path, o->path, size + 1);
    (void)snprintf(writer->backup, room - size - 1, "%s%s", o->path, WRITER_BACKUP);
    return writer_open(writer);
}

int weir_span_writer_create(weir_span_writer **out, const weir_span_writer_options *options)
{
    *out = NULL;
    weir_span_writer_options o = WEIR_SPAN_WRITER_OPTIONS_INIT;
    weir_env env;
    if ((options != NULL && weir__options_load(&o, sizeof o, options, options->struct_size)) ||
        weir__env_load(&env, o.env) != WEIR_OK || (unsigned)o.format > WEIR_SPAN_FORMAT_OTLP ||
        (o.path != NULL ? o.path[0] == '\0' : o.fd < 0))
        return WEIR_EINVAL;
    weir_span_writer *const writer = weir__alloc(&env, sizeof *writer);
    if (writer == NULL)
        return WEIR_ENOMEM;
    writer->env = env;
    int const result = writer_load(writer, &o);
    int const error = errno;
    if (result == WEIR_OK)
        *out = writer;
    else
        weir_span_writer_destroy(writer);
    errno = error;
    return result;
}

void weir_span_writer_destroy(weir_span_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->path != NULL && writer->fd >= 0)
        (void)close(writer->fd);
    weir__text_free(&writer->text);
    weir_env const env = writer->env;
    weir__free(&env, writer->path, writer->paths);
    weir__free(&env, writer, sizeof *writer);
}
