/*
 * A fuzzer is one LLVMFuzzerTestOneInput(). Built with -DWEIR_LIBFUZZER -fsanitize=fuzzer it is
 * driven by libFuzzer; built plainly it replays the files, and those in the directories, that it
 * is given: how a corpus becomes a test.
 */
#ifndef WEIR_TEST_FUZZ_H
#define WEIR_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that no -DNDEBUG takes away. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#ifndef WEIR_LIBFUZZER
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static int fuzz_replay_file(const char *path, size_t size)
{
    FILE *const file = fopen(path, "rb");
    /* Exactly as long as the input, so that a sanitizer sees one byte too far. */
    uint8_t *const data = malloc(size > 0 ? size : 1);
    int ran = 0;
    if (file != NULL && data != NULL && fread(data, 1, size, file) == size) {
        (void)LLVMFuzzerTestOneInput(data, size);
        ran = 1;
    } else {
        (void)fprintf(stderr, "cannot read %s\n", path);
    }
    free(data);
    if (file != NULL)
        (void)fclose(file);
    return ran;
}

/* How many inputs ran; -1 when one could not. */
static int fuzz_replay(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        (void)fprintf(stderr, "no such file: %s\n", path);
        return -1;
    }
    if (!S_ISDIR(about.st_mode))
        return fuzz_replay_file(path, (size_t)about.st_size) ? 1 : -1;
    DIR *const dir = opendir(path);
    if (dir == NULL)
        return -1;
    int total = 0;
    /* One thread, one stream: NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (const struct dirent *entry; total >= 0 && (entry = readdir(dir)) != NULL;) {
        char name[4096];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int const ran = fuzz_replay(name);
        total = ran < 0 ? -1 : total + ran;
    }
    (void)closedir(dir);
    return total;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int const ran = fuzz_replay(argv[i]);
        if (ran < 0)
            return 1;
        total += ran;
    }
    (void)printf("%s: %d inputs replayed\n", argv[0], total);
    return 0;
}
#endif

#endif
