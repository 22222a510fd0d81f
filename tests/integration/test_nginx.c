/* The sidecar before real nginx upstreams that stop, freeze, answer 500 at once, and return: no
 * client sees a failure, the sick are taken out, and each comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/sidecar_process.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define UPSTREAMS 3
#define CLIENTS   2
#define PATIENCE  2000 /* Looks at /status, with 10 requests before each. */

typedef struct nginx {
    char prefix[80];
    uint16_t port;
    pid_t process; /* Its master, which leads its group; 0 = none. */
} nginx;

typedef struct fixture {
    char root[64], config[96];
    nginx upstreams[UPSTREAMS];
    sidecar_process sidecar;
} fixture;

static fixture f;
static peer_reply reply;

/* ---- nginx ---- */

static const char *nginx_path(void)
{
    static const char *const places[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx",
                                         "/usr/bin/nginx", "/usr/local/bin/nginx",
                                         "/opt/homebrew/bin/nginx"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static uint16_t free_port(void)
{
    int const fd = peer_listen(0);
    assert_true(fd >= 0);
    uint16_t const port = peer_port(fd);
    (void)close(fd);
    return port;
}

/* All it writes is below its prefix, and it needs no rights. */
static void nginx_configure(const nginx *server, bool ill)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/nginx.conf", server->prefix);
    FILE *const out = fopen(path, "w");
    assert_non_null(out);
    (void)fprintf(out,
                  "daemon off;\nworker_processes 1;\npid %s/pid;\nerror_log %s/error.log;\n"
                  "events { worker_connections 256; }\n"
                  "http {\n  access_log off;\n  default_type text/plain;\n"
                  "  client_body_temp_path %s/body;\n  proxy_temp_path %s/proxy;\n"
                  "  fastcgi_temp_path %s/fastcgi;\n  uwsgi_temp_path %s/uwsgi;\n"
                  "  scgi_temp_path %s/scgi;\n"
                  "  server {\n    listen 127.0.0.1:%u;\n"
                  "    location / { return %s \"%u\\n\"; }\n  }\n}\n",
                  server->prefix, server->prefix, server->prefix, server->prefix, server->prefix,
                  server->prefix, server->prefix, server->port, ill ? "500" : "200", server->port);
    assert_int_equal(fclose(out), 0);
}

static void nginx_kill(nginx *server)
{
    if (server->process <= 0)
        return;
    (void)kill(-server->process, SIGKILL); /* Its own group: master and workers. */
    (void)waitpid(server->process, NULL, 0);
    server->process = 0;
}

/* Whether it serves now, and not somebody else on its port; if not, its process is gone. */
static bool nginx_wait(nginx *server)
{
    char says[16];
    (void)snprintf(says, sizeof says, "%u\n", server->port);
    for (int i = 0; i < 10000; i++) {
        if (peer_ask(server->port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &reply) == 200 &&
            strcmp(reply.body, says) == 0)
            return true;
        if (waitpid(server->process, NULL, WNOHANG) == server->process) {
            server->process = 0;
            return false;
        }
        (void)poll(NULL, 0, 1);
    }
    nginx_kill(server);
    return false;
}

static bool nginx_start(nginx *server)
{
    char config[128], log[128];
    (void)snprintf(config, sizeof config, "%s/nginx.conf", server->prefix);
    (void)snprintf(log, sizeof log, "%s/error.log", server->prefix);
    nginx_configure(server, false);
    server->process = fork();
    if (server->process == 0) {
        (void)setpgid(0, 0);
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* It does not outlive the test. */
#endif
        (void)freopen(log, "a", stderr);
        (void)execl(nginx_path(), "nginx", "-p", server->prefix, "-c", config, "-e", log,
                    (char *)NULL);
        _exit(127);
    }
    (void)setpgid(server->process, server->process); /* Whichever is first. */
    return server->process > 0 && nginx_wait(server);
}

static void nginx_signal_all(const nginx *server, int signal)
{
    assert_int_equal(kill(-server->process, signal), 0);
}

/* Politely, so that the master sees to its workers. */
static void nginx_end(nginx *server)
{
    if (server->process <= 0)
        return;
    (void)kill(-server->process, SIGCONT);
    (void)kill(server->process, SIGTERM);
    (void)waitpid(server->process, NULL, 0);
    server->process = 0;
}

/* A port that was free may be taken in between: then another one. */
static bool nginx_start_anywhere(nginx *server, int number)
{
    (void)snprintf(server->prefix, sizeof server->prefix, "%s/%d", f.root, number);
    if (mkdir(server->prefix, 0700) != 0)
        return false;
    for (int tries = 0; tries < 5; tries++) {
        server->port = free_port();
        if (nginx_start(server))
            return true;
    }
    return false;
}

/* ---- The sidecar ---- */

static void write_config(void)
{
    FILE *const out = fopen(f.config, "w");
    assert_non_null(out);
    (void)fprintf(out, "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\nservice s\nroute /s\n"
                       "balance round_robin\n"
                       "health http /healthz interval=200ms timeout=100ms fast=50ms rise=2 fall=2\n"
                       "retry attempts=5 base=1ms cap=5ms\n"
                       "breaker off\n"
                       "outlier consecutive=5 base=2s max=4s jitter=1ms share=50%%\n"
                       "timeout 10s\nattempt_timeout 300ms\nconnect_timeout 200ms\n");
    for (int i = 0; i < UPSTREAMS; i++)
        (void)fprintf(out, "member m%d 127.0.0.1:%u\n", i, f.upstreams[i].port);
    assert_int_equal(fclose(out), 0);
}

/* What nginx has made, and its folder. */
static int remove_prefix(const nginx *server)
{
    static const char *const names[] = {"nginx.conf", "error.log", "pid",   "body",
                                        "proxy",      "fastcgi",   "uwsgi", "scgi"};
    char path[128];
    if (server->prefix[0] == '\0')
        return 0; /* It was never made. */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", server->prefix, names[i]);
        (void)remove(path);
    }
    return rmdir(server->prefix);
}

