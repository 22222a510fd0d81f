/* The sidecar as a process of its own, on ports that the kernel chose. */
#ifndef WEIR_TEST_SIDECAR_PROCESS_H
#define WEIR_TEST_SIDECAR_PROCESS_H

#include "support/peer.h"

#include <sys/resource.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

typedef struct sidecar_process {
    pid_t process; /* 0: none. */
    FILE *out;     /* What it prints. */
    rlim_t room;   /* Bytes of each file that it writes; 0 = any. */
    uint16_t proxy, admin;
} sidecar_process;

static inline const char *sidecar_path(void)
{
    const char *const path = getenv("WEIR_SIDECAR");
    return path != NULL ? path : "build/examples/sidecar/sidecar";
}

/* Waits for a line that begins with `start`; it is left in `line`. */
static inline void sidecar_expect_line(const sidecar_process *sidecar, const char *start,
                                       char *line, int room)
{
    do
        assert_non_null(fgets(line, room, sidecar->out));
    while (strncmp(line, start, strlen(start)) != 0);
}

static inline void sidecar_start(sidecar_process *sidecar, const char *file)
{
    char line[256];
    int pipe_ends[2];
    unsigned proxy = 0, admin = 0;
    assert_int_equal(pipe(pipe_ends), 0);
    sidecar->process = fork();
    if (sidecar->process == 0) {
        (void)dup2(pipe_ends[1], STDOUT_FILENO);
        (void)dup2(pipe_ends[1], STDERR_FILENO);
        (void)close(pipe_ends[0]);
        if (sidecar->room > 0)
            (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){sidecar->room, sidecar->room});
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* It does not outlive the test. */
#endif
        (void)execl(sidecar_path(), "sidecar", file, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(close(pipe_ends[1]), 0);
    sidecar->out = fdopen(pipe_ends[0], "r");
    assert_non_null(sidecar->out);
    sidecar_expect_line(sidecar, "proxy on", line, sizeof line);
    assert_int_equal(sscanf(line, "proxy on 127.0.0.1:%u, admin on 127.0.0.1:%u", &proxy, &admin),
                     2);
    sidecar->proxy = (uint16_t)proxy;
    sidecar->admin = (uint16_t)admin;
}

/* Politely; its status. */
static inline int sidecar_end(sidecar_process *sidecar)
{
    int status = -1;
    if (sidecar->process <= 0)
        return -1;
    (void)kill(sidecar->process, SIGTERM);
    (void)waitpid(sidecar->process, &status, 0);
    sidecar->process = 0;
    (void)fclose(sidecar->out);
    return status;
}

/* For a test that failed. */
static inline void sidecar_kill(sidecar_process *sidecar)
{
    if (sidecar->process <= 0)
        return;
    (void)kill(sidecar->process, SIGKILL);
    (void)waitpid(sidecar->process, NULL, 0);
    sidecar->process = 0;
}

#endif
