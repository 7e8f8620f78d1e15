/* pit - the command line: see command.c. */
#include <signal.h>

#include "base/log.h"
#include "command.h"

int
main(int argc, char **argv)
{
    log_init("pit", LOG_LEVEL_ERROR, false);
    /* A reader that went away is told by write(), not by a signal. */
    signal(SIGPIPE, SIG_IGN);
    return command_main(argc, argv);
}
