/* Finished spans as lines: for people, on stdout, and as OTLP JSON, in a file that is read back. */
#include <weir/span_writer.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void tell(void *token, int result, size_t rejected)
{
    (void)token, (void)rejected;
    if (result != WEIR_OK)
        printf("not written: %s\n", weir_strerror(result));
}

/* A tracer does this; see tracer.h. */
static int write_batch(const weir_span_batch *batch, weir_span_format format, const char *path)
{
    weir_span_writer *writer;
    weir_span_writer_options options = WEIR_SPAN_WRITER_OPTIONS_INIT;
    options.format = format;
    options.path = path;
    options.fd = STDOUT_FILENO;
    if (weir_span_writer_create(&writer, &options) != WEIR_OK)
        return 1;
    weir_span_exporter const exporter = weir_span_writer_exporter(writer);
    exporter.export_spans(exporter.self, batch, WEIR_NEVER, tell, NULL);
    weir_span_writer_destroy(writer);
    return 0;
}

int main(void)
{
    char path[64], line[2048];
    weir_attribute const attributes[] = {weir_attribute_string("http.route", "/orders/{id}"),
                                         weir_attribute_int("http.response.status_code", 503)};
    weir_span_data const span = {.context = {.trace_id = {0x4b, 0xf9}, .span_id = {0xf0, 0x67}},
                                 .kind = WEIR_SPAN_SERVER,
                                 .status = WEIR_SPAN_ERROR,
                                 .status_message = "no \033[1mstock\033[0m",
                                 .name = "GET /orders/{id}",
                                 .start_ns = 1544712660000000000,
                                 .end_ns = 1544712660012345678,
                                 .attributes = attributes,
                                 .attribute_count = 2};
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = {.spans = spans, .count = 1};
    (void)snprintf(path, sizeof path, "/tmp/weir-example-spans-%ld", (long)getpid());
    if (write_batch(&batch, WEIR_SPAN_FORMAT_TEXT, NULL) != 0 ||
        write_batch(&batch, WEIR_SPAN_FORMAT_OTLP, path) != 0)
        return 1;
    FILE *const file = fopen(path, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        return 1;
    printf("%s", line);
    (void)fclose(file);
    return unlink(path) != 0;
}
