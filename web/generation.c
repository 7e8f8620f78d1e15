/* Generation: settings, access log, sockets and the keys of TLS tickets. */
#include "generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/str.h"

static enum status
open_access_log(struct generation *generation, struct error *err)
{
    const char *path = generation->settings.access_log;

    if (!path)
        return ST_OK;
    if (str_eq_c(str_c(path), "-")) {
        generation->access_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    } else {
        generation->access_fd =
            open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    }
    if (generation->access_fd < 0)
        return error_set_sys(err, ST_INVALID, errno, "--access-log %s", path);
    return ST_OK;
}

void
generation_unref(struct generation *generation)
{
    if (!generation || --generation->refs > 0)
        return;
    sockets_close(&generation->sockets);
    if (generation->access_fd >= 0)
        close(generation->access_fd);
    settings_clear(&generation->settings);
    free(generation);
}

enum status
generation_new(const struct settings_source *source, struct generation **ret,
               struct error *err)
{
    struct generation *generation = xcalloc(1, sizeof *generation);

    generation->refs = 1;
    generation->access_fd = -1;
    random_bytes(generation->ticket_key, sizeof generation->ticket_key);
    enum status st = settings_load(source, &generation->settings, err);
    if (st == ST_OK)
        st = open_access_log(generation, err);
    if (st == ST_OK)
        *ret = generation;
    else
        generation_unref(generation);
    return st;
}
