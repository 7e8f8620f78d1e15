/* flow_start.h - pit flows start: a document becomes a flow.
 *
 * The document is what POST /v1/flows takes, read by the same reader. */
#ifndef CLI_FLOW_START_H
#define CLI_FLOW_START_H

#include "base/buf.h"
#include "session.h"

/* What a session's arg points to. */
struct flow_start {
    int64_t wait_ms;  /* for its end; 0: not at all */
    const char *name; /* of the file, for messages; borrowed */
    struct buf text;  /* the document */
};

/* Reads the file @path, or standard input for "-"; ->wait_ms is the caller's.
 * Errors: ST_INVALID or ST_TOO_LARGE, in words. Clear in every case. */
CHECK enum status flow_start_open(const char *path, struct flow_start *ret,
                                  struct error *err);
void flow_start_clear(struct flow_start *request);

/* For session_run(): starts it, prints its id, and waits if that was asked for.
 * Errors: ST_INVALID for whatever is wrong with the document, with file and
 * pointer in the words; Redis' status. */
CHECK enum status flow_start_run(struct co *co, struct session *session);

#endif
