/* Random worlds: values and instances change, two clients follow them by streams, lose their
 * connection, fall behind the history and come back by revision. They know of each version, in
 * order, and in the end what is there. */
#include "support/admin_fixture.h"
#include "support/seeds.h"

#include "base/rng.h"

#define NAMES 6
#define STEPS 120
#define LINE  512
#define ANY   UINT64_MAX

/* A client: a stream in HTTP/1.0, which has no frames, and what it has learned by it. */
typedef struct replica {
    const char *target; /* With a query that the revision completes. */
    void (*take)(struct replica *self, const char *line);
    int fd; /* -1: it is not connected. */
    char bytes[1 << 16];
    size_t size;
    bool head; /* Of the answer, is behind us. */
    uint64_t asked, revision;
    uint64_t known[NAMES]; /* Versions of values; ANY: whichever comes. */
    bool there[NAMES];
    bool listing; /* What is there has yet to be told. */
    bool over;    /* It has fallen behind. */
} replica;

static weir__rng rng;
static replica values, instances;
static unsigned lines, falls; /* In all worlds. */

static uint64_t below(uint64_t bound)
{
    return weir__rng_below(&rng, bound);
}

/* ---- Lines ---- */

static uint64_t number_in(const char *line, const char *member)
{
    const char *const found = strstr(line, member);
    return found != NULL ? strtoull(found + strlen(member), NULL, 10) : 0;
}

static bool is_kind(const char *line, const char *kind)
{
    static const char before[] = "{\"kind\":\"";
    size_t const size = strlen(kind);
    return strncmp(line, before, sizeof before - 1) == 0 &&
           strncmp(line + sizeof before - 1, kind, size) == 0 &&
           line[sizeof before - 1 + size] == '"';
}

/* Each version once, in order; those of the revision that was asked for may come again. */
static void take_value(replica *self, const char *line)
{
    if (is_kind(line, "compacted")) {
        self->over = true;
        return;
    }
    uint64_t const revision = number_in(line, "\"revision\":");
    uint64_t const name = number_in(line, "\"name\":\"n");
    uint64_t const version = number_in(line, "\"version\":");
    SEED_CHECK(is_kind(line, "set") || is_kind(line, "deleted"));
    SEED_CHECK(name < NAMES && revision >= self->revision);
    SEED_CHECK(self->known[name] == ANY || version == self->known[name] + 1 ||
               (version == self->known[name] && revision == self->asked));
    self->known[name] = version;
    self->there[name] = is_kind(line, "set");
    self->revision = revision;
}

/* A list that is cut before its end is worth nothing. */
static void take_instance(replica *self, const char *line)
{
    uint64_t const id = number_in(line, "\"id\":\"i");
    SEED_CHECK(id < NAMES);
    if (is_kind(line, "resync")) {
        self->listing = true;
        memset(self->there, 0, sizeof self->there);
    } else if (is_kind(line, "synced")) {
        self->listing = false;
    } else {
        SEED_CHECK(strstr(line, "\"id\":") != NULL);
        SEED_CHECK(is_kind(line, "listed") == self->listing);
        self->there[id] = !is_kind(line, "deregistered") && !is_kind(line, "expired");
    }
    self->revision = self->listing ? 0 : number_in(line, "\"revision\":");
}

static void take_lines(replica *self)
{
    char *at = self->bytes;
    char *const end = self->bytes + self->size;
    char *const body = self->head ? at : strstr(at, "\r\n\r\n");
    if (body == NULL)
        return;
    at = self->head ? at : body + 4;
    self->head = true;
    for (char *line; !self->over && (line = memchr(at, '\n', (size_t)(end - at))) != NULL;
         at = line + 1) {
        *line = '\0';
        lines += line > at;
        if (is_kind(at, "begun"))
            SEED_CHECK(self->asked == 0 || number_in(at, "\"revision\":") + 1 == self->asked);
        else if (line > at)
            self->take(self, at);
    }
    self->size = (size_t)(end - at);
    memmove(self->bytes, at, self->size + 1);
}

/* ---- Connections ---- */

static void leave(replica *self)
{
    if (self->fd >= 0)
        raw_reset(self->fd);
    self->fd = -1;
}

/* Up to so many bytes of what has come. */
static void listen_to(replica *self, size_t most)
{
    if (self->fd < 0)
        return;
    ssize_t const got = recv(self->fd, self->bytes + self->size, most, 0);
    if (got > 0) {
        self->size += (size_t)got;
        self->bytes[self->size] = '\0';
        SEED_CHECK(self->size + LINE < sizeof self->bytes);
        take_lines(self);
    }
    if (got == 0 || self->over)
        leave(self);
}

