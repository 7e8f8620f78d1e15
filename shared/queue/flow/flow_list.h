/* flow_list.h - flows over all queues, the newest first, page by page. */
#ifndef QUEUE_FLOW_LIST_H
#define QUEUE_FLOW_LIST_H

#include "queue/flow/flow.h"

/* Room for a cursor as text, with its NUL. */
enum { FLOW_LIST_CURSOR_SIZE = 24 + ID_LOCAL_MAX };

struct flow_found {
    struct flow_listed flow;
    char queue[ID_QUEUE_MAX + 1];
};

/* Those of @queue, or of all when it is empty, behind @after (NULL: from the
 * newest on), at most @n (1..FLOW_LIST_MAX). Some may be past their retention.
 * *ret is one allocation, freed with free(). When there are @n, more may follow
 * behind the last. Suspends. Errors: Redis' status. */
CHECK enum status flow_list_newest(struct co *co, struct queues *queues,
                                   struct str queue,
                                   const struct flow_listed *after, size_t n,
                                   struct flow_found **ret, size_t *ret_n,
                                   struct error *err);
/* A place as text for a client, and back; false for what is none. */
void flow_list_cursor(const struct flow_listed *flow,
                      char dst[FLOW_LIST_CURSOR_SIZE]);
CHECK bool flow_list_cursor_parse(struct str text, struct flow_listed *ret);

#endif
