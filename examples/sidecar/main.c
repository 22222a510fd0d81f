/* A sidecar on weir: `sidecar FILE` proxies by the configuration in FILE until it is told to end.
 */
#include "demo.h"

#include <weir/gateway.h>
#include <weir/telemetry.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_NS       UINT64_C(10000000000) /* Then it ends, whatever still runs. */
#define LAST_NS        UINT64_C(3000000000)  /* Then the last spans are given up. */
#define MAX_FILE_BYTES (1 << 20)

typedef struct sidecar {
    const char *file;
    weir_loop *loop;
    weir_telemetry *telemetry;
    weir_gateway *gateway;
    weir_loop_timer *last_call;
    bool draining;
    bool uses_demo; /* The configuration names a demo upstream. */
    demo upstreams;
} sidecar;

/* ---- Configuration ---- */

static const char *variable(const char *name, void *user)
{
    sidecar *const s = user;
    const char *const value = demo_variable(&s->upstreams, name);
    s->uses_demo = s->uses_demo || value != NULL;
    return value != NULL ? value : getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread. */
}

static bool read_file(const char *file, char *text, size_t *size)
{
    FILE *const in = fopen(file, "rb");
    if (in == NULL) {
        perror(file);
        return false;
    }
    *size = fread(text, 1, MAX_FILE_BYTES, in);
    bool const whole = feof(in) != 0 && ferror(in) == 0;
    (void)fclose(in);
    if (!whole)
        (void)fprintf(stderr, "%s: cannot be read, or has more than %d bytes\n", file,
                      MAX_FILE_BYTES);
    return whole;
}

static void on_admin(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    demo_on_admin(exchange, request, &((sidecar *)user)->upstreams);
}

static void complain(const sidecar *s, int result, const weir_gateway_error *error)
{
    if (error->field[0] == '\0')
        (void)fprintf(stderr, "%s: %s\n", s->file, weir_strerror(result));
    else if (error->line == 0)
        (void)fprintf(stderr, "%s: %s: %s\n", s->file, error->field, error->message);
    else
        (void)fprintf(stderr, "%s:%u: %s: %s\n", s->file, error->line, error->field,
                      error->message);
}

/* What the config center or the registry has, and cannot be put in force. */
static void on_problem(const char *name, const char *message, void *user)
{
    (void)user;
    (void)fprintf(stderr, "%s: %s\n", name, message);
}

static void on_ignored(const char *name, const char *value, const char *reason, void *user)
{
    (void)user;
    (void)fprintf(stderr, "%s=%s is ignored: %s\n", name, value, reason);
}

static void on_telemetry(const char *message, void *user)
{
    (void)user;
    (void)fprintf(stderr, "telemetry: %s\n", message);
}

/* Spans and pushed metrics, as OTEL_... variables ask for them. */
static int start_telemetry(sidecar *s)
{
    weir_telemetry_options options = WEIR_TELEMETRY_OPTIONS_INIT;
    options.scope_name = "weir";
    options.source.on_ignored = on_ignored;
    options.on_warning = on_telemetry;
    return weir_telemetry_create(&s->telemetry, s->loop, &options);
}

/* Starts the gateway on the file, or puts the file in force if it runs already. */
static bool configure(sidecar *s)
{
    static char text[MAX_FILE_BYTES];
    size_t size;
    weir_gateway_config *config;
    weir_gateway_error error;
    if (!read_file(s->file, text, &size))
        return false;
    int result = weir_gateway_config_parse(&config, text, size, variable, s, NULL, &error);
    if (result == WEIR_OK && s->gateway != NULL) {
        result = weir_gateway_update(s->gateway, config, &error);
    } else if (result == WEIR_OK) {
        weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
        options.on_admin = on_admin;
        options.on_problem = on_problem;
        options.user = s;
        options.tracer = weir_telemetry_tracer(s->telemetry);
        options.formats = weir_telemetry_formats(s->telemetry);
        result = weir_gateway_create(&s->gateway, s->loop, config, &options, &error);
        if (result == WEIR_OK)
            result = weir_telemetry_push(s->telemetry, weir_gateway_get_metrics(s->gateway));
    }
    weir_gateway_config_destroy(config);
    if (result != WEIR_OK)
        complain(s, result, &error);
    return result == WEIR_OK;
}

/* ---- Signals: the handler writes to a pipe, the loop reads it ---- */

static int signal_pipe[2];

static void on_signal(int number)
{
    int const kept = errno;
    char const byte = (char)number;
    if (write(signal_pipe[1], &byte, 1) < 0)
        errno = kept; /* Full: as many signals are waiting already. */
    errno = kept;
}

static void on_told(int result, void *user)
{
    if (result != WEIR_OK)
        (void)fprintf(stderr, "telemetry: the last of it was lost: %s\n", weir_strerror(result));
    weir_loop_stop(((sidecar *)user)->loop);
}

/* At once, if it was told to stop before. */
static void stop(void *user)
{
    sidecar *const s = user;
    uint64_t const until_ns = weir_loop_now_ns(s->loop) + LAST_NS;
    if (weir_telemetry_shutdown(s->telemetry, until_ns, on_told, s) != WEIR_OK)
        weir_loop_stop(s->loop);
}

