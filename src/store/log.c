/* In memory alone, for now. */
#include "store/log.h"
const weir__files weir__files_posix;
int weir__log_open(weir__log **out, const weir__log_options *o, weir__log_replay_fn r, void *u,
                   weir_store_error *e)
{
    *out = 0;
    (void)o;
    (void)r;
    (void)u;
    (void)e;
    return WEIR_ESYSTEM;
}
void weir__log_close(weir__log *l)
{
    (void)l;
}
int weir__log_append(weir__log *l, uint64_t r, const void *d, size_t s)
{
    (void)l;
    (void)r;
    (void)d;
    (void)s;
    return 0;
}
void weir__log_forget(weir__log *l)
{
    (void)l;
}
int weir__log_flush(weir__log *l, bool s)
{
    (void)l;
    (void)s;
    return 0;
}
int weir__log_snapshot_begin(weir__log *l, uint64_t r)
{
    (void)l;
    (void)r;
    return 0;
}
int weir__log_snapshot_add(weir__log *l, const void *d, size_t s)
{
    (void)l;
    (void)d;
    (void)s;
    return 0;
}
int weir__log_snapshot_end(weir__log *l)
{
    (void)l;
    return 0;
}
void weir__log_snapshot_abort(weir__log *l)
{
    (void)l;
}
uint64_t weir__log_bytes(const weir__log *l)
{
    (void)l;
    return 0;
}
uint64_t weir__log_snapshot_bytes(const weir__log *l)
{
    (void)l;
    return 0;
}
uint64_t weir__log_snapshot_revision(const weir__log *l)
{
    (void)l;
    return 0;
}
uint64_t weir__log_syncs(const weir__log *l)
{
    (void)l;
    return 0;
}
const weir_store_error *weir__log_error(const weir__log *l)
{
    (void)l;
    return 0;
}
