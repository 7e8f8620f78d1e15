/* app_schedules.h - the schedules of an application's table, checked. */
#ifndef APP_APP_SCHEDULES_H
#define APP_APP_SCHEDULES_H

#include "app/app.h"

/* Fills app->schedules from @table; app->tasks are there. Errors: ST_INVALID,
 * ST_CONFLICT, ST_TOO_LARGE, each naming the entry. */
CHECK enum status app_schedules_resolve(const struct pit_app *table,
                                        struct app *app, struct error *err);

#endif
