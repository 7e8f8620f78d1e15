/* jobs_public.h - what the files on top of pit/jobs.h share. Pure. */
#ifndef APP_JOBS_PUBLIC_H
#define APP_JOBS_PUBLIC_H

#include "pit/jobs.h"

/* As queue_list() takes it: LIST_ENDED for PIT_ENDED; -1 for what is no state.
 */
int jobs_public_state(enum pit_state state);

#endif
