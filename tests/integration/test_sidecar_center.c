/* The sidecar as a process, told over HTTP what to do, and who is there: by operators, and by
 * programs in other languages; and what of that outlives a SIGKILL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/sidecar_process.h"
#include "support/store_folder.h"

#define TOKEN "s3cret"

typedef struct fixture {
    char file[64];
    sidecar_process sidecar;
    peer_upstream upstream;
} fixture;

static fixture f;
static peer_reply reply;

static void write_config(const char *text)
{
    FILE *const out = fopen(f.file, "w");
    assert_non_null(out);
    fprintf(out, "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\n%s", text);
    assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
    (void)state;
    f = (fixture){.file = "/tmp/weir-sidecar-XXXXXX"};
    (void)alarm(60);
    int const fd = mkstemp(f.file);
    return fd >= 0 && close(fd) == 0 && peer_start(&f.upstream) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sidecar_kill(&f.sidecar);
    peer_kill(&f.upstream);
    store_folder_remove();
    (void)alarm(0);
    return unlink(f.file);
}

static int get(const char *path)
{
    char request[256];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    return peer_ask(f.sidecar.proxy, request, &reply);
}

static int ask(const char *token, const char *method, const char *path, const char *body)
{
    char request[1024], authorization[128] = "";
    if (token != NULL)
        (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s\r\n", token);
    (void)snprintf(request, sizeof request,
                   "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", method, path,
                   authorization, strlen(body), body);
    return peer_ask(f.sidecar.admin, request, &reply);
}

static int admin(const char *method, const char *path, const char *body)
{
    return ask(TOKEN, method, path, body);
}

static int enter(const char *path)
{
    char body[96];
    (void)snprintf(body, sizeof body, "{\"host\":\"127.0.0.1\",\"port\":%u}", f.upstream.port);
    return admin("PUT", path, body);
}

/* ---- Who may ---- */

