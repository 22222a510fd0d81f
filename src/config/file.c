#include "config/config.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_DAY_MS    UINT32_C(86400000)
#define FILE_SETTLE_MS UINT32_C(60000)
#define FILE_MAX_BYTES (UINT64_C(64) << 20)

/* What tells one state of a file from another: an atomic save changes the inode, one in place the
 * time of change, which nobody can set. */
typedef struct file_stamp {
    uint64_t device, inode, size;
    int64_t modified_s, changed_s;
    long modified_ns, changed_ns;
    bool there;
} file_stamp;

struct weir_config_file {
    weir_config *config;
    weir_env env;
    weir_config_file_options options; /* Its strings are copies, in `text`. */
    weir__config_says says;
    file_stamp seen;     /* When it was last looked at... */
    uint64_t settled_ns; /* ...and since when it is so. */
    file_stamp loaded;   /* What was read, well or not. */
    bool looked;         /* Once, at least. */
    bool tried;          /* It was read, or told to be missing, once. */
    uint64_t next_ns;
    size_t changed;
    bool pending;     /* An answer is yet to come. */
    bool gone;        /* Destroyed while something is pending, or runs. */
    unsigned running; /* Its functions that are being called. */
    size_t bytes;
    char text[];
};

static file_stamp file_look(const struct stat *about)
{
    return (file_stamp){.device = (uint64_t)about->st_dev,
                        .inode = (uint64_t)about->st_ino,
                        .size = (uint64_t)about->st_size,
                        .modified_s = about->st_mtim.tv_sec,
                        .modified_ns = about->st_mtim.tv_nsec,
                        .changed_s = about->st_ctim.tv_sec,
                        .changed_ns = about->st_ctim.tv_nsec,
                        .there = true};
}

static bool file_same(const file_stamp *a, const file_stamp *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->modified_s == b->modified_s &&
           a->modified_ns == b->modified_ns && a->changed_s == b->changed_s &&
           a->changed_ns == b->changed_ns;
}

static void file_tell(const weir_config_file *file, const weir_config_error *error, size_t changed)
{
    weir_config_file_event const event = {.error = *error, .changed = changed};
    if (file->options.on_load != NULL)
        file->options.on_load(&event, file->options.user);
}

/* ---- Reading ---- */

static int file_refuse(weir_config_error *error, int code, const char *what, int number)
{
    char message[sizeof error->message];
    if (number != 0)
        (void)snprintf(message, sizeof message, "%s: errno %d", what, number);
    else
        (void)snprintf(message, sizeof message, "%s", what);
    return weir__config_refuse(error, code, "", message);
}

/* All of an open file, as long as it is within the bound. */
static int file_read_all(const weir_config_file *file, int fd, weir__text *out,
                         weir_config_error *error)
{
    char chunk[4096];
    for (;;) {
        ssize_t const got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_refuse(error, WEIR_ESYSTEM, "cannot read it", errno);
        if (got == 0)
            return WEIR_OK;
        weir__text_bytes(out, chunk, (size_t)got);
        if (!weir__text_ok(out))
            return WEIR_ENOMEM;
        if (out->size > file->options.max_bytes)
            return file_refuse(error, WEIR_ETOOLARGE, "over max_bytes", 0);
    }
}

