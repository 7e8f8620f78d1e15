/* job_feed.h - one job, followed until it has ended: its states, its progress,
 * its log.
 *
 * Changes are only a hint to look (queue/changes.h): each time the job is
 * looked at, and what is new of it is said. So a feed can begin, and begin
 * again, at any moment, and nothing is lost but states that followed fast on
 * each other. Ids are those of log lines, and "<line>:end" of the end.
 *
 * Loop thread only; one coroutine at a time. */
#ifndef APP_JOB_FEED_H
#define APP_JOB_FEED_H

#include "app/document/feed.h"

struct job_feed;

/* Begins behind @after (the id of an event; empty or none of ours: from the
 * oldest line that is kept). @queues and @changes are borrowed; NULL where a
 * test's script answers. Suspends. *ret is freed with job_feed_free(). Errors:
 * ST_NOT_FOUND, ST_GONE as queue_get(); as changes_join(). */
CHECK enum status job_feed_open(struct co *co, struct queues *queues,
                                struct changes *changes, struct job_id id,
                                struct str after, struct job_feed **ret,
                                struct error *err);
/* NULL is fine. */
void job_feed_free(struct job_feed *feed);
/* The job has ended, and all of it was said, here or before @after. */
bool job_feed_over(const struct job_feed *feed);
/* Suspends until there is something to say, at most @timeout_ms >= 0
 * (ST_TIMEOUT). Errors: ST_GONE it is over; as queue_get() when the job was
 * deleted meanwhile; Redis' status: ask again, nothing is left out; the
 * coroutine's cancellation. */
CHECK enum status job_feed_next(struct co *co, struct job_feed *feed,
                                int64_t timeout_ms, struct feed_event *ret,
                                struct error *err);

#endif
