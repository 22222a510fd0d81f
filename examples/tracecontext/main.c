/* The service that the validation suite of W3C Trace Context drives: `tracecontext [ADDRESS]`,
 * 127.0.0.1:5000 if not told; port 0 lets the system choose. service.h says what it does. */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* ---- Signals: the handler writes to a pipe, the loop reads it ---- */

static int signal_pipe[2];

static void on_signal(int number)
{
    int const kept = errno;
    char const byte = (char)number;
    if (write(signal_pipe[1], &byte, 1) < 0)
        errno = kept; /* Full: it has been asked to end often enough. */
    errno = kept;
}

static void on_readable(unsigned events, void *user)
{
    (void)events;
    weir_loop_stop(user);
}

static int watch_signals(weir_loop *loop)
{
    weir_loop_watch *watch; /* The loop frees it. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (pipe(signal_pipe) != 0 || fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
        return WEIR_ESYSTEM;
    return weir_loop_watch_create(&watch, loop, signal_pipe[0], WEIR_LOOP_READABLE, on_readable,
                                  loop);
}

/* ---- */

static int serve(weir_loop *loop, const char *address)
{
    service *s;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    int result = watch_signals(loop);
    if (result == WEIR_OK)
        result = service_start(&s, loop, address);
    if (result != WEIR_OK)
        return result;
    weir_address const bound = service_address(s);
    weir_address_format(&bound, text);
    printf("tracecontext %s\n", text);
    (void)fflush(stdout);
    result = weir_loop_run(loop);
    service_stop(s);
    return result;
}

int main(int argc, char **argv)
{
    weir_loop *loop;
    const char *const address = argc == 2 ? argv[1] : "127.0.0.1:5000";
    if (argc > 2) {
        (void)fprintf(stderr, "usage: %s [ADDRESS:PORT]\n", argv[0]);
        return 2;
    }
    int result = weir_loop_create(&loop, NULL);
    if (result == WEIR_OK) {
        result = serve(loop, address);
        if (result == WEIR_ESYSTEM)
            perror(address);
        weir_loop_destroy(loop);
    }
    if (result != WEIR_OK && result != WEIR_ESYSTEM)
        (void)fprintf(stderr, "%s: %s\n", address, weir_strerror(result));
    return result == WEIR_OK ? 0 : 1;
}
