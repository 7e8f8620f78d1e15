/* pit-web: keeps its command line and becomes the supervisor. */
#include <stdio.h>

#include "base/config_man.h"
#include "base/log.h"
#include "base/process.h"
#include "server.h"
#include "settings.h"

int
main(int argc, char **argv)
{
    struct settings_source source;

    log_init("pit-web", LOG_LEVEL_INFO, false);
    if (config_wants(argc, argv, "--help")) {
        config_help(&settings_program, stdout);
        return SERVER_EXIT_OK;
    }
    if (config_wants(argc, argv, "--man")) { /* for the build */
        config_man(&settings_program, PIT_VERSION, NULL, stdout);
        return SERVER_EXIT_OK;
    }
    if (config_wants(argc, argv, "--version")) {
        puts("pit-web " PIT_VERSION);
        return SERVER_EXIT_OK;
    }
    process_title_init(argc, argv);
    settings_source_init(&source, argc, argv);
    process_set_name("pit-web");
    int exit_status = server_run(&source);
    settings_source_clear(&source);
    return exit_status;
}
