/* replay - a corpus as a plain test.
 *
 * Calls the target with each file of the folders named, and with each of its
 * beginnings, which is where parsers that take a piece at a time break. An
 * empty corpus fails: it would test nothing. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { INPUT_MAX = 1024 * 1024, PREFIX_MAX = 2048 };

static int
replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "replay: %s: %m\n", path);
        return 1;
    }
    uint8_t *data = malloc(INPUT_MAX);
    size_t size = data ? fread(data, 1, INPUT_MAX, file) : 0;
    fclose(file);
    for (size_t n = 0; n <= size && n < PREFIX_MAX; n++) {
        /* A block of its own, so that a read past the end is found. */
        uint8_t *piece = malloc(n ? n : 1);
        if (!piece)
            abort();
        if (n)
            memcpy(piece, data, n);
        LLVMFuzzerTestOneInput(piece, n);
        free(piece);
    }
    if (data)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int
replay_folder(const char *folder, int *count)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        fprintf(stderr, "replay: %s: %m\n", folder);
        return 1;
    }
    int failed = 0;
    struct dirent *entry = NULL;
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        failed |= replay_file(path);
        ++*count;
    }
    closedir(dir);
    return failed;
}

int
main(int argc, char **argv)
{
    int count = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay_folder(argv[i], &count);
    printf("%d inputs\n", count);
    return failed || count == 0;
}
