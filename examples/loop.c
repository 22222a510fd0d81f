/* One thread that waits for a pipe, a timer, a task of a module, and calls from other threads. */
#include <weir/loop.h>

#include <stdio.h>
#include <unistd.h>

static weir_loop *loop;
static int ends[2];
static char text[] = "from another thread";

static void on_readable(unsigned events, void *user)
{
    (void)events;
    (void)user;
    char got[32];
    printf("the pipe says: %.*s\n", (int)read(ends[0], got, sizeof got), got);
}

static void on_timer(uint64_t now_ns, void *user)
{
    (void)now_ns;
    (void)user;
    if (write(ends[1], "hello", 5) == 5)
        printf("the timer wrote to the pipe\n");
}

/* A module that needs time to pass offers a task like this one: a tick each millisecond. */
static uint64_t count_down(void *self, uint64_t now_ns)
{
    int *const left = self;
    printf("the task ticks: %d\n", *left);
    if (--*left > 0)
        return now_ns + 1000000;
    weir_loop_stop(loop);
    return WEIR_NEVER;
}

static void on_post(void *user)
{
    printf("posted: %s\n", (const char *)user);
}

int main(void)
{
    int left = 3;
    weir_loop_watch *watch;
    weir_loop_timer *timer;
    weir_loop_task *task;
    if (pipe(ends) != 0 || weir_loop_create(&loop, NULL) != WEIR_OK ||
        weir_loop_watch_create(&watch, loop, ends[0], WEIR_LOOP_READABLE, on_readable, NULL) ||
        weir_loop_timer_create(&timer, loop, on_timer, NULL) ||
        weir_loop_task_create(&task, loop, (weir_task){count_down, &left}))
        return 1;
    weir_loop_timer_set(timer, weir_loop_now_ns(loop));
    if (weir_loop_start(loop) != WEIR_OK) /* From here on, the loop has a thread of its own. */
        return 1;
    bool const failed = weir_loop_post(loop, on_post, text) || weir_loop_join(loop);
    weir_loop_destroy(loop); /* With its watch, timer and task. */
    return failed;
}
