/*
 * Compares a text made anew with the committed one, line by line; with WEIR_REPORT=write in the
 * environment it is written instead (`make report`). Paths are relative to the root of the tree,
 * where the tests run.
 */
#ifndef WEIR_TEST_SCENARIO_REPORT_H
#define WEIR_TEST_SCENARIO_REPORT_H

#include "support/fake_env.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct report {
    size_t size;
    char text[64 * 1024];
} report;

__attribute__((format(printf, 2, 3))) static inline void report_line(report *r, const char *format,
                                                                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    int const size = vsnprintf(r->text + r->size, sizeof r->text - r->size - 1, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && r->size + (size_t)size + 1 < sizeof r->text);
    r->size += (size_t)size;
    r->text[r->size++] = '\n';
    r->text[r->size] = '\0';
}

static inline void report_write(const report *r, const char *path)
{
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(r->text, 1, r->size, file), r->size);
    assert_int_equal(fclose(file), 0);
}

static inline void report_read(report *r, const char *path)
{
    FILE *const file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s: cannot be read; run from the root of the tree, or `make report`", path);
    r->size = fread(r->text, 1, sizeof r->text - 1, file);
    r->text[r->size] = '\0';
    assert_int_equal(fclose(file), 0);
}

/* Cuts off the first line of *rest; "" when there is none left. */
static inline const char *report_next(char **rest)
{
    char *const line = *rest;
    char *const end = strchr(line, '\n');
    *rest = end != NULL ? end + 1 : line + strlen(line);
    if (end != NULL)
        *end = '\0';
    return line;
}

/* Prints the lines that differ; returns how many. Cuts both texts up. */
static inline unsigned report_compare(report *before, report *now)
{
    char *old = before->text, *new = now->text;
    unsigned changed = 0;
    while (*old != '\0' || *new != '\0') {
        const char *const was = report_next(&old);
        const char *const is = report_next(&new);
        if (strcmp(was, is) == 0)
            continue;
        changed++;
        print_message("- %s\n+ %s\n", was, is);
    }
    return changed;
}

static inline void report_settle(report *now, const char *path)
{
    static report before;
    const char *const mode = getenv("WEIR_REPORT");
    if (mode != NULL && strcmp(mode, "write") == 0) {
        report_write(now, path);
        return;
    }
    report_read(&before, path);
    if (before.size == now->size && memcmp(before.text, now->text, now->size) == 0)
        return;
    unsigned const changed = report_compare(&before, now);
    fail_msg("%s: %u lines differ; if that is meant, `make report` and commit it", path, changed);
}

#endif
