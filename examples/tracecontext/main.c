/*
 * The service that the W3C's validation suite for Trace Context drives: POST /test with a JSON array
 * of {"url", "arguments"} has it post each `arguments` to its `url`, in the trace that the request
 * came with, and answer when all are done. `tracecontext [ADDRESS]` listens on 127.0.0.1:5000.
 */
#include "json.h"

#include <weir/instrument.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BODY  10485760
#define MAX_POSTS 1000
#define MAX_URL   1024
#define POST_NS   UINT64_C(10000000000)

static weir_loop *loop;
static weir_http_client *client;
static weir_instrument *instrument;

struct job;

/* One element of the array. */
typedef struct post {
    struct job *job;
    char url[MAX_URL];
    json_text arguments; /* In the job's body. */
    weir_http_call *call;
    weir_client_call made;
    int status;
} post;

/* A request to /test. */
typedef struct job {
    weir_http_exchange *exchange;
    weir_server_call served;
    char *body;
    size_t size, room;
    post *posts;
    size_t count, left; /* Of posts; and of those, not over. */
    const char *failed; /* The URL of one that did not go well. */
    bool gone;          /* So is the client. */
} job;

static void job_end(job *j, int status, const char *text, const char *detail)
{
    char answer[MAX_URL + 64];
    int const size = snprintf(answer, sizeof answer, "%s%s\n", text, detail);
    if (j->gone)
        (void)weir_http_exchange_finish(j->exchange);
    else
        (void)weir_http_exchange_respond(j->exchange, status, "text/plain", answer, (size_t)size);
    weir_instrument_served(&j->served, status, NULL, weir_loop_now_ns(loop));
    free(j->posts);
    free(j->body);
    free(j);
}

/* ---- What it posts ---- */

static void post_over(post *p, const char *error)
{
    job *const j = p->job;
    weir_instrument_called(&p->made, p->status, error, weir_loop_now_ns(loop));
    if (error != NULL || p->status >= 400)
        j->failed = p->url;
    if (--j->left > 0)
        return;
    if (j->failed != NULL)
        job_end(j, 502, "not done: ", j->failed);
    else
        job_end(j, 200, "done", "");
}

static void on_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    ((post *)user)->status = response->status;
}

static void on_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    post_over(user, result->code == WEIR_OK ? NULL : result->reason);
}

/* "http://127.0.0.1:7777/path": who that is, and what to ask there. */
static bool split_url(const char *url, weir_address *address, weir_http_slice *target)
{
    static const char scheme[] = "http://", local[] = "localhost";
    char text[WEIR_ADDRESS_TEXT_SIZE + sizeof local];
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    url += sizeof scheme - 1;
    size_t const size = strcspn(url, "/?#");
    bool const here = strncmp(url, local, sizeof local - 1) == 0;
    size_t const skip = here ? sizeof local - 1 : 0;
    (void)snprintf(text, sizeof text, "%s%.*s", here ? "127.0.0.1" : "", (int)(size - skip),
                   url + skip);
    *target = url[size] == '/' ? (weir_http_slice){url + size, strcspn(url + size, "#")}
                               : weir_http_str("/");
    return size < sizeof text && weir_address_parse(address, text) == WEIR_OK;
}

/* WEIR_OK: it will be over later. */
static int post_start(post *p)
{
    static const weir_http_call_events events = {.on_head = on_head, .on_done = on_done};
    weir_http_header headers[WEIR_CLIENT_CALL_HEADERS + 2] = {
        {weir_http_str("Content-Type"), weir_http_str("application/json")}};
    weir_http_call_options options = WEIR_HTTP_CALL_OPTIONS_INIT;
    weir_address address;
    weir_http_slice target;
    if (!split_url(p->url, &address, &target))
        return WEIR_EINVAL;
    char host[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&address, host);
    weir_client_call_info const info = {.parent = &p->job->served.span.context,
                                        .method = weir_http_str("POST"),
                                        .path = target,
                                        .address = &address,
                                        .attempt = 1};
    weir_instrument_call(instrument, &p->made, &info, weir_loop_now_ns(loop));
    headers[1] = (weir_http_header){weir_http_str("Host"), weir_http_str(host)};
    memcpy(headers + 2, p->made.headers, p->made.header_count * sizeof headers[0]);
    weir_http_request const request = {.method = info.method,
                                       .target = target,
                                       .headers = headers,
                                       .header_count = p->made.header_count + 2,
                                       .body_size = p->arguments.size};
    options.deadline_ns = weir_loop_now_ns(loop) + POST_NS;
    int const result =
        weir_http_call_start(&p->call, client, &address, &options, &request, &events, p);
    if (result != WEIR_OK) {
        weir_instrument_called(&p->made, 0, weir_strerror(result), weir_loop_now_ns(loop));
        return result;
    }
    if (weir_http_call_write(p->call, p->arguments.data, p->arguments.size) == WEIR_OK)
        (void)weir_http_call_finish(p->call);
    return WEIR_OK; /* What went wrong is told by on_done. */
}

