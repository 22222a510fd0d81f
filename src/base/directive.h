/*
 * A directive as people write it, "breaker failures=50% rest=5s": a name, words, and options of the
 * form name=value behind them. Whoever reads one says what is wrong with it in a complaint.
 */
#ifndef WEIR_SRC_DIRECTIVE_H
#define WEIR_SRC_DIRECTIVE_H

#include "base/env.h"
#include "base/text.h"

#define WEIR__DIRECTIVE_WORDS 32

/* What is wrong: the directive, with its option if any ("breaker.rest"); and why, in English. */
typedef struct weir__complaint {
    char field[64];
    char message[128];
} weir__complaint;

typedef struct weir__directive {
    char *words[WEIR__DIRECTIVE_WORDS]; /* The first is its name. */
    size_t count;
    weir__complaint *complaint;
} weir__directive;

typedef struct weir__option {
    const weir__directive *directive;
    const char *name;
    const char *value;
    size_t name_size;
} weir__option;

/* Takes one option into `out`; WEIR_ENOTFOUND: there is none of that name. */
typedef int (*weir__option_fn)(const weir__option *option, void *out);

/* Sets the complaint; returns WEIR_EINVAL. */
int weir__complain(weir__complaint *complaint, const char *field, const char *format, ...)
    WEIR__PRINTF(3, 4);

/* Cuts a text into words at blanks, in place, up to one that begins with "#". WEIR_OK or
 * WEIR_EINVAL: there are too many. */
int weir__directive_split(weir__directive *directive, char *text);
/* The same, of a name and the value behind it, which is one line; `room` has
 * strlen(name) + size + 2 bytes, and holds the words. */
int weir__directive_build(weir__directive *directive, const char *name, const void *value,
                          size_t size, char *room);
/* Whether all there is behind the name is "off". */
bool weir__directive_is_off(const weir__directive *directive);
/* The one word behind the name, or NULL. */
char *weir__directive_word(const weir__directive *directive);
/* That word, as a duration from 1 ms to a day. */
int weir__directive_ms(const weir__directive *directive, uint32_t *out_ms);
/* The word at `at`, or an empty one, as a value without a name. */
weir__option weir__directive_value(const weir__directive *directive, size_t at);
/* Each option from the given word on, through `take`: none is unknown or there twice. */
int weir__directive_options(const weir__directive *directive, size_t first, weir__option_fn take,
                            void *out);

bool weir__option_is(const weir__option *option, const char *name);
/* The value; or the complaint is set: WEIR_OK or WEIR_EINVAL. */
int weir__option_u32(const weir__option *option, uint32_t min, uint32_t max, uint32_t *out);
int weir__option_u64(const weir__option *option, uint64_t min, uint64_t max, uint64_t *out);
int weir__option_ns(const weir__option *option, uint64_t min_ns, uint64_t *out_ns);
int weir__option_ms(const weir__option *option, uint32_t *out_ms);   /* At least 1 ms. */
int weir__option_percent(const weir__option *option, uint32_t *out); /* 1 to 100. */
/* A whole percentage of any size, "140%". */
int weir__option_percentage(const weir__option *option, uint32_t min, uint32_t max, uint32_t *out);
int weir__option_bare(const weir__option *option, bool *out); /* True, and has no value. */
/* Complains of this option; returns WEIR_EINVAL. */
int weir__option_fail(const weir__option *option, const char *what);

#endif
