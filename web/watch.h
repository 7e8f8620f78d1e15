/* watch.h - notices that files have been written anew: for --reload.
 *
 * Looks at the folders, not at the files, so that one which is replaced by
 * rename, as compilers and editors do, is noticed too. Supervisor only. */
#ifndef WEB_WATCH_H
#define WEB_WATCH_H

#include <stdbool.h>

enum { WATCH_FILES_MAX = 4 };

struct watch {
    int fd; /* inotify; readable when something happened */
    struct {
        int folder; /* inotify's number of it */
        char name[256];
    } files[WATCH_FILES_MAX];
    int len;
};

/* Starts to look at nothing. False: the system has none left; it is logged. */
bool watch_init(struct watch *watch);
/* NULL is fine. A file that cannot be looked at is logged and left out. */
void watch_add(struct watch *watch, const char *path);
/* Forgets all files. */
void watch_reset(struct watch *watch);
/* Reads what happened: true when one of the files was written or replaced. */
bool watch_read(struct watch *watch);

#endif
