/* output.h - a file that is there as a whole or not at all.
 *
 * It is written beside its place under another name and renamed at the end, so
 * a crash in the middle, or a second attempt of the same job, never leaves half
 * a file behind under the right name. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct output {
    FILE *file;
    char path[PATH_MAX];
    char temporary[PATH_MAX];
};

/* Makes the folder and those above it. False with errno. */
bool output_folder(const char *path);
/* Opens @folder/@name for writing. False with errno. */
bool output_open(struct output *output, const char *folder, const char *name);
/* Puts it in its place. False with errno: then nothing was changed there. */
bool output_done(struct output *output);
/* Drops what was not done; harmless afterwards, for every way out. */
void output_clear(struct output *output);

#endif
