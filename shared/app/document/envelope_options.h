/* envelope_options.h - the fields of an enqueue's body by which a job is tied
 * to others: unique, limit, callback, after. For envelope.c's table. */
#ifndef APP_ENVELOPE_OPTIONS_H
#define APP_ENVELOPE_OPTIONS_H

#include "app/document/envelope.h"

/* {"key": "...", "while": "running", "ttl": "10m", "on_conflict": "reject"} */
CHECK enum status envelope_options_unique(struct jsontext value,
                                          struct arena *arena,
                                          struct envelope *envelope,
                                          struct error *err);
/* {"key": "...", "concurrency": 5, "rate": "100/m"} */
CHECK enum status envelope_options_limit(struct jsontext value,
                                         struct arena *arena,
                                         struct envelope *envelope,
                                         struct error *err);
/* {"url": "https://...", "on": ["succeeded", "dead"]} */
CHECK enum status envelope_options_callback(struct jsontext value,
                                            struct arena *arena,
                                            struct envelope *envelope,
                                            struct error *err);
/* ["<job id>", ...]: none twice. */
CHECK enum status envelope_options_after(struct jsontext value,
                                         struct arena *arena,
                                         struct envelope *envelope,
                                         struct error *err);

#endif
