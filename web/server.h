/* server.h - pit-web's supervisor: the sockets, and the processes behind them.
 *
 * Forks the processes, starts again what dies, and replaces all of them on
 * SIGHUP by ones with the settings, the application and the certificates as
 * they are then. Never runs application code itself. Signals:
 *
 *   SIGTERM SIGINT  stop: no new connection, what is under way gets --grace; a
 *                   second one ends it at once
 *   SIGHUP          reload; what is wrong is logged, and the old ones go on
 *   SIGTTIN SIGTTOU one process more, one less (until the next reload)
 *   SIGUSR1         every process logs its coroutines (dump.h) */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include "settings.h"

/* Exit statuses of pit-web. */
enum { SERVER_EXIT_OK = 0, SERVER_EXIT_FAILED = 1, SERVER_EXIT_USAGE = 2 };

/* Serves until SIGTERM or SIGINT; a second one ends it at once. What is wrong
 * at start (a bad setting, a taken port, an application that cannot be loaded)
 * is one line in the log and SERVER_EXIT_USAGE. */
int server_run(const struct settings_source *source);

#endif
