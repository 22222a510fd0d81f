/* The mesh's own parts: directives (policy*.c), members (members.c), services (service.c), and what
 * is followed (mesh.c). */
#ifndef WEIR_SRC_MESH_MESH_H
#define WEIR_SRC_MESH_MESH_H

#include <weir/mesh.h>

#include "base/map.h"
#include "mesh/policy.h"

/* Members as the directive has them. */
typedef struct weir__mesh_members {
    const weir_env *env; /* Borrowed. */
    char *text;          /* Cut into strings. */
    size_t text_size;
    weir_member *list;
    size_t count, capacity;
    weir__map ids;
} weir__mesh_members;

void weir__mesh_members_init(weir__mesh_members *members, const weir_env *env);
void weir__mesh_members_free(weir__mesh_members *members);
/* Once. WEIR_OK, WEIR_ENOMEM, or WEIR_EINVAL with the complaint, and *line, from 1. */
int weir__mesh_members_parse(weir__mesh_members *members, weir_bytes value, uint32_t *line,
                             weir__complaint *complaint);

struct weir_mesh_service {
    weir_mesh *mesh;
    weir_mesh_service *next;
    weir_caller *caller;
    weir_task task; /* The caller's, */
    uint64_t due_ns;
    weir_registry_watch *watch;
    weir__policy policy; /* In force. */
    weir_caller_options options;
    weir__mesh_members fixed;     /* Those of the directive. */
    uint64_t generation;          /* Of the registry's view that is in force. */
    uint32_t users;               /* 0: to be freed. */
    bool asked;                   /* By weir_mesh_caller(): one of the users. */
    bool policy_due, members_due; /* To be read again, */
    bool put_due;                 /* to be put in force. */
    size_t bytes;
    char name[];
};

struct weir_mesh {
    weir_mesh_options options;
    weir_env env;
    weir__map services; /* By name; */
    weir_mesh_service *first;
    weir_config_watcher *watch; /* NULL: to be started anew, unless it is closed. */
    bool closed;
    uint64_t syncs;   /* Of the config, when all was last taken from it. */
    unsigned running; /* Services are gone through: none is freed. */
    bool woken;       /* Nobody needs to be told again. */
    weir_mesh_stats stats;
    size_t prefix_size;
    char prefix[]; /* And "**" behind it, as a pattern. */
};

/* Tells of it. */
void weir__mesh_tell(weir_mesh_service *service, weir_mesh_event_kind kind);
void weir__mesh_problem(weir_mesh_service *service, const char *name,
                        const weir__complaint *complaint, uint32_t line);
void weir__mesh_wake(weir_mesh *mesh);

/* The value of a directive of a service, in `out` of `room`; or WEIR_ENOTFOUND, WEIR_ETOOLARGE.
 * `name`, of WEIR_CONFIG_NAME_SIZE: where it is. */
int weir__mesh_get(const weir_mesh_service *service, const char *directive, char *name, void *out,
                   size_t room, size_t *size);
bool weir__mesh_accepts(const weir_mesh *mesh, const weir_instance *instance, const char *address);

/* In members.c, each WEIR_OK or WEIR_ENOMEM. The directive is read: one that is malformed, though
 * written by others, leaves what it was. */
int weir__mesh_read_members(weir_mesh_service *service);
int weir__mesh_put_members(weir_mesh_service *service);
/* In service.c: does what is due; when to do so again. */
uint64_t weir__mesh_service_run(weir_mesh_service *service, uint64_t now_ns);
void weir__mesh_reap(weir_mesh *mesh);
/* Whether it can be the name of a service: "_" stands for all. */
bool weir__mesh_name_ok(const char *name, size_t size);

#endif