static int setup(void **state)
{
    (void)state;
    f = (fixture){.root = "/tmp/weir-nginx-XXXXXX"};
    (void)alarm(90);
    (void)signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(f.root) == NULL)
        return -1;
    (void)snprintf(f.config, sizeof f.config, "%s/sidecar.conf", f.root);
    return 0;
}

/* Within the test, for what was started before something fails is ended by its teardown alone. */
static void start_all(void)
{
    for (int i = 0; i < UPSTREAMS; i++)
        assert_true(nginx_start_anywhere(&f.upstreams[i], i));
    write_config();
    sidecar_start(&f.sidecar, f.config);
}

static int teardown(void **state)
{
    (void)state;
    int left = 0;
    sidecar_kill(&f.sidecar);
    for (int i = 0; i < UPSTREAMS; i++) {
        nginx_end(&f.upstreams[i]);
        left |= remove_prefix(&f.upstreams[i]);
    }
    (void)alarm(0);
    (void)unlink(f.config);
    return rmdir(f.root) | left;
}

/* ---- Clients ---- */

static atomic_bool over;
static atomic_uint good, bad, cut;

static void count(int status)
{
    atomic_fetch_add(status == 200 ? &good : status == 0 ? &cut : &bad, 1);
}

/* Over one connection for as long as it lasts. */
static void *ask_on(void *arg)
{
    static const char request[] = "GET /s/x HTTP/1.1\r\nHost: sidecar\r\n\r\n";
    peer_reply *const mine = calloc(1, sizeof *mine);
    int fd = -1;
    (void)arg;
    while (mine != NULL && !atomic_load(&over)) {
        if (fd < 0)
            fd = peer_connect(f.sidecar.proxy);
        mine->status = 0;
        bool const whole =
            fd >= 0 && peer_send(fd, request, sizeof request - 1) && peer_read(fd, mine);
        count(mine->status);
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

static void ask(int times)
{
    for (int i = 0; i < times; i++)
        count(peer_ask(f.sidecar.proxy, "GET /s/x HTTP/1.1\r\nHost: x\r\n\r\n", &reply));
}

/* What /status says of a member, up to the next. */
static const char *member_status(int member)
{
    char name[32];
    static char text[1024];
    (void)snprintf(name, sizeof name, "{\"id\":\"m%d\"", member);
    assert_int_equal(peer_ask(f.sidecar.admin, "GET /status HTTP/1.1\r\nHost: x\r\n\r\n", &reply),
                     200);
    const char *const begin = strstr(reply.body, name);
    assert_non_null(begin);
    const char *const end = strstr(begin + 1, "{\"id\"");
    (void)snprintf(text, sizeof text, "%.*s", end != NULL ? (int)(end - begin) : (int)strlen(begin),
                   begin);
    return text;
}

static void until_member(int member, const char *says)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (strstr(member_status(member), says) != NULL)
            return;
        ask(10);
        (void)poll(NULL, 0, 2);
    }
    fail_msg("m%d is never %s: %s", member, says, member_status(member));
}

