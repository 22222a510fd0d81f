#include "config/config.h"

#include <string.h>

#define DIFF_LINES 1000 /* On either side, for the shortest difference. */

typedef struct diff_side {
    weir_bytes *lines;
    size_t count;
} diff_side;

static size_t diff_count(weir_bytes text)
{
    const char *const data = text.data;
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += data[i] == '\n';
    return count + (text.size > 0 && data[text.size - 1] != '\n');
}

static void diff_split(weir_bytes text, diff_side *side)
{
    const char *const data = text.data;
    for (size_t from = 0; from < text.size;) {
        const char *const feed = memchr(data + from, '\n', text.size - from);
        size_t const to = feed != NULL ? (size_t)(feed - data) : text.size;
        side->lines[side->count++] = (weir_bytes){data + from, to - from};
        from = to + 1;
    }
}

static void diff_tell(const diff_side *side, size_t from, size_t to, char mark,
                      weir_config_diff_fn fn, void *user)
{
    for (size_t i = from; i < to; i++)
        fn(mark, side->lines[i], user);
}

/*
 * table[i][j] is the length of the longest common subsequence of what follows line i of `a` and
 * line j of `b` (Wagner and Fischer, 1974). Walked from the beginning, it tells the difference.
 */
static void diff_walk(const diff_side *a, const diff_side *b, uint16_t *table,
                      weir_config_diff_fn fn, void *user)
{
    size_t const width = b->count + 1;
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint16_t const down = table[(i + 1) * width + j];
            uint16_t const right = table[i * width + j + 1];
            uint16_t const both = (uint16_t)(table[(i + 1) * width + j + 1] + 1);
            uint16_t const longer = down > right ? down : right;
            table[i * width + j] = weir__config_equal(a->lines[i], b->lines[j]) ? both : longer;
        }
    size_t i = 0;
    size_t j = 0;
    while (i < a->count && j < b->count) {
        if (weir__config_equal(a->lines[i], b->lines[j])) {
            fn(' ', a->lines[i++], user);
            j++;
        } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
            fn('-', a->lines[i++], user);
        } else {
            fn('+', b->lines[j++], user);
        }
    }
    diff_tell(a, i, a->count, '-', fn, user);
    diff_tell(b, j, b->count, '+', fn, user);
}

/* What lies between the common beginning and end. */
static int diff_middle(const weir_env *env, const diff_side *a, const diff_side *b,
                       weir_config_diff_fn fn, void *user, size_t head, size_t tail,
                       const diff_side *whole)
{
    size_t const bytes = (a->count + 1) * (b->count + 1) * sizeof(uint16_t);
    bool const few = a->count <= DIFF_LINES && b->count <= DIFF_LINES;
    uint16_t *const table = few ? weir__alloc(env, bytes) : NULL;
    if (few && table == NULL)
        return WEIR_ENOMEM;
    diff_tell(whole, 0, head, ' ', fn, user);
    if (few) {
        diff_walk(a, b, table, fn, user);
        weir__free(env, table, bytes);
    } else {
        diff_tell(a, 0, a->count, '-', fn, user);
        diff_tell(b, 0, b->count, '+', fn, user);
    }
    diff_tell(whole, whole->count - tail, whole->count, ' ', fn, user);
    return WEIR_OK;
}

int weir_config_diff(weir_bytes from, weir_bytes to, weir_config_diff_fn fn, void *user,
                     const weir_env *env)
{
    weir_env loaded;
    if (fn == NULL || weir__env_load(&loaded, env) != WEIR_OK)
        return WEIR_EINVAL;
    size_t const bytes = (diff_count(from) + diff_count(to) + 1) * sizeof(weir_bytes);
    weir_bytes *const lines = weir__alloc(&loaded, bytes);
    if (lines == NULL)
        return WEIR_ENOMEM;
    diff_side a = {.lines = lines};
    diff_split(from, &a);
    diff_side b = {.lines = lines + a.count};
    diff_split(to, &b);
    size_t const least = a.count < b.count ? a.count : b.count;
    size_t head = 0;
    size_t tail = 0;
    while (head < least && weir__config_equal(a.lines[head], b.lines[head]))
        head++;
    while (tail < least - head &&
           weir__config_equal(a.lines[a.count - 1 - tail], b.lines[b.count - 1 - tail]))
        tail++;
    diff_side const old = {a.lines + head, a.count - head - tail};
    diff_side const now = {b.lines + head, b.count - head - tail};
    int const code = diff_middle(&loaded, &old, &now, fn, user, head, tail, &a);
    weir__free(&loaded, lines, bytes);
    return code;
}