static void stop_late(uint64_t now_ns, void *user)
{
    (void)now_ns;
    (void)fprintf(stderr, "some requests did not end in time\n");
    stop(user);
}

static void end(sidecar *s)
{
    if (s->draining) {
        stop(s); /* Asked twice: at once. */
        return;
    }
    printf("draining\n");
    (void)fflush(stdout);
    s->draining = true;
    weir_loop_timer_set(s->last_call, weir_loop_now_ns(s->loop) + DRAIN_NS);
    weir_gateway_drain(s->gateway, stop, s);
}

static void on_signals(unsigned events, void *user)
{
    sidecar *const s = user;
    char number;
    (void)events;
    while (read(signal_pipe[0], &number, 1) == 1) {
        if (number != SIGHUP) {
            end(s);
        } else {
            bool const good = configure(s);
            printf(good ? "configuration reloaded\n" : "the old configuration stays in force\n");
            (void)fflush(stdout);
        }
    }
}

static bool watch_signals(sidecar *s)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
    weir_loop_watch *watch;
    if (pipe(signal_pipe) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        if (fcntl(signal_pipe[i], F_SETFL, O_NONBLOCK) != 0)
            return false;
    struct sigaction const ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGXFSZ, &ignore, NULL) != 0) /* A file too large is an error, and no end. */
        return false;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], &action, NULL) != 0)
            return false;
    return weir_loop_watch_create(&watch, s->loop, signal_pipe[0], WEIR_LOOP_READABLE, on_signals,
                                  s) == WEIR_OK;
}

/* ---- */

static void print_demo(const sidecar *s, const char *proxy, const char *admin)
{
    printf("  auth='Authorization: Bearer demo'     sidecar.conf's: or your own\n"
           "  curl http://%s/hello      answered by one of three upstreams\n"
           "  curl -H \"$auth\" -X POST http://%s/demo/sick\n"
           "      upstream 3 fails; go on calling /hello; /demo/well, and it is let back in\n"
           "  curl -H \"$auth\" -X PUT -d '2/m' http://%s/config/services/hello/limit\n"
           "      a policy, at once: the third call of a minute is 429; -X DELETE takes it away\n"
           "  curl -H \"$auth\" -X PUT -d '{\"host\":\"127.0.0.1\",\"port\":%u}' "
           "http://%s/services/hello/four\n"
           "      a fourth registers, and is called until its lease of 90 s is over\n",
           proxy, admin, admin, demo_port(&s->upstreams), admin);
}

static void print_what_to_try(const sidecar *s)
{
    char proxy[WEIR_ADDRESS_TEXT_SIZE], admin[WEIR_ADDRESS_TEXT_SIZE];
    const char *const auth = s->uses_demo ? "-H \"$auth\" " : "";
    weir_address const proxy_address = weir_gateway_address(s->gateway);
    weir_address const admin_address = weir_gateway_admin_address(s->gateway);
    weir_address_format(&proxy_address, proxy);
    weir_address_format(&admin_address, admin);
    printf("proxy on %s, admin on %s; try\n", proxy, admin);
    if (s->uses_demo)
        print_demo(s, proxy, admin);
    printf(
        "  curl %shttp://%s/status\n"
        "      members, breakers, limits, calls in flight; /metrics is the same for Prometheus,\n"
        "      /config and /services are all that is wanted, and all who are there\n"
        "  kill -HUP %ld      read %s again\n"
        "  kill %ld (or Ctrl-C)      finish what runs, and end\n",
        auth, admin, (long)getpid(), s->file, (long)getpid());
    (void)fflush(stdout);
}

static bool start(sidecar *s)
{
    int result = weir_loop_create(&s->loop, NULL);
    if (result == WEIR_OK)
        result = demo_start(&s->upstreams, s->loop);
    if (result == WEIR_OK)
        result = start_telemetry(s);
    if (result == WEIR_OK)
        result = weir_loop_timer_create(&s->last_call, s->loop, stop_late, s);
    if (result != WEIR_OK) {
        (void)fprintf(stderr, "sidecar: %s\n", weir_strerror(result));
        return false;
    }
    if (!watch_signals(s)) {
        perror("sidecar");
        return false;
    }
    return configure(s);
}

int main(int argc, char **argv)
{
    sidecar s = {.file = argc == 2 ? argv[1] : NULL};
    if (s.file == NULL) {
        (void)fprintf(stderr, "usage: %s CONFIGURATION\n", argv[0]);
        return 2;
    }
    bool const started = start(&s);
    if (started) {
        print_what_to_try(&s);
        (void)weir_loop_run(s.loop);
    }
    weir_gateway_destroy(s.gateway); /* Its requests end their spans. */
    weir_telemetry_destroy(s.telemetry);
    demo_stop(&s.upstreams);
    weir_loop_timer_destroy(s.last_call);
    weir_loop_destroy(s.loop);
    return started ? 0 : 1;
}
