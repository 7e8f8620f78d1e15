/* script.h - the queue's scripts, embedded by the build with their SHA-1.
 *
 * scripts/NAME.lua is script_NAME; each file opens with its contract. */
#ifndef QUEUE_SCRIPT_H
#define QUEUE_SCRIPT_H

#include "async/redis/rds.h"

extern const struct rds_script script_attach;
extern const struct rds_script script_control;
extern const struct rds_script script_counts;
extern const struct rds_script script_deliver;
extern const struct rds_script script_enqueue;
extern const struct rds_script script_explain;
extern const struct rds_script script_flow;
extern const struct rds_script script_get;
extern const struct rds_script script_list;
extern const struct rds_script script_log;
extern const struct rds_script script_logs;
extern const struct rds_script script_look;
extern const struct rds_script script_operation_list;
extern const struct rds_script script_operation_stop;
extern const struct rds_script script_operation_take;
extern const struct rds_script script_operation_tell;
extern const struct rds_script script_progress;
extern const struct rds_script script_purge;
extern const struct rds_script script_renew;
extern const struct rds_script script_schedule_delete;
extern const struct rds_script script_schedule_due;
extern const struct rds_script script_schedule_fire;
extern const struct rds_script script_schedule_get;
extern const struct rds_script script_schedule_put;
extern const struct rds_script script_schedule_trigger;
extern const struct rds_script script_settings;
extern const struct rds_script script_wait;
extern const struct rds_script script_watch;
extern const struct rds_script script_work;

#endif
