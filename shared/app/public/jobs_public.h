/* jobs_public.h - what the files on top of pit/jobs.h share. Pure. */
#ifndef APP_JOBS_PUBLIC_H
#define APP_JOBS_PUBLIC_H

#include "pit/jobs.h"
#include "queue/queue_control.h"

/* As queue_list() takes it: LIST_ENDED for PIT_ENDED; -1 for what is no state.
 */
int jobs_public_state(enum pit_state state);
/* Takes over what @to->verb needs. Errors: ST_INVALID what is out of range, or
 * of another verb: it is said, rather than passed over. */
CHECK enum status jobs_public_control(const struct pit_control *from,
                                      struct control *to, struct error *err);

#endif
