/* A folder for a store, and its end. */
#ifndef WEIR_TEST_STORE_FOLDER_H
#define WEIR_TEST_STORE_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char store_folder[64];

static inline const char *store_folder_make(void)
{
    (void)snprintf(store_folder, sizeof store_folder, "/tmp/weir-store-XXXXXX");
    return mkdtemp(store_folder);
}

static inline void store_folder_remove(void)
{
    DIR *const names = opendir(store_folder);
    if (names == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(names)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(names), entry->d_name, 0);
    (void)closedir(names);
    (void)rmdir(store_folder);
}

#endif
