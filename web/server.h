/* server.h - pit-web's supervisor: the sockets, and the processes behind them.
 *
 * One listening socket for each process, made once and kept while processes
 * come and go, so that a connection that arrives during a restart waits instead
 * of being refused. Never runs application code. */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include "settings.h"

/* Exit statuses of pit-web. */
enum { SERVER_EXIT_OK = 0, SERVER_EXIT_FAILED = 1, SERVER_EXIT_USAGE = 2 };

/* Serves until SIGTERM or SIGINT; a second one ends it at once. What is wrong
 * at start (a taken port, an application that cannot be loaded) is one line in
 * the log and SERVER_EXIT_USAGE. */
int server_run(const struct settings *settings);

#endif