/* ---- What it is asked ---- */

static void read_element(json *text, post *p)
{
    json_text url = {"", 0};
    p->arguments = (json_text){"[]", 2};
    json_open(text, '{');
    for (size_t i = 0; json_more(text, '}', i); i++) {
        json_text const name = json_name(text);
        json_text const value = json_value(text);
        if (name.size == 3 && memcmp(name.data, "url", 3) == 0)
            url = value;
        else if (name.size == 9 && memcmp(name.data, "arguments", 9) == 0)
            p->arguments = value;
    }
    text->failed = text->failed || !json_string(url, p->url, sizeof p->url);
}

static bool read_body(job *j)
{
    json text = {j->body, j->body + j->size, false};
    json_open(&text, '[');
    while (json_more(&text, ']', j->count)) {
        if (j->count == MAX_POSTS)
            return false;
        post *const more = realloc(j->posts, (j->count + 1) * sizeof *more);
        if (more == NULL)
            return false;
        j->posts = more;
        memset(&more[j->count], 0, sizeof *more);
        read_element(&text, &more[j->count++]);
    }
    return json_end(&text);
}

static void on_end(weir_http_exchange *exchange, void *user)
{
    job *const j = user;
    (void)exchange;
    if (!read_body(j)) {
        job_end(j, 400, "not an array of {\"url\", \"arguments\"}", "");
        return;
    }
    size_t const count = j->count;
    j->left = count + 1; /* One for this, so that it is not over before all have begun. */
    for (size_t i = 0; i < count; i++) {
        j->posts[i].job = j;
        if (post_start(&j->posts[i]) != WEIR_OK) {
            j->failed = j->posts[i].url;
            j->left--;
        }
    }
    if (--j->left == 0)
        job_end(j, j->failed != NULL ? 502 : 200, j->failed != NULL ? "not done: " : "done",
                j->failed != NULL ? j->failed : "");
}

static void on_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    job *const j = user;
    (void)exchange;
    if (j->room - j->size < size) {
        size_t const room = 2 * (j->size + size);
        char *const more = realloc(j->body, room);
        if (more == NULL)
            abort(); /* A program to be tested with, and nothing else. */
        j->body = more;
        j->room = room;
    }
    memcpy(j->body + j->size, data, size);
    j->size += size;
}

/* What it has posted goes on, and is waited for. */
static void on_abort(weir_http_exchange *exchange, int code, void *user)
{
    job *const j = user;
    (void)exchange;
    (void)code;
    j->gone = true;
    if (j->left == 0)
        job_end(j, 0, "", "");
}

static void on_request(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    static const weir_http_exchange_events events = {.on_body = on_body,
                                                     .on_end = on_end,
                                                     .on_abort = on_abort};
    static const char refusal[] = "POST to /test\n";
    (void)user;
    if (!weir_http_equals(request->method, "POST") || !weir_http_equals(request->path, "/test")) {
        (void)weir_http_exchange_respond(exchange, 404, "text/plain", refusal, sizeof refusal - 1);
        return;
    }
    job *const j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->exchange = exchange;
    weir_address const peer = weir_http_exchange_peer(exchange);
    weir_instrument_serve(instrument, &j->served, request, "/test", &peer, weir_loop_now_ns(loop));
    weir_http_exchange_handle(exchange, &events, j);
}

/* ---- The program ---- */

static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

int main(int argc, char **argv)
{
    weir_tracer *tracer;
    weir_http_server *server;
    weir_http_server_options serving = WEIR_HTTP_SERVER_OPTIONS_INIT;
    weir_instrument_options tracing = WEIR_INSTRUMENT_OPTIONS_INIT;
    struct sigaction const action = {.sa_handler = on_signal};
    serving.address = argc > 1 ? argv[1] : "127.0.0.1:5000";
    serving.on_request = on_request;
    serving.max_body_bytes = MAX_BODY;
    if (weir_loop_create(&loop, NULL) || weir_http_client_create(&client, loop, NULL) ||
        weir_tracer_create(&tracer, NULL))
        return 1;
    tracing.tracer = tracer; /* Without an exporter: ids and contexts. */
    if (weir_instrument_create(&instrument, &tracing))
        return 1;
    if (weir_http_server_create(&server, loop, &serving)) {
        perror(serving.address);
        return 1;
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    char address[WEIR_ADDRESS_TEXT_SIZE];
    weir_address const bound = weir_http_server_address(server);
    weir_address_format(&bound, address);
    printf("tracecontext %s\n", address);
    (void)fflush(stdout);
    return weir_loop_run(loop) == WEIR_OK ? 0 : 1;
}