static int file_read(const weir_config_file *file, weir__text *out, weir_config_error *error)
{
    int const fd = open(file->options.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat about;
    if (fd < 0)
        return file_refuse(error, WEIR_ESYSTEM, "cannot open it", errno);
    int code = WEIR_OK;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        code = file_refuse(error, WEIR_EINVAL, "not a regular file", 0);
    if (code == WEIR_OK)
        code = file_read_all(file, fd, out, error);
    (void)close(fd);
    return code;
}

/* ---- Parsing ---- */

/* A string's own bytes; of all else, the text as it stands in the file. */
static int file_add_member(weir_config_file *file, weir__config_run *run, weir__json *json,
                           const weir__text *name, weir__text *value)
{
    weir__json ahead = *json;
    weir__json_kind const kind = weir__json_next(&ahead);
    weir__text_clear(value);
    if (kind == WEIR__JSON_STRING) {
        weir__json_text(json, value);
    } else if (kind != WEIR__JSON_ERROR) {
        const char *const from = ahead.token;
        if (weir__json_skip(json))
            weir__text_bytes(value, from, (size_t)(json->text + json->at - from));
    } else {
        weir__json_skip(json);
    }
    if (json->error != NULL)
        return WEIR_OK; /* Told at the end. */
    if (!weir__text_ok(name) || !weir__text_ok(value))
        return WEIR_ENOMEM;
    return weir__config_run_say(run, &file->says, name->data, name->size,
                                (weir_bytes){value->data, value->size});
}

static int file_parse_json(weir_config_file *file, weir__config_run *run, const weir__text *text,
                           weir_config_error *error)
{
    weir__text name;
    weir__text value;
    weir__json json;
    int code = WEIR_OK;
    weir__text_init(&name, &file->env);
    weir__text_init(&value, &file->env);
    weir__json_begin(&json, text->data, text->size);
    weir__json_object(&json);
    while (code == WEIR_OK && weir__json_member(&json)) {
        weir__text_clear(&name);
        weir__json_unescape(&json, &name);
        code = file_add_member(file, run, &json, &name, &value);
    }
    weir__text_free(&name);
    weir__text_free(&value);
    if (code == WEIR_OK && !weir__json_end(&json)) {
        code = file_refuse(error, WEIR_EPROTOCOL, json.error, 0);
        error->line = weir__json_line(&json);
    }
    return code;
}

static size_t file_trim(const char **from, size_t size)
{
    while (size > 0 && (**from == ' ' || **from == '\t')) {
        (*from)++;
        size--;
    }
    while (size > 0 && strchr(" \t\r", (*from)[size - 1]) != NULL && (*from)[size - 1] != '\0')
        size--;
    return size;
}

static int file_parse_lines(weir_config_file *file, weir__config_run *run, const weir__text *text,
                            weir_config_error *error)
{
    size_t line = 0;
    int code = WEIR_OK;
    for (size_t from = 0; code == WEIR_OK && from < text->size;) {
        const char *const feed = memchr(text->data + from, '\n', text->size - from);
        size_t const to = feed != NULL ? (size_t)(feed - text->data) : text->size;
        const char *name = text->data + from;
        size_t const size = file_trim(&name, to - from);
        from = to + 1;
        line++;
        if (size == 0 || *name == '#')
            continue;
        const char *const equals = memchr(name, '=', size);
        if (equals == NULL) {
            code = file_refuse(error, WEIR_EPROTOCOL, "expected name = value", 0);
            error->line = line;
            break;
        }
        const char *value = equals + 1;
        size_t const value_size = file_trim(&value, size - (size_t)(value - name));
        size_t const name_size = file_trim(&name, (size_t)(equals - name));
        code = weir__config_run_say(run, &file->says, name, name_size,
                                    (weir_bytes){value, value_size});
    }
    return code;
}

static int file_parse(weir_config_file *file, weir__config_run *run, const weir__text *text,
                      weir_config_error *error)
{
    const char *from = text->data;
    size_t const size = text->size;
    size_t at = 0;
    while (at < size && from[at] != '\0' && strchr(" \t\r\n", from[at]) != NULL)
        at++;
    return at < size && from[at] == '{' ? file_parse_json(file, run, text, error)
                                        : file_parse_lines(file, run, text, error);
}

/* ---- Loading ---- */

static void file_free(weir_config_file *file)
{
    weir_env const env = file->env;
    weir__free(&env, file, file->bytes);
}

/* Whoever was told may have destroyed it: what runs still frees it at its end. */
static void file_leave(weir_config_file *file)
{
    file->running--;
    if (file->gone && file->running == 0 && !file->pending)
        file_free(file);
}

static void file_loaded(const weir_config_result *result, void *user)
{
    weir_config_file *const file = user;
    weir_config_error error = result->error;
    file->pending = false;
    file->running++;
    if (file->gone) {
        file_leave(file);
        return;
    }
    error.code = result->code;
    if (result->code != WEIR_OK && error.message[0] == '\0')
        (void)file_refuse(&error, result->code, weir_strerror(result->code), 0);
    if (result->code != WEIR_OK)
        file->tried = false; /* The file is well: once more. */
    file_tell(file, &error, result->code == WEIR_OK ? file->changed : 0);
    file_leave(file);
}

/* All that the file says, and no longer says, checked. */
static int file_take(weir_config_file *file, weir__config_run *run, weir_config_error *error)
{
    weir__text text;
    weir__text_init(&text, &file->env);
    weir__text_str(&text, "");
    int code = weir__text_ok(&text) ? file_read(file, &text, error) : WEIR_ENOMEM;
    if (code == WEIR_OK)
        code = file_parse(file, run, &text, error);
    weir__text_free(&text);
    if (code == WEIR_OK && !weir__text_ok(&run->strings))
        code = WEIR_ENOMEM;
    if (code == WEIR_OK)
        code = weir__config_run_unsay(run, &file->says);
    if (code == WEIR_OK)
        code = weir__config_run_check(run, error);
    return code == WEIR_ENOMEM ? file_refuse(error, code, weir_strerror(code), 0) : code;
}

static void file_load(weir_config_file *file)
{
    weir_config_error error = {.code = WEIR_OK};
    weir__config_run *const run = weir__config_run_create(file->config);
    int const code = run != NULL ? file_take(file, run, &error)
                                 : file_refuse(&error, WEIR_ENOMEM, weir_strerror(WEIR_ENOMEM), 0);
    if (code == WEIR_OK) {
        file->pending = true;
        file->changed = weir__config_run_trim(run);
        weir__config_run_start(run, file_loaded, file);
        return;
    }
    if (run != NULL)
        weir__config_run_free(run);
    if (code == WEIR_ENOMEM)
        file->tried = false;
    file_tell(file, &error, 0);
}

/* It is told to be missing once; then it is waited for. */
static void file_missing(weir_config_file *file, int number)
{
    weir_config_error error;
    if (file->tried && !file->loaded.there)
        return;
    file->tried = true;
    file->loaded = file->seen;
    (void)file_refuse(&error, WEIR_ESYSTEM, "cannot look at it", number);
    file_tell(file, &error, 0);
}

static void file_follow(weir_config_file *file, uint64_t now_ns)
{
    uint64_t const settle_ns = file->options.settle_ms * WEIR__NS_PER_MS;
    struct stat about;
    bool const there = stat(file->options.path, &about) == 0;
    int const number = errno;
    file_stamp const stamp = there ? file_look(&about) : (file_stamp){.there = false};
    if (!file->looked) /* Who has just begun has seen nobody write. */
        file->seen = stamp;
    file->looked = true;
    if (!file_same(&stamp, &file->seen)) {
        file->seen = stamp;
        file->settled_ns = weir__add_ns(now_ns, settle_ns);
    }
    if (file->settled_ns > now_ns) {
        if (file->settled_ns < file->next_ns)
            file->next_ns = file->settled_ns;
    } else if (!there) {
        file_missing(file, number);
    } else if (!file->tried || !file_same(&stamp, &file->loaded)) {
        file->tried = true;
        file->loaded = stamp;
        file_load(file);
    }
}

static uint64_t file_run(void *self, uint64_t now_ns)
{
    weir_config_file *const file = self;
    uint64_t const interval_ns = file->options.interval_ms * WEIR__NS_PER_MS;
    if (now_ns < file->next_ns)
        return file->next_ns;
    file->next_ns = weir__add_ns(now_ns, interval_ns);
    if (file->pending || !file->config->in_sync)
        return file->next_ns;
    file->running++;
    file_follow(file, now_ns);
    uint64_t const next_ns = file->gone ? WEIR_NEVER : file->next_ns;
    file_leave(file);
    return next_ns;
}

/* ---- Life ---- */

static bool file_options_ok(const weir_config_file_options *o)
{
    weir__config_says const says = {o->source, o->environment, o->label};
    return o->path != NULL && o->path[0] != '\0' && weir__config_says_ok(&says) &&
           o->interval_ms >= 1 && o->interval_ms <= FILE_DAY_MS && o->settle_ms <= FILE_SETTLE_MS &&
           o->max_bytes >= 1 && o->max_bytes <= FILE_MAX_BYTES;
}

static const char *file_copy(weir_config_file *file, size_t *at, const char *str)
{
    if (str == NULL)
        return NULL;
    size_t const size = strlen(str) + 1;
    char *const copy = memcpy(file->text + *at, str, size);
    *at += size;
    return copy;
}

int weir_config_file_create(weir_config_file **out, weir_config *config,
                            const weir_config_file_options *options)
{
    *out = NULL;
    weir_config_file_options o = WEIR_CONFIG_FILE_OPTIONS_INIT;
    if (options == NULL || weir__options_load(&o, sizeof o, options, options->struct_size) ||
        !file_options_ok(&o))
        return WEIR_EINVAL;
    size_t const bytes = sizeof(weir_config_file) + strlen(o.path) + strlen(o.source) +
                         (o.environment != NULL ? strlen(o.environment) : 0) +
                         (o.label != NULL ? strlen(o.label) : 0) + 4;
    weir_config_file *const file = weir__alloc(&config->env, bytes);
    if (file == NULL)
        return WEIR_ENOMEM;
    size_t at = 0;
    file->config = config;
    file->env = config->env;
    file->bytes = bytes;
    file->options = o;
    file->options.path = file_copy(file, &at, o.path);
    file->options.source = file_copy(file, &at, o.source);
    file->options.environment = file_copy(file, &at, o.environment);
    file->options.label = file_copy(file, &at, o.label);
    file->says =
        (weir__config_says){file->options.source, file->options.environment, file->options.label};
    *out = file;
    return WEIR_OK;
}

void weir_config_file_destroy(weir_config_file *file)
{
    if (file == NULL)
        return;
    if (file->pending || file->running > 0)
        file->gone = true; /* Its answer frees it, or who calls. */
    else
        file_free(file);
}

weir_task weir_config_file_task(weir_config_file *file)
{
    return (weir_task){.run = file_run, .self = file};
}
