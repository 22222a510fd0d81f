/* The sidecar as a process: real clients, real upstreams that die, reloads, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/sidecar_process.h"

#include <fcntl.h>
#include <stdatomic.h>

#define CONNECTIONS 32
#define REQUESTS    10000

typedef struct fixture {
    char file[64];
    sidecar_process sidecar;
    peer_upstream upstreams[3];
} fixture;

static fixture f;
static peer_reply reply;

/* The upstreams with a bit in `members` are configured. */
static void write_config_of(const char *service_lines, unsigned members, unsigned weight)
{
    FILE *const out = fopen(f.file, "w");
    assert_non_null(out);
    fprintf(out,
            "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\nmax_header 1k\nmax_body 4k\n"
            "service s\nroute /s\n%s",
            service_lines);
    for (unsigned i = 0; i < 3; i++)
        if ((members >> i & 1) != 0)
            fprintf(out, "member m%u 127.0.0.1:%u weight=%u\n", i, f.upstreams[i].port,
                    i == 0 ? weight : 1);
    assert_int_equal(fclose(out), 0);
}

static void write_config(const char *service_lines)
{
    write_config_of(service_lines, 7, 1);
}

static int setup(void **state)
{
    (void)state;
    f = (fixture){.file = "/tmp/weir-sidecar-XXXXXX"};
    (void)alarm(90);
    int const fd = mkstemp(f.file);
    if (fd < 0 || close(fd) != 0)
        return -1;
    for (int i = 0; i < 3; i++)
        if (!peer_start(&f.upstreams[i]))
            return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sidecar_kill(&f.sidecar);
    for (int i = 0; i < 3; i++)
        peer_kill(&f.upstreams[i]);
    (void)alarm(0);
    return unlink(f.file);
}

static int get(const char *path)
{
    char request[512];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    return peer_ask(f.sidecar.proxy, request, &reply);
}

static int admin(const char *method, const char *path)
{
    char request[512];
    (void)snprintf(request, sizeof request,
                   "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo\r\n"
                   "Content-Length: 0\r\n\r\n",
                   method, path);
    return peer_ask(f.sidecar.admin, request, &reply);
}

/* Of the samples of the latest page that begin so. */
static unsigned long long sum_of(const char *sample)
{
    unsigned long long sum = 0, value = 0;
    for (const char *at = strstr(reply.body, sample); at != NULL; at = strstr(at + 1, sample)) {
        assert_int_equal(sscanf(strstr(at, "} "), "} %llu", &value), 1);
        sum += value;
    }
    return sum;
}

/* ---- 10,000 requests ---- */

typedef struct load {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned started, finished, good, bad_gateway, other, cut;
} load;

static load l;

static void count_reply(int status)
{
    pthread_mutex_lock(&l.lock);
    l.finished++;
    l.good += status == 200;
    l.bad_gateway += status == 502;
    l.cut += status == 0;
    l.other += status != 200 && status != 502 && status != 0;
    pthread_cond_signal(&l.changed);
    pthread_mutex_unlock(&l.lock);
}

static bool next_request(void)
{
    pthread_mutex_lock(&l.lock);
    bool const more = l.started < REQUESTS;
    l.started += more;
    pthread_mutex_unlock(&l.lock);
    return more;
}