/* All values, as of now: the watch goes on behind that. */
static void read_again(replica *self)
{
    weir_config_status status;
    weir_config_info info;
    char name[8];
    weir_config_get_status(a.config, &status);
    for (unsigned i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        self->there[i] = weir_config_get(a.config, name, NULL, NULL, 0, &info) == WEIR_ETOOLARGE;
        self->known[i] = self->there[i] ? info.version : ANY;
    }
    self->revision = status.revision + 1;
    self->over = false;
    falls++;
}

static void come_back(replica *self)
{
    char request[128];
    if (self->fd >= 0)
        return;
    if (self->over)
        read_again(self);
    self->asked = self->revision;
    self->size = 0;
    self->head = false;
    self->fd = raw_connect();
    (void)snprintf(request, sizeof request, "GET %s&revision=%d HTTP/1.0\r\n\r\n", self->target,
                   (int)self->asked);
    raw_send(self->fd, request);
}

/* ---- The world ---- */

static void change_values(void)
{
    char names[2][8];
    char value[32];
    uint64_t const first = below(NAMES);
    weir_config_change changes[2];
    (void)snprintf(value, sizeof value, "%d", (int)below(1000000));
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%d", (int)((first + i) % NAMES));
        changes[i] = (weir_config_change){.name = names[i],
                                          .remove = below(4) == 0,
                                          .value = weir_bytes_of(value)};
    }
    int const code = weir_config_apply(a.config, changes, 1 + below(2), NULL, NULL, NULL);
    SEED_CHECK(code == WEIR_OK);
}

static void change_instances(void)
{
    weir_instance instance = WEIR_INSTANCE_INIT;
    char id[8];
    (void)snprintf(id, sizeof id, "i%d", (int)below(NAMES));
    instance.service = "s";
    instance.id = id;
    int code = WEIR_OK;
    if (below(3) > 0)
        code = weir_registry_register(a.registry, &instance, NULL, NULL);
    else if (below(2) > 0)
        code = weir_registry_deregister(a.registry, "s", id, NULL, NULL);
    else
        code = weir_registry_drain(a.registry, "s", id, true, NULL, NULL);
    SEED_CHECK(code == WEIR_OK);
}

static void run_tasks(void)
{
    weir_task const store = weir_store_task(a.store);
    weir_task const admin = weir_admin_task(a.admin);
    (void)store.run(store.self, a.space.now_ns);
    (void)admin.run(admin.self, a.space.now_ns += 20000 * MS);
    settle();
}

static void step(void)
{
    replica *const one = below(2) > 0 ? &values : &instances;
    switch (below(8)) {
    case 0: leave(one); break;
    case 1: come_back(one); break;
    case 2: listen_to(one, 1 + below(300)); break;
    case 3: run_tasks(); break;
    case 4: settle(); break;
    case 5: change_instances(); break;
    default: change_values();
    }
}

static bool knows_values(void)
{
    weir_config_info info;
    char name[8];
    for (unsigned i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        bool const there = weir_config_get(a.config, name, NULL, NULL, 0, &info) == WEIR_ETOOLARGE;
        if (values.there[i] != there || (there && values.known[i] != info.version))
            return false;
    }
    return true;
}

static bool knows_instances(void)
{
    weir_registry_view view;
    bool there[NAMES] = {false};
    weir_registry_begin(a.registry, "s", &view);
    for (size_t i = 0; i < view.count; i++)
        there[view.instances[i]->id[1] - '0'] = true;
    weir_registry_end(&view);
    return memcmp(there, instances.there, sizeof there) == 0;
}

static void follow(uint64_t seed)
{
    static const uint32_t waters[] = {1, 300, 65536};
    void *state = NULL;
    SEED_CHECK(admin_setup(&state) == 0);
    weir_http_server_destroy(f.server);
    weir__rng_seed(&rng, seed);
    serve_with(waters[below(3)]);
    values = (replica){.target = "/config?watch", .take = take_value, .fd = -1, .revision = 2};
    instances = (replica){.target = "/services?watch&service=s", .take = take_instance, .fd = -1};
    for (int i = 0; i < STEPS; i++)
        step();
    for (int i = 0; i < 1000 && !(knows_values() && knows_instances()); i++) {
        come_back(&values);
        come_back(&instances);
        run_tasks();
        listen_to(&values, 4096);
        listen_to(&instances, 4096);
    }
    SEED_CHECK(knows_values());
    SEED_CHECK(knows_instances());
    leave(&values);
    leave(&instances);
    settle();
    SEED_CHECK(weir_admin_streams(a.admin) == 0);
    SEED_CHECK(admin_teardown(&state) == 0);
}

static void streams_that_come_back_miss_nothing(void **state)
{
    (void)state;
    seeds_run(150, follow);
    assert_true(lines > 1000);
    assert_true(falls > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_that_come_back_miss_nothing),
    };
    return cmocka_run_group_tests_name("admin_sim", tests, NULL, NULL);
}
