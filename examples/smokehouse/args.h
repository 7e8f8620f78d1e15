/* args.h - reads a job's args by a table of what is known.
 *
 * Bad args stay bad however often they are tried, so each complaint ends the
 * job with PIT_PERMANENT and says which member is wrong and what it may be. */
#ifndef ARGS_H
#define ARGS_H

#include <pit/job.h>

/* One member; exactly one of @number and @text is set and holds the value that
 * counts when the member is absent. */
struct arg {
    const char *name; /* NULL ends the table */
    double *number;
    double min, max;   /* of the number */
    const char **text; /* not empty; lent until the task returns */
};

/* PIT_OK, or PIT_PERMANENT: end with it. A member that the table does not know
 * is refused, since it is a typing mistake more often than not. */
enum pit_status args_read(struct pit_job *job, const struct arg *known);

#endif
