/*
 * Names: what OpenTelemetry and Prometheus allow, and how the one's become the other's
 * (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility").
 */
#include "metrics/metrics.h"

#include <string.h>

#define NAME_MAX_SIZE 255

static const struct {
    const char *ucum, *word;
} name_units[] = {
    {"d", "days"},          {"h", "hours"},         {"min", "minutes"},    {"s", "seconds"},
    {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},
    {"KiBy", "kibibytes"},  {"MiBy", "mebibytes"},  {"GiBy", "gibibytes"}, {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},   {"MBy", "megabytes"},   {"GBy", "gigabytes"},  {"TBy", "terabytes"},
    {"m", "meters"},        {"V", "volts"},         {"A", "amperes"},      {"J", "joules"},
    {"W", "watts"},         {"g", "grams"},         {"Cel", "celsius"},    {"Hz", "hertz"},
    {"%", "percent"},
};

static const struct {
    const char *ucum, *word;
} name_rates[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

static bool name_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool name_plain(char c)
{
    return name_letter(c) || (c >= '0' && c <= '9');
}

static bool name_valid(const char *name, const char *first, const char *others)
{
    size_t const size = strlen(name);
    if (size == 0 || size > NAME_MAX_SIZE ||
        !(name_letter(name[0]) || strchr(first, name[0]) != NULL))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!name_plain(name[i]) && strchr(others, name[i]) == NULL)
            return false;
    return true;
}

bool weir__metrics_name_valid(const char *name)
{
    return name_valid(name, ":", ":.-/");
}

/* Prometheus keeps names that begin with "__" for itself. */
bool weir__metrics_name_key_valid(const char *key)
{
    return name_valid(key, "", ".-/") && !(key[0] == '_' && !name_letter(key[1])) &&
           strncmp(key, "__", 2) != 0 && strcmp(key, "otel.metric.overflow") != 0 &&
           strcmp(key, "otel_metric_overflow") != 0;
}

static void name_append_plain(weir__text *out, const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = '_';
        if (name_plain(name[i]) || name[i] == ':')
            c = name[i];
        bool const repeats = c == '_' && out->size > 0 && out->data[out->size - 1] == '_';
        if (!repeats)
            weir__text_bytes(out, &c, 1);
    }
}

void weir__metrics_name_plain(weir__text *out, const char *name)
{
    name_append_plain(out, name, strlen(name));
}

/* A unit that is not in the table stands for itself, as far as a name may have it. */
static void name_unit_part(weir__text *out, const char *part, size_t size, bool rate)
{
    for (size_t i = 0; !rate && i < sizeof name_units / sizeof name_units[0]; i++)
        if (strlen(name_units[i].ucum) == size && memcmp(name_units[i].ucum, part, size) == 0) {
            weir__text_str(out, name_units[i].word);
            return;
        }
    for (size_t i = 0; rate && i < sizeof name_rates / sizeof name_rates[0]; i++)
        if (strlen(name_rates[i].ucum) == size && memcmp(name_rates[i].ucum, part, size) == 0) {
            weir__text_str(out, name_rates[i].word);
            return;
        }
    while (size > 0 && !name_plain(part[size - 1]))
        size--;
    while (size > 0 && !name_plain(part[0])) {
        part++;
        size--;
    }
    name_append_plain(out, part, size);
}

/* What is left of a unit without its {annotations}. */
static size_t name_unit_bare(char *bare, const char *unit)
{
    size_t size = 0, depth = 0;
    for (; *unit != '\0'; unit++) {
        if (*unit == '{')
            depth++;
        else if (*unit == '}')
            depth -= depth > 0;
        else if (depth == 0)
            bare[size++] = *unit;
    }
    return size;
}

void weir__metrics_name_unit(weir__text *out, const char *unit, weir_metrics_kind kind)
{
    char bare[WEIR__UNIT_MAX + 1];
    size_t const size = name_unit_bare(bare, unit);
    const char *const slash = size > 0 ? memchr(bare, '/', size) : NULL;
    if (strcmp(unit, "1") == 0) {
        if (kind == WEIR_METRICS_GAUGE)
            weir__text_str(out, "ratio");
        return;
    }
    size_t const whole = slash != NULL ? (size_t)(slash - bare) : size;
    name_unit_part(out, bare, whole, false);
    if (slash == NULL || whole + 1 == size)
        return;
    weir__text_str(out, out->size > 0 ? "_per_" : "per_");
    name_unit_part(out, slash + 1, size - whole - 1, true);
}

static bool name_ends_in(const weir__text *name, const char *word, size_t size)
{
    return name->size > size && memcmp(name->data + name->size - size, word, size) == 0 &&
           name->data[name->size - size - 1] == '_';
}

void weir__metrics_name_base(weir__text *out, const weir_metrics_family_options *options,
                             const char *unit)
{
    size_t const size = strlen(unit);
    weir__metrics_name_plain(out, options->name);
    if (!weir__text_ok(out))
        return;
    if (options->kind == WEIR_METRICS_COUNTER && name_ends_in(out, "total", 5) && out->size > 6)
        weir__text_cut(out, out->size - 6); /* "_total" is a name of its own. */
    if (size == 0 || name_ends_in(out, unit, size))
        return;
    if (out->data[out->size - 1] != '_')
        weir__text_str(out, "_");
    weir__text_str(out, unit);
}
