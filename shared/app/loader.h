/* loader.h - an application's shared object, loaded into this process.
 *
 * Nothing is global: a supervisor can stay without application code and let
 * each child load it after the fork. Loading runs the object's constructors,
 * so it is refused before that when somebody else could have written the file
 * (an application is code that runs as this user). Loop-free;
 * call it before any thread is started. */
#ifndef APP_LOADER_H
#define APP_LOADER_H

#include "app/app.h"
#include "base/error.h"

struct loader {
    void *handle; /* dlopen()'s; NULL when nothing is loaded */
    struct app app;
};

/* Loads the object at @path (relative to the working directory; no search path)
 * and checks its table. Errors, one line each: ST_NOT_FOUND no such file;
 * ST_FORBIDDEN file or directory can be written by others; ST_INVALID not a
 * shared object, no pit_app in it, or as app_init(). *ret is untouched on
 * failure. */
CHECK enum status loader_open(const char *path, struct loader *ret,
                              struct error *err);
/* Unloads; nothing of the application may be called or read any more. NULL and
 * a zeroed struct are fine. */
void loader_close(struct loader *loader);

#endif