static void without_a_token_the_admin_port_only_answers_reads(void **state)
{
    (void)state;
    write_config("");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(ask(NULL, "GET", "/status", ""), 200);
    assert_int_equal(ask(NULL, "GET", "/services", ""), 200);
    assert_int_equal(ask(NULL, "PUT", "/config/a", "1"), 403);
    assert_int_equal(ask(NULL, "PUT", "/services/s/one", "{}"), 403);
    assert_int_equal(ask(NULL, "POST", "/demo/sick", ""), 403);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

static void with_a_token_only_who_knows_it_is_answered(void **state)
{
    (void)state;
    char line[256];
    write_config("token " TOKEN "\n");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(ask(NULL, "GET", "/healthz", ""), 200);
    assert_int_equal(ask(NULL, "GET", "/readyz", ""), 200);
    assert_int_equal(ask(NULL, "GET", "/status", ""), 401);
    assert_int_equal(ask("wrong", "GET", "/config", ""), 401);
    assert_int_equal(ask("s3cre", "PUT", "/config/a", "1"), 401);
    assert_int_equal(admin("PUT", "/config/a", "1"), 201);
    write_config("token other\n");
    assert_int_equal(kill(f.sidecar.process, SIGHUP), 0);
    sidecar_expect_line(&f.sidecar, "configuration reloaded", line, sizeof line);
    assert_int_equal(admin("GET", "/config/a", ""), 401);
    assert_int_equal(ask("other", "GET", "/config/a", ""), 200);
    assert_string_equal(reply.body, "1");
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* ---- What it is told ---- */

static void a_whole_service_is_made_over_http(void **state)
{
    (void)state;
    write_config("token " TOKEN "\n");
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(get("/orders"), 404);
    assert_int_equal(admin("PUT", "/config/services/orders/route", "/orders"), 201);
    assert_int_equal(get("/orders"), 503);
    assert_int_equal(enter("/services/orders/one"), 204);
    assert_int_equal(get("/orders"), 200);
    assert_int_equal(admin("POST", "/services/orders/one/heartbeat", ""), 204);
    assert_int_equal(admin("POST", "/services/orders/two/heartbeat", ""), 404);
    assert_int_equal(admin("GET", "/services", ""), 200);
    assert_non_null(strstr(reply.body, "\"orders\""));
    assert_int_equal(admin("PUT", "/config/services/orders/limit", "1/h burst=1"), 201);
    assert_int_equal(get("/orders"), 200);
    assert_int_equal(get("/orders"), 429);
    assert_int_equal(admin("PUT", "/config/services/orders/limit", "often"), 400);
    assert_non_null(strstr(reply.body, "limit: \"often\""));
    assert_int_equal(admin("DELETE", "/config/services/orders/limit", ""), 200);
    assert_int_equal(get("/orders"), 200);
    assert_int_equal(admin("PUT", "/services/orders/one/override", "OUT_OF_SERVICE"), 204);
    assert_int_equal(get("/orders"), 503);
    assert_int_equal(admin("PUT", "/services/orders/one/override", "UNKNOWN"), 204);
    assert_int_equal(get("/orders"), 200);
    assert_int_equal(admin("DELETE", "/services/orders/one", ""), 204);
    assert_int_equal(get("/orders"), 503);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* Reads until the text is there. */
static void expect_in_stream(int fd, const char *text)
{
    static char seen[4096];
    static size_t size;
    if (fd < 0) {
        size = 0;
        return;
    }
    seen[size] = '\0';
    while (strstr(seen, text) == NULL) {
        ssize_t const got = recv(fd, seen + size, sizeof seen - 1 - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
        seen[size] = '\0';
    }
}

static void changes_are_streamed_to_who_watches(void **state)
{
    (void)state;
    write_config("token " TOKEN "\n");
    sidecar_start(&f.sidecar, f.file);
    int const fd = peer_connect(f.sidecar.admin);
    static const char request[] = "GET /config?watch&pattern=colours/** HTTP/1.1\r\nHost: x\r\n"
                                  "Authorization: Bearer " TOKEN "\r\n\r\n";
    assert_true(peer_send(fd, request, sizeof request - 1));
    expect_in_stream(-1, "");
    expect_in_stream(fd, "\"kind\":\"begun\"");
    assert_int_equal(admin("PUT", "/config/sounds/cow", "moo"), 201);
    assert_int_equal(admin("PUT", "/config/colours/sky", "blue"), 201);
    expect_in_stream(fd, "\"kind\":\"set\"");
    expect_in_stream(fd, "\"name\":\"colours/sky\"");
    assert_int_equal(admin("DELETE", "/config/colours/sky", ""), 200);
    expect_in_stream(fd, "\"kind\":\"deleted\"");
    assert_int_equal(close(fd), 0);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* ---- What it keeps ---- */

static void what_was_acknowledged_outlives_a_sigkill(void **state)
{
    (void)state;
    char text[256];
    (void)snprintf(text, sizeof text, "token " TOKEN "\ndata %s\nservice s\nroute /s\n",
                   store_folder_make());
    write_config(text);
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(enter("/services/s/one"), 204);
    for (int i = 0; i < 20; i++) {
        char path[64], value[16];
        (void)snprintf(path, sizeof path, "/config/counts/%d", i);
        (void)snprintf(value, sizeof value, "%d", i * i);
        assert_int_equal(admin("PUT", path, value), 201);
    }
    assert_int_equal(admin("PUT", "/config/services/s/limit", "2/h burst=2"), 201);
    sidecar_kill(&f.sidecar);
    sidecar_start(&f.sidecar, f.file);
    assert_int_equal(admin("GET", "/config/counts/19", ""), 200);
    assert_string_equal(reply.body, "361");
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s"), 429);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

/* As a full disk would: what was acknowledged is there, nothing more is, and calls go on. */
static void a_file_that_cannot_grow_stops_writes_and_nothing_else(void **state)
{
    (void)state;
    char text[256], path[64];
    unsigned good = 0;
    (void)snprintf(text, sizeof text,
                   "token " TOKEN "\ndata %s\nservice s\nroute /s\nmember a 127.0.0.1:%u\n",
                   store_folder_make(), f.upstream.port);
    write_config(text);
    f.sidecar.room = 8192;
    sidecar_start(&f.sidecar, f.file);
    for (; good < 100; good++) {
        (void)snprintf(path, sizeof path, "/config/counts/%u", good);
        if (admin("PUT", path, "a value that takes its room in the log, and more so by its key") !=
            201)
            break;
    }
    assert_in_range(good, 1, 99);
    assert_int_equal(reply.status, 503);
    assert_int_equal(admin("PUT", "/config/another", ""), 503);
    assert_string_equal(reply.body, "config: read-only after a failed write\n");
    assert_int_equal(enter("/services/s/one"), 503);
    assert_int_equal(admin("GET", "/status", ""), 200);
    assert_non_null(strstr(reply.body, "\"store\":\"read-only\""));
    assert_int_equal(get("/s"), 200);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
    f.sidecar.room = 0;
    sidecar_start(&f.sidecar, f.file);
    for (unsigned i = 0; i <= good; i++) {
        (void)snprintf(path, sizeof path, "/config/counts/%u", i);
        assert_int_equal(admin("GET", path, ""), i < good ? 200 : 404);
    }
    assert_int_equal(admin("PUT", path, "now"), 201);
    assert_int_equal(sidecar_end(&f.sidecar), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_token_the_admin_port_only_answers_reads),
        TEST(with_a_token_only_who_knows_it_is_answered),
        TEST(a_whole_service_is_made_over_http),
        TEST(changes_are_streamed_to_who_watches),
        TEST(what_was_acknowledged_outlives_a_sigkill),
        TEST(a_file_that_cannot_grow_stops_writes_and_nothing_else),
    };
    if (access(sidecar_path(), X_OK) != 0) {
        printf("SKIPPED: %s is not built\n", sidecar_path());
        return 0;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("sidecar_center", tests, NULL, NULL);
}
