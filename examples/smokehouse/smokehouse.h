/* smokehouse.h - the views and tasks that the table in smokehouse.c lists. */
#ifndef SMOKEHOUSE_H
#define SMOKEHOUSE_H

#include <pit/app.h>
#include <pit/log.h>

pit_view_fn view_index;
pit_view_fn view_async;
pit_view_fn view_sync_to_async;
pit_view_fn view_smoke_some_meats;
pit_view_fn view_burn_some_meats;

pit_task_fn trial_noop;
pit_task_fn trial_echo;
pit_task_fn trial_sleep;
pit_task_fn trial_spin;
pit_task_fn trial_fail;
pit_task_fn trial_flaky;
pit_task_fn trial_crash;

pit_task_fn report_packages;

#endif