static void *ask_often(void *arg)
{
    static const char request[] = "GET /s/x HTTP/1.1\r\nHost: sidecar\r\n\r\n";
    peer_reply *const mine = calloc(1, sizeof *mine);
    int fd = -1;
    (void)arg;
    while (mine != NULL && next_request()) {
        if (fd < 0)
            fd = peer_connect(f.sidecar.proxy);
        mine->status = 0;
        bool const whole =
            fd >= 0 && peer_send(fd, request, sizeof request - 1) && peer_read(fd, mine);
        count_reply(mine->status);
        if (!whole && fd >= 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        (void)close(fd);
    free(mine);
    return NULL;
}

static void wait_for_finished(unsigned count)
{
    pthread_mutex_lock(&l.lock);
    while (l.finished < count)
        pthread_cond_wait(&l.changed, &l.lock);
    pthread_mutex_unlock(&l.lock);
}

/* A reload every thousand, of members, weights, limits and more; in the midst of it the second
 * upstream dies, and later returns. */
static void disturb(void)
{
    char line[256], lines[256];
    for (unsigned i = 1; i <= 10; i++) {
        wait_for_finished(i * REQUESTS / 11);
        if (i == 3)
            peer_kill(&f.upstreams[1]);
        if (i == 6)
            assert_true(peer_start(&f.upstreams[1]));
        (void)snprintf(
            lines, sizeof lines,
            "balance least_request\nretry attempts=%u base=1ms cap=5ms\nlimit %u/s burst=%u\n"
            "breaker consecutive=3 rest=50ms probes=1\ntimeout %us\n",
            3 + i % 2, 1000000 + i, 100000 + i, 10 + i);
        write_config_of(lines, i == 4 || i == 8 ? 3 : 7, i); /* The third comes and goes. */
        assert_int_equal(kill(f.sidecar.process, SIGHUP), 0);
        sidecar_expect_line(&f.sidecar, "configuration reloaded", line, sizeof line);
    }
}

/*
 * GET is safe to repeat, two upstreams are well throughout, and each answer is one packet, so that
 * none is cut in its midst, which no retry could hide: the policy leaves no failure to be seen.
 */
static void
loses_no_request_while_an_upstream_dies_and_returns_and_the_file_is_reloaded(void **state)
{
    (void)state;
    pthread_t threads[CONNECTIONS];
    l = (load){.started = 0};
    assert_int_equal(pthread_mutex_init(&l.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&l.changed, NULL), 0);
    write_config("balance least_request\nretry attempts=3 base=1ms cap=5ms\n"
                 "breaker consecutive=3 rest=50ms probes=1\ntimeout 10s\n");
    sidecar_start(&f.sidecar, f.file);
    for (int i = 0; i < CONNECTIONS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    disturb();
    for (int i = 0; i < CONNECTIONS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(l.finished, REQUESTS);
    assert_int_equal(l.other, 0);
    assert_int_equal(l.bad_gateway, 0);
    assert_int_equal(l.cut, 0);
    assert_int_equal(l.good, REQUESTS);
    assert_int_equal(admin("GET", "/metrics"), 200);
    assert_int_equal(sum_of("weir_caller_call_duration_seconds_count{weir_service=\"s\","
                            "weir_outcome=\"success\"}"),
                     REQUESTS);
    assert_true(sum_of("weir_caller_attempt_duration_seconds_count{weir_service=\"s\","
                       "weir_member=\"m1\",weir_outcome=\"failure\"}") > 0);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* ---- What a client gets ---- */

static void each_kind_of_trouble_has_its_status(void **state)
{
    (void)state;
    char value[64];
    static char long_request[3000], large_request[200];
    write_config("breaker off\nattempt_timeout 100ms\ntimeout 1s\n");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(get("/nowhere"), 404);
    assert_int_equal(get("/sx"), 404); /* Not a whole segment of the route. */
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s?q"), 200);
    assert_int_equal(get("/s/5"), 500); /* The upstream's own answer. */
    assert_string_equal(reply.body, "broken\n");
    assert_int_equal(get("/s/k"), 502);
    assert_int_equal(get("/s/t"), 504);
    assert_int_equal(peer_ask(f.sidecar.proxy, "GET /s HTTP/1.1\r\n\r\n", &reply), 400);
    assert_int_equal(peer_ask(f.sidecar.proxy, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", &reply),
                     501);
    assert_int_equal(
        peer_ask(f.sidecar.proxy,
                 "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", &reply),
        501);
    (void)snprintf(large_request, sizeof large_request,
                   "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
    assert_int_equal(peer_ask(f.sidecar.proxy, large_request, &reply), 413);
    (void)snprintf(long_request, sizeof long_request,
                   "GET /s HTTP/1.1\r\nHost: x\r\nX-Long: %02000d\r\n\r\n", 1);
    assert_int_equal(peer_ask(f.sidecar.proxy, long_request, &reply), 431);
    for (int i = 0; i < 3; i++)
        peer_kill(&f.upstreams[i]);
    assert_int_equal(get("/s"), 502);
    assert_false(peer_header(&reply, "Retry-After", value, sizeof value));
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

static void over_the_limit_and_with_nobody_able_it_says_when_to_come_back(void **state)
{
    (void)state;
    char value[64];
    write_config("limit 1/h burst=4\nbreaker consecutive=1 rest=50s rest_max=50s\n");
    sidecar_start(&f.sidecar, f.file);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get("/s/5"), 500);
    assert_int_equal(get("/s"), 503);
    assert_true(peer_header(&reply, "Retry-After", value, sizeof value));
    assert_in_range(strtol(value, NULL, 10), 40, 50); /* 50 s, up to a tenth of jitter. */
    assert_int_equal(admin("GET", "/status"), 200);
    assert_non_null(strstr(reply.body, "\"state\":\"open\""));
    assert_non_null(strstr(reply.body, "\"remaining\":1"));
    write_config("limit 1/h burst=3\nbreaker off\n");
    char line[256];
    assert_int_equal(kill(f.sidecar.process, SIGHUP), 0);
    sidecar_expect_line(&f.sidecar, "configuration reloaded", line, sizeof line);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
    sidecar_start(&f.sidecar, f.file);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s"), 429);
    assert_true(peer_header(&reply, "Retry-After", value, sizeof value));
    assert_in_range(strtol(value, NULL, 10), 3590, 3600);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

static void forwards_headers_as_a_proxy_must(void **state)
{
    (void)state;
    write_config("");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(peer_ask(f.sidecar.proxy,
                              "GET /s/e HTTP/1.1\r\nHost: shop\r\nConnection: close, X-Secret\r\n"
                              "X-Secret: 1\r\nUpgrade: h2c\r\nX-Forwarded-For: 9.9.9.9\r\n"
                              "X-Request-Id: abc\r\nX-Kept: yes\r\n\r\n",
                              &reply),
                     200);
    assert_non_null(strstr(reply.body, "GET /s/e HTTP/1.1\r\n"));
    assert_non_null(strstr(reply.body, "Host: shop\r\n"));
    assert_non_null(strstr(reply.body, "X-Kept: yes\r\n"));
    assert_non_null(strstr(reply.body, "X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n"));
    assert_non_null(strstr(reply.body, "X-Forwarded-Proto: http\r\n"));
    assert_non_null(strstr(reply.body, "X-Request-Id: abc\r\n"));
    assert_null(strstr(reply.body, "X-Secret"));
    assert_null(strstr(reply.body, "pgrade"));
    assert_int_equal(get("/s/e"), 200);
    assert_non_null(strstr(reply.body, "X-Request-Id: "));
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

static void a_request_that_is_not_safe_to_repeat_is_sent_once(void **state)
{
    (void)state;
    write_config("breaker off\nretry attempts=3 base=1ms cap=1ms\n");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(peer_ask(f.sidecar.proxy,
                              "POST /s/k HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &reply),
                     502);
    assert_int_equal(admin("GET", "/metrics"), 200);
    assert_int_equal(sum_of("weir_caller_attempt_duration_seconds_count{"), 1);
    assert_int_equal(get("/s/k"), 502);
    assert_int_equal(admin("GET", "/metrics"), 200);
    assert_int_equal(sum_of("weir_caller_attempt_duration_seconds_count{"), 4);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* ---- What it tells ---- */

static void the_environment_asks_for_traces(void **state)
{
    static const char trace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
    char line[2048];
    unsigned clients = 0, servers = 0;
    (void)state;
    write_config("breaker off\n");
    assert_int_equal(setenv("OTEL_TRACES_EXPORTER", "console", 1), 0);
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(unsetenv("OTEL_TRACES_EXPORTER"), 0);
    assert_int_equal(peer_ask(f.sidecar.proxy,
                              "GET /s/e HTTP/1.1\r\nHost: x\r\nTraceparent: "
                              "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
                              &reply),
                     200);
    assert_non_null(strstr(reply.body, trace));
    assert_null(strstr(reply.body, "00f067aa0ba902b7"));
    assert_int_equal(kill(f.sidecar.process, SIGTERM), 0); /* What waits is told at the end. */
    while (fgets(line, sizeof line, f.sidecar.out) != NULL) {
        clients += strstr(line, trace) != NULL && strstr(line, " client \"GET\"") != NULL;
        servers += strstr(line, trace) != NULL && strstr(line, " server \"GET /s\"") != NULL;
    }
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

static void promtool_accepts_the_page_of_metrics(void **state)
{
    (void)state;
    if (system("command -v promtool > /dev/null") != 0) {
        printf("SKIPPED: what promtool reads in /metrics: it is not installed (make deps)\n");
        skip();
    }
    write_config("breaker consecutive=3\nlimit 100/s\nretry attempts=2 base=1ms cap=1ms\n");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(get("/s/e"), 200);
    assert_int_equal(get("/s/k"), 502);
    assert_int_equal(get("/nowhere"), 404);
    assert_int_equal(admin("GET", "/metrics"), 200);
    FILE *const promtool = popen("timeout 60 promtool check metrics 2>&1", "w");
    assert_non_null(promtool);
    assert_int_equal(fwrite(reply.body, 1, strlen(reply.body), promtool), strlen(reply.body));
    assert_int_equal(pclose(promtool), 0);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* ---- Its life ---- */

static void a_bad_file_starts_nothing_and_a_bad_reload_changes_nothing(void **state)
{
    (void)state;
    char line[256];
    int status = -1;
    write_config("");
    sidecar_start(&f.sidecar, f.file);
    write_config("limit often\n");
    assert_int_equal(kill(f.sidecar.process, SIGHUP), 0);
    sidecar_expect_line(&f.sidecar, f.file, line, sizeof line);
    assert_non_null(strstr(line, ":7: limit: \"often\": expected COUNT/s"));
    sidecar_expect_line(&f.sidecar, "the old configuration stays in force", line, sizeof line);
    assert_int_equal(get("/s"), 200);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
    pid_t const child = fork();
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)execl(sidecar_path(), "sidecar", f.file, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void the_demo_upstream_is_shut_out_when_sick_and_let_back_in(void **state)
{
    (void)state;
    write_config("");
    FILE *const out = fopen(f.file, "w");
    assert_non_null(out);
    fprintf(out, "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\ntoken demo\nservice hello\nroute /hello\n"
                 "member one ${DEMO_1}\nmember two ${DEMO_3}\n"
                 "breaker consecutive=2 rest=1ms rest_max=1ms probes=1\n"
                 "retry attempts=2 base=0 cap=0\n");
    assert_int_equal(fclose(out), 0);
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(admin("GET", "/healthz"), 200);
    assert_int_equal(admin("GET", "/readyz"), 200);
    assert_int_equal(admin("GET", "/demo/sick"), 405);
    assert_int_equal(admin("POST", "/demo/sick"), 200);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(get("/hello"), 200);
        assert_string_equal(reply.body, "hello from upstream 1\n");
    }
    assert_int_equal(admin("GET", "/metrics"), 200);
    assert_true(sum_of("weir_caller_attempt_duration_seconds_count{weir_service=\"hello\","
                       "weir_member=\"two\",weir_outcome=\"failure\"}") > 0);
    assert_int_equal(admin("POST", "/demo/well"), 200);
    int served = 0;
    for (int i = 0; i < 2000 && served == 0; i++) {
        assert_int_equal(get("/hello"), 200);
        served += strcmp(reply.body, "hello from upstream 3\n") == 0;
    }
    assert_int_equal(served, 1);
    assert_int_equal(admin("GET", "/nothing"), 404);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* A request that hangs in the upstream runs while it drains; a second signal ends it at once. */
static void draining_turns_readiness_off_and_finishes_what_runs(void **state)
{
    (void)state;
    char line[256];
    int status = -1;
    write_config("attempt_timeout 700ms\n");
    sidecar_start(&f.sidecar, f.file);
    int const fd = peer_connect(f.sidecar.proxy);
    assert_true(fd >= 0);
    static const char hangs[] = "GET /s/t HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(peer_send(fd, hangs, sizeof hangs - 1));
    do
        assert_int_equal(admin("GET", "/status"), 200);
    while (strstr(reply.body, "\"ready\",\"in_flight\":1") == NULL);
    assert_int_equal(kill(f.sidecar.process, SIGTERM), 0);
    sidecar_expect_line(&f.sidecar, "draining", line, sizeof line);
    assert_int_equal(admin("GET", "/readyz"), 503);
    assert_true(peer_read(fd, &reply)); /* Its own end: the attempt's timeout. */
    assert_int_equal(reply.status, 504);
    assert_int_equal(close(fd), 0);
    assert_int_equal(waitpid(f.sidecar.process, &status, 0), f.sidecar.process);
    assert_int_equal(status, 0);
    f.sidecar.process = 0;
    (void)fclose(f.sidecar.out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loses_no_request_while_an_upstream_dies_and_returns_and_the_file_is_reloaded),
        TEST(each_kind_of_trouble_has_its_status),
        TEST(over_the_limit_and_with_nobody_able_it_says_when_to_come_back),
        TEST(forwards_headers_as_a_proxy_must),
        TEST(a_request_that_is_not_safe_to_repeat_is_sent_once),
        TEST(the_environment_asks_for_traces),
        TEST(promtool_accepts_the_page_of_metrics),
        TEST(a_bad_file_starts_nothing_and_a_bad_reload_changes_nothing),
        TEST(the_demo_upstream_is_shut_out_when_sick_and_let_back_in),
        TEST(draining_turns_readiness_off_and_finishes_what_runs),
    };
    if (access(sidecar_path(), X_OK) != 0) {
        printf("SKIPPED: %s is not built\n", sidecar_path());
        return 0;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("sidecar", tests, NULL, NULL);
}
