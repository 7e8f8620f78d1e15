/* contrast_servers.h - a private Redis, pit-web and pit-worker of one's own.
 *
 * Everything lives in a temporary folder and on unix sockets in it, so that
 * nothing of the machine is touched and no port is taken. Each program is a
 * process group of its own and dies with this process. One owner; nothing here
 * is for a program that serves anybody. */
#ifndef CLI_CONTRAST_SERVERS_H
#define CLI_CONTRAST_SERVERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { CONTRAST_PATH_MAX = 256 };

struct contrast_servers {
    char folder[64];
    char web_socket[96];
    char redis_url[112];
    char done[96];                    /* the file that the work writes to */
    char programs[CONTRAST_PATH_MAX]; /* the folder with pit-web */
    char app[CONTRAST_PATH_MAX + 64]; /* contrast.so */
    pid_t redis, web, worker;
    bool made;
};

/* What the work is. */
struct contrast_work {
    int64_t wait_ms;
    int64_t cpu_us;
};

/* Finds the programs beside this one, makes the folder and starts all three;
 * returns when the web front answers and a job went through. Errors:
 * ST_NOT_FOUND a program or the application is missing; ST_UNAVAILABLE one did
 * not start, its last line is in the text; ST_CANCELLED by a signal. Call
 * contrast_servers_clear() in any case. */
CHECK enum status contrast_servers_start(struct contrast_servers *servers,
                                         const struct contrast_work *work,
                                         struct error *err);
/* kill -9 for pit-web and pit-worker with all their children; Redis stays. */
void contrast_servers_kill(struct contrast_servers *servers);
/* Starts both anew. Errors as contrast_servers_start(). */
CHECK enum status contrast_servers_revive(struct contrast_servers *servers,
                                          struct error *err);
/* Ends all and removes the folder. Zeroed and half made ones are fine. */
void contrast_servers_clear(struct contrast_servers *servers);

/* True once SIGINT or SIGTERM came. */
bool contrast_servers_interrupted(void);

#endif
