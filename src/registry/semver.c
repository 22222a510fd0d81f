#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

/* Digits into one number; false: none, or too many. */
static bool semver_number(const char **at, uint64_t *out)
{
    const char *p = *at;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    if (p == *at)
        return false;
    *out = value;
    *at = p;
    return true;
}

static bool semver_identifier(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* Identifiers with dots between them; false: one of them is empty. */
static bool semver_identifiers(const char **at)
{
    const char *p = *at;
    do {
        const char *const first = p;
        while (semver_identifier(*p))
            p++;
        if (p == first)
            return false;
    } while (*p == '.' && p++ != NULL);
    *at = p;
    return true;
}

/*
 * Takes a version, `given` numbers of which are there; with wild, x ends them. False: it is none.
 */
static bool semver_take(const char **at, bool wild, weir__semver *out, unsigned *given)
{
    const char *p = *at;
    bool any = false; /* An x came. */
    *out = (weir__semver){.pre = NULL};
    *given = 0;
    if (*p == 'v' || *p == 'V')
        p++;
    for (unsigned i = 0; i < 3; i++) {
        if (i > 0 && *p++ != '.')
            return false;
        if (wild && (*p == 'x' || *p == 'X' || *p == '*')) {
            any = true;
            p++;
        } else if (any || !semver_number(&p, &out->number[i])) {
            return false;
        } else {
            (*given)++;
        }
        if (*p != '.')
            break;
    }
    if (*p == '-' && *given == 3) {
        out->pre = ++p;
        if (!semver_identifiers(&p))
            return false;
        out->pre_size = (size_t)(p - out->pre);
    }
    if (*p == '+' && (p++, !semver_identifiers(&p)))
        return false;
    *at = p;
    return true;
}

static bool semver_digits(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* Two identifiers: numbers by value, before words; words by their bytes. Leading zeros are none. */
static int semver_compare_identifier(const char *a, size_t a_size, const char *b, size_t b_size)
{
    bool const a_digits = semver_digits(a, a_size);
    bool const b_digits = semver_digits(b, b_size);
    if (a_digits != b_digits)
        return a_digits ? -1 : 1;
    if (a_digits) {
        for (; a_size > 1 && *a == '0'; a++)
            a_size--;
        for (; b_size > 1 && *b == '0'; b++)
            b_size--;
        if (a_size != b_size)
            return a_size < b_size ? -1 : 1;
    }
    int const order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    if (order != 0)
        return order;
    return a_size == b_size ? 0 : a_size < b_size ? -1 : 1;
}

/* Semantic Versioning 2.0.0, section 11.4: of two prereleases of the same version. */
static int semver_compare_pre(const weir__semver *a, const weir__semver *b)
{
    if (a->pre == NULL || b->pre == NULL)
        return (a->pre == NULL) - (b->pre == NULL);
    const char *p = a->pre, *const p_end = p + a->pre_size;
    const char *q = b->pre, *const q_end = q + b->pre_size;
    for (;;) {
        const char *const p_dot = memchr(p, '.', (size_t)(p_end - p));
        const char *const q_dot = memchr(q, '.', (size_t)(q_end - q));
        size_t const p_size = (size_t)((p_dot != NULL ? p_dot : p_end) - p);
        size_t const q_size = (size_t)((q_dot != NULL ? q_dot : q_end) - q);
        int const order = semver_compare_identifier(p, p_size, q, q_size);
        if (order != 0)
            return order;
        if (p_dot == NULL || q_dot == NULL)
            return (p_dot != NULL) - (q_dot != NULL); /* More of them is more. */
        p = p_dot + 1;
        q = q_dot + 1;
    }
}

static int semver_compare(const weir__semver *a, const weir__semver *b)
{
    for (int i = 0; i < 3; i++)
        if (a->number[i] != b->number[i])
            return a->number[i] < b->number[i] ? -1 : 1;
    return semver_compare_pre(a, b);
}

static bool semver_holds(const weir__semver_term *term, const weir__semver *version)
{
    int const order = semver_compare(version, &term->version);
    switch (term->relation) {
    case WEIR__SEMVER_LESS: return order < 0;
    case WEIR__SEMVER_LESS_EQUAL: return order <= 0;
    case WEIR__SEMVER_GREATER: return order > 0;
    case WEIR__SEMVER_GREATER_EQUAL: return order >= 0;
    case WEIR__SEMVER_BELOW:
        return order < 0 &&
               memcmp(version->number, term->version.number, sizeof version->number) != 0;
    case WEIR__SEMVER_NEVER: break;
    }
    return false;
}

/* ---- Ranges ---- */

static void semver_add(weir__semver_range *range, weir__semver_relation relation,
                       const weir__semver *version)
{
    range->terms[range->count++] = (weir__semver_term){.relation = relation, .version = *version};
}

/* The first version that differs in this number, upwards. */
static weir__semver semver_bump(const weir__semver *version, unsigned number)
{
    weir__semver next = {.pre = NULL};
    for (unsigned i = 0; i <= number; i++)
        next.number[i] = version->number[i];
    next.number[number]++;
    return next;
}

/* From the version on, up to the next change of that number. */
static void semver_add_span(weir__semver_range *range, const weir__semver *version, unsigned number)
{
    weir__semver const end = semver_bump(version, number);
    semver_add(range, WEIR__SEMVER_GREATER_EQUAL, version);
    semver_add(range, WEIR__SEMVER_BELOW, &end);
}

static unsigned semver_caret(const weir__semver *version, unsigned given)
{
    for (unsigned i = 0; i < given; i++)
        if (version->number[i] != 0)
            return i;
    return given - 1;
}

/* What an operator means for a version of which only some numbers are given. */
static void semver_add_partial(weir__semver_range *range, char op, bool equal,
                               const weir__semver *version, unsigned given)
{
    weir__semver const end = given > 0 ? semver_bump(version, given - 1) : *version;
    if (op == '>' && equal)
        semver_add(range, WEIR__SEMVER_GREATER_EQUAL, version);
    else if (op == '>')
        semver_add(range, given > 0 ? WEIR__SEMVER_GREATER_EQUAL : WEIR__SEMVER_NEVER, &end);
    else if (op == '<' && !equal)
        semver_add(range, given > 0 ? WEIR__SEMVER_LESS : WEIR__SEMVER_NEVER, version);
    else if (given > 0 && op == '<')
        semver_add(range, WEIR__SEMVER_BELOW, &end);
    else if (given > 0)
        semver_add_span(range, version, given - 1);
}

static bool semver_comparator(weir__semver_range *range, const char **at)
{
    const char *p = *at;
    char op = '=';
    if (*p != '\0' && strchr("<>=^~", *p) != NULL)
        op = *p++;
    bool const equal = (op == '<' || op == '>') && *p == '=';
    p += equal;
    while (*p == ' ' || *p == '\t')
        p++;
    weir__semver version;
    unsigned given = 0;
    if (!semver_take(&p, true, &version, &given))
        return false;
    *at = p;
    if (op == '^' && given > 0)
        semver_add_span(range, &version, semver_caret(&version, given));
    else if (op == '~' && given > 0)
        semver_add_span(range, &version, given > 1 ? 1 : 0);
    else if (given < 3)
        semver_add_partial(range, op, equal, &version, given);
    else if (op == '=') {
        semver_add(range, WEIR__SEMVER_GREATER_EQUAL, &version);
        semver_add(range, WEIR__SEMVER_LESS_EQUAL, &version);
    } else if (op == '<')
        semver_add(range, equal ? WEIR__SEMVER_LESS_EQUAL : WEIR__SEMVER_LESS, &version);
    else
        semver_add(range, equal ? WEIR__SEMVER_GREATER_EQUAL : WEIR__SEMVER_GREATER, &version);
    return true;
}

bool weir__semver_parse_range(weir__semver_range *range, const char *text)
{
    *range = (weir__semver_range){.all = false};
    unsigned comparators = 0;
    for (const char *p = text;; p += 2) {
        size_t const first = range->count;
        for (;;) {
            while (*p == ' ' || *p == '\t')
                p++;
            if (*p == '\0' || *p == '|')
                break;
            if (comparators++ == WEIR__SEMVER_TERMS || !semver_comparator(range, &p) ||
                (*p != '\0' && *p != ' ' && *p != '\t' && *p != '|'))
                return false;
        }
        if (range->count > first)
            range->terms[first].set = true;
        else
            range->all = true;
        if (*p == '\0')
            return true;
        if (p[1] != '|')
            return false;
    }
}

bool weir__semver_matches(const weir__semver_range *range, const char *text)
{
    weir__semver version;
    unsigned given = 0;
    if (range->all)
        return true;
    if (!semver_take(&text, false, &version, &given) || *text != '\0')
        return false;
    bool holds = false;
    for (size_t i = 0; i < range->count; i++) {
        if (range->terms[i].set && holds)
            return true;
        holds = (range->terms[i].set || holds) && semver_holds(&range->terms[i], &version);
    }
    return holds;
}

int weir_version_match(const char *range, const char *version, bool *match)
{
    weir__semver_range parsed;
    *match = false;
    if (range == NULL || !weir__semver_parse_range(&parsed, range))
        return WEIR_EINVAL;
    *match = weir__semver_matches(&parsed, version != NULL ? version : "");
    return WEIR_OK;
}
