/* pit-web: reads its settings and becomes the supervisor. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/process.h"
#include "server.h"
#include "settings.h"

int
main(int argc, char **argv)
{
    struct settings settings = {0};
    enum log_level level = LOG_LEVEL_INFO;
    struct error err;
    int words = 0;

    log_init("pit-web", LOG_LEVEL_INFO, false);
    process_title_init(argc, argv);
    if (config_wants(argc, argv, "--help")) {
        config_help(&settings_program, stdout);
        return SERVER_EXIT_OK;
    }
    if (config_wants(argc, argv, "--version")) {
        puts("pit-web " PIT_VERSION);
        return SERVER_EXIT_OK;
    }
    enum status st =
        config_load(&settings_program, argc, argv, &settings, &words, &err);
    if (st == ST_OK && words > 1)
        st =
            error_set(&err, ST_INVALID,
                      "there is no argument '%s'; see pit-web --help", argv[1]);
    if (st == ST_OK)
        st = settings_check(&settings, &level, &err);
    if (st != ST_OK) {
        log_error("%s", err.msg);
        config_clear(&settings_program, &settings);
        return SERVER_EXIT_USAGE;
    }
    log_init("pit-web", level, settings.log_json);
    process_set_name("pit-web");
    int exit_status = server_run(&settings);
    config_clear(&settings_program, &settings);
    return exit_status;
}
