/* Posts from many threads: each is called once, in its poster's order. */
#include <weir/loop.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, POSTS = 20000 };

typedef struct poster {
    weir_loop *loop;
    unsigned called; /* The loop's thread only. */
} poster;

typedef struct numbered {
    poster *from;
    uint32_t number;
} numbered;

static numbered calls[THREADS][POSTS];
static unsigned disorder;

static void called(void *user)
{
    numbered const *const call = user;
    disorder += call->number != call->from->called++;
}

static void *post_all(void *arg)
{
    numbered *const mine = arg;
    for (uint32_t i = 0; i < POSTS; i++) {
        mine[i].number = i;
        if (weir_loop_post(mine[i].from->loop, called, &mine[i]) != WEIR_OK)
            abort();
    }
    return NULL;
}

static int stress(weir_loop_backend backend)
{
    weir_loop *loop;
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.backend = backend;
    if (weir_loop_create(&loop, &options) != WEIR_OK || weir_loop_start(loop) != WEIR_OK)
        return 1;
    poster posters[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (poster){.loop = loop};
        for (int k = 0; k < POSTS; k++)
            calls[i][k].from = &posters[i];
        if (pthread_create(&threads[i], NULL, post_all, calls[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    weir_loop_stop(loop);
    if (weir_loop_join(loop) != WEIR_OK || weir_loop_dispatch(loop) != WEIR_OK)
        return 1;
    weir_loop_destroy(loop);
    unsigned total = 0;
    for (int i = 0; i < THREADS; i++)
        total += posters[i].called;
    printf("loop stress: %u of %u posts called, %u out of order\n", total,
           (unsigned)(THREADS * POSTS), disorder);
    return total == THREADS * POSTS && disorder == 0 ? 0 : 1;
}

int main(void)
{
    return stress(WEIR_LOOP_BEST) != 0 || stress(WEIR_LOOP_POLL) != 0;
}
