/* Three little upstreams inside the process, so that there is something to call. */
#ifndef SIDECAR_DEMO_H
#define SIDECAR_DEMO_H

#include <weir/http.h>

#define DEMO_COUNT 3

typedef struct demo {
    weir_http_server *servers[DEMO_COUNT];
    char addresses[DEMO_COUNT][WEIR_ADDRESS_TEXT_SIZE];
    struct demo_upstream {
        char greeting[48];
        bool sick;
    } upstreams[DEMO_COUNT];
} demo;

/* On ports of the system's choice. WEIR_OK, or an error of weir_http_server_create(). */
int demo_start(demo *d, weir_loop *loop);
void demo_stop(demo *d);

/* The address of an upstream: ${DEMO_1}, ${DEMO_2}, ${DEMO_3}; NULL for other names. */
const char *demo_variable(const demo *d, const char *name);

/* Of the first upstream. */
unsigned demo_port(const demo *d);

/* POST /demo/sick and /demo/well, user being the demo: the last upstream fails from now on, or
 * answers again. */
void demo_on_admin(weir_http_exchange *exchange, const weir_http_request *request, void *user);

#endif