static unsigned long long completed_of(int member)
{
    unsigned long long completed = 0;
    const char *const field = strstr(member_status(member), "\"completed\":");
    assert_non_null(field);
    assert_int_equal(sscanf(field, "\"completed\":%llu", &completed), 1);
    return completed;
}

static void expect_out(int member)
{
    until_member(member, "\"health\":{\"state\":\"down\"");
    until_member(member, "\"unhealthy\"");
    until_member(member, "\"in_flight\":0"); /* Calls that it had when it fell ill are over. */
    unsigned long long const before = completed_of(member);
    ask(200);
    assert_int_equal(completed_of(member), before); /* It is asked nothing at all. */
}

static void expect_back(int member)
{
    until_member(member, "\"health\":{\"state\":\"up\"");
    until_member(member, "\"flags\":[]");
    unsigned long long const before = completed_of(member);
    for (int i = 0; i < PATIENCE && completed_of(member) < before + 20; i++)
        ask(10);
    assert_true(completed_of(member) >= before + 20); /* It serves again. */
}

/* ---- Illnesses ---- */

static void stop_and_return(int member)
{
    nginx *const server = &f.upstreams[member];
    nginx_kill(server);
    expect_out(member);
    assert_true(nginx_start(server)); /* On its port again. */
    expect_back(member);
}

static void freeze_and_thaw(int member)
{
    nginx_signal_all(&f.upstreams[member], SIGSTOP);
    expect_out(member);
    nginx_signal_all(&f.upstreams[member], SIGCONT);
    expect_back(member);
}

static void break_and_mend(int member)
{
    const nginx *const server = &f.upstreams[member];
    nginx_configure(server, true);
    assert_int_equal(kill(server->process, SIGHUP), 0);
    expect_out(member);
    nginx_configure(server, false);
    assert_int_equal(kill(server->process, SIGHUP), 0);
    expect_back(member);
}

/* Of all members, since they have been there. */
static unsigned long long ejections(void)
{
    static const char name[] = "\nweir_caller_ejections_total{";
    unsigned long long sum = 0, value = 0;
    assert_int_equal(peer_ask(f.sidecar.admin, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", &reply),
                     200);
    for (const char *at = strstr(reply.body, name); at != NULL; at = strstr(at + 1, name)) {
        assert_int_equal(sscanf(strstr(at, "} "), "} %llu", &value), 1);
        sum += value;
    }
    return sum;
}

/*
 * GET is safe to repeat, two upstreams are well throughout, and each answer is one packet, so that
 * none is cut in its midst: retries hide what happens until the checks have seen it.
 */
static void no_client_sees_upstreams_stop_freeze_fail_and_return(void **state)
{
    (void)state;
    pthread_t threads[CLIENTS];
    start_all();
    for (int i = 0; i < UPSTREAMS; i++)
        until_member(i, "\"health\":{\"state\":\"up\"");
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, NULL), 0);
    stop_and_return(0);
    freeze_and_thaw(1);
    break_and_mend(2);
    freeze_and_thaw(0);
    break_and_mend(1);
    stop_and_return(2);
    atomic_store(&over, true);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("%u requests answered, %llu ejections\n", atomic_load(&good), ejections());
    assert_true(ejections() > 0);
    assert_int_equal(atomic_load(&bad), 0);
    assert_int_equal(atomic_load(&cut), 0);
    assert_true(atomic_load(&good) > 1000);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_client_sees_upstreams_stop_freeze_fail_and_return, setup,
                                        teardown),
    };
    if (nginx_path() == NULL) {
        (void)puts("SKIPPED: test_nginx: there is no nginx (make deps)");
        return 0;
    }
    return cmocka_run_group_tests_name("nginx", tests, NULL, NULL);
}
