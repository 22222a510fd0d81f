#ifndef WEIR_SRC_STORE_FILES_H
#define WEIR_SRC_STORE_FILES_H
typedef struct weir__files {
    void *user;
} weir__files;
extern const weir__files weir__files_posix;
#endif
