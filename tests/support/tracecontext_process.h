/* What drives examples/tracecontext: the service as a process on a port that the kernel chose, and
 * a harness, which records what is posted to it. */
#ifndef WEIR_TEST_TRACECONTEXT_PROCESS_H
#define WEIR_TEST_TRACECONTEXT_PROCESS_H

#include "support/peer.h"

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#define MAX_GOT 64

/* ---- The harness: it records who is posted to it, and answers 200 ---- */

typedef struct received {
    char head[8192];
    char body[1024];
} received;

typedef struct harness {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    received got[MAX_GOT];
    int count;
} harness;

static harness h = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    pid_t process;
    FILE *out;
    uint16_t port;
} service;

/* The header with this index among those of that name into out; false: there are not so many. */
static inline bool header(const received *r, const char *name, int index, char *out, size_t room)
{
    size_t const size = strlen(name);
    for (const char *line = strstr(r->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':' && index-- == 0) {
            const char *const value = line + 3 + size + strspn(line + 3 + size, " ");
            (void)snprintf(out, room, "%.*s", (int)strcspn(value, "\r"), value);
            return true;
        }
    return false;
}

static inline bool receive(int fd, received *r)
{
    char length[16] = "0";
    size_t size = 0;
    memset(r, 0, sizeof *r);
    if (!peer_read_request(fd, r->head, sizeof r->head))
        return false;
    (void)header(r, "Content-Length", 0, length, sizeof length);
    size_t const whole = strtoul(length, NULL, 10);
    while (size < whole && size + 1 < sizeof r->body) {
        ssize_t const got = recv(fd, r->body + size, sizeof r->body - 1 - size, 0);
        if (got <= 0)
            return false;
        size += (size_t)got;
    }
    return true;
}

/* One connection after another, one request each, until there is one with nothing. A path that ends
 * in 5 is answered 500. */
static inline void *serve(void *unused)
{
    static received r;
    for (;;) {
        char answer[128];
        int const fd = accept(h.listener, NULL, NULL);
        if (fd < 0 || !receive(fd, &r)) {
            (void)close(fd);
            return unused;
        }
        pthread_mutex_lock(&h.lock);
        if (h.count < MAX_GOT)
            h.got[h.count++] = r;
        pthread_mutex_unlock(&h.lock);
        int const size =
            snprintf(answer, sizeof answer,
                     "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                     strstr(r.head, "5 HTTP/1.1\r\n") != NULL ? "500 Broken" : "200 OK");
        (void)peer_send(fd, answer, (size_t)size);
        (void)close(fd);
    }
}

static inline int received_count(void)
{
    pthread_mutex_lock(&h.lock);
    int const count = h.count;
    pthread_mutex_unlock(&h.lock);
    return count;
}

/* ---- The service ---- */

static inline const char *service_path(void)
{
    const char *const path = getenv("WEIR_TRACECONTEXT");
    return path != NULL ? path : "build/examples/tracecontext/tracecontext";
}

static inline void service_start(void)
{
    char line[128] = "";
    unsigned port = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    service.process = fork();
    if (service.process == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* It does not outlive the test. */
#endif
        (void)execl(service_path(), "tracecontext", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(close(ends[1]), 0);
    service.out = fdopen(ends[0], "r");
    assert_non_null(service.out);
    assert_non_null(fgets(line, sizeof line, service.out));
    assert_int_equal(sscanf(line, "tracecontext 127.0.0.1:%u\n", &port), 1);
    service.port = (uint16_t)port;
}

/* Its status after this signal. */
static inline int service_end(int signal_number)
{
    int status = -1;
    if (service.process <= 0)
        return -1;
    (void)kill(service.process, signal_number);
    (void)waitpid(service.process, &status, 0);
    service.process = 0;
    (void)fclose(service.out);
    return status;
}

static inline int setup(void **state)
{
    (void)state;
    (void)alarm(60);
    h.count = 0;
    h.listener = peer_listen(0);
    h.port = h.listener >= 0 ? peer_port(h.listener) : 0;
    if (h.port == 0 || pthread_create(&h.thread, NULL, serve, NULL) != 0)
        return -1;
    service_start();
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    bool const well = service.process == 0 || service_end(SIGTERM) == 0; /* Leaks are seen so. */
    int const fd = peer_connect(h.port); /* With nothing: the harness ends. */
    (void)close(fd);
    (void)pthread_join(h.thread, NULL);
    (void)close(h.listener);
    (void)alarm(0);
    return well ? 0 : -1;
}

#endif
