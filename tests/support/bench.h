/*
 * One line a benchmark: the median of seven rounds of about 20 ms, per operation as wall time of
 * the thread that does it, beside the cost of one CLOCK_MONOTONIC read in the same run. The
 * threads of a round start together.
 */
#ifndef WEIR_TEST_BENCH_H
#define WEIR_TEST_BENCH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_ROUNDS      7
#define BENCH_MAX_THREADS 64
#define BENCH_ROUND_NS    20e6

typedef void (*bench_body)(void *ctx, unsigned thread, uint64_t iterations);

typedef struct bench_thread {
    pthread_t id;
    pthread_barrier_t *start;
    bench_body body;
    void *ctx;
    unsigned index;
    uint64_t iterations;
    double ns; /* Of all its iterations. */
} bench_thread;

/* Keeps the compiler from throwing away what is measured. */
static inline void bench_use(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

static inline double bench_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static inline void *bench_thread_main(void *arg)
{
    bench_thread *const self = (bench_thread *)arg;
    (void)pthread_barrier_wait(self->start);
    double const begin_ns = bench_now_ns();
    self->body(self->ctx, self->index, self->iterations);
    self->ns = bench_now_ns() - begin_ns;
    return NULL;
}

/* Mean over the threads, for all iterations. */
static inline double bench_round(unsigned threads, bench_body body, void *ctx, uint64_t iterations)
{
    static bench_thread team[BENCH_MAX_THREADS];
    pthread_barrier_t start;
    double total_ns = 0;
    (void)pthread_barrier_init(&start, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        team[i] = (bench_thread){
            .start = &start, .body = body, .ctx = ctx, .index = i, .iterations = iterations};
        if (i > 0 && pthread_create(&team[i].id, NULL, bench_thread_main, &team[i]) != 0)
            abort();
    }
    (void)bench_thread_main(&team[0]);
    for (unsigned i = 0; i < threads; i++) {
        if (i > 0)
            (void)pthread_join(team[i].id, NULL);
        total_ns += team[i].ns;
    }
    (void)pthread_barrier_destroy(&start);
    return total_ns / threads;
}

static inline int bench_compare(const void *a, const void *b)
{
    double const x = *(const double *)a;
    double const y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median ns of one operation. */
static inline double bench_measure(unsigned threads, bench_body body, void *ctx)
{
    uint64_t iterations = 1;
    double ns = bench_round(threads, body, ctx, iterations);
    while (ns < BENCH_ROUND_NS / 2 && iterations < UINT64_C(1) << 40) {
        double const factor = ns > 0 ? BENCH_ROUND_NS / ns : 10;
        iterations = (uint64_t)((double)iterations * (factor > 10 ? 10 : factor) + 1);
        ns = bench_round(threads, body, ctx, iterations);
    }
    double rounds[BENCH_ROUNDS];
    for (int i = 0; i < BENCH_ROUNDS; i++)
        rounds[i] = bench_round(threads, body, ctx, iterations) / (double)iterations;
    qsort(rounds, BENCH_ROUNDS, sizeof rounds[0], bench_compare);
    return rounds[BENCH_ROUNDS / 2];
}

static inline void bench_clock_body(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)ctx;
    (void)thread;
    struct timespec ts;
    for (uint64_t i = 0; i < iterations; i++) {
        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        bench_use((uint64_t)ts.tv_nsec);
    }
}

static inline void bench_run(const char *name, unsigned threads, size_t size, bench_body body,
                             void *ctx)
{
    static double clock_ns;
    if (clock_ns == 0)
        clock_ns = bench_measure(1, bench_clock_body, NULL);
    double const ns = bench_measure(threads, body, ctx);
    (void)printf("%s threads=%u size=%zu ns=%.2f clocks=%.2f\n", name, threads, size, ns,
                 ns / clock_ns);
    (void)fflush(stdout);
}

#endif
