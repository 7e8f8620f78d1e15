/* smokehouse.h - the views and tasks that the table in smokehouse.c lists. */
#ifndef SMOKEHOUSE_H
#define SMOKEHOUSE_H

#include <pit/app.h>
#include <pit/log.h>
pit_middleware_fn middleware_timing;
pit_middleware_fn middleware_token;
pit_sync_view_fn middleware_opening_hours;

pit_view_fn view_index;
pit_view_fn view_async;
pit_sync_view_fn view_sync;
pit_view_fn view_sync_to_async;
pit_view_fn view_smoke_some_meats;
pit_view_fn view_burn_some_meats;
pit_view_fn view_note_get;
pit_view_fn view_note_put;
pit_view_fn view_report_progress;
/* Defined where SQLite was found. */
pit_view_fn view_order_post;
pit_view_fn view_order_get;
pit_async_task_fn order_receipt;
pit_task_fn orders_purge;

pit_task_fn trial_noop;
pit_task_fn trial_echo;
pit_task_fn trial_sleep;
pit_task_fn trial_spin;
pit_task_fn trial_fail;
pit_task_fn trial_flaky;
pit_task_fn trial_crash;

pit_task_fn report_packages;

pit_async_task_fn reports_nightly;
pit_task_fn reports_section;
pit_task_fn reports_join;

#endif
