/* pit-worker: options, and then the supervisor. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "async/curl/mail.h"
#include "base/config.h"
#include "base/config_man.h"
#include "base/log.h"
#include "base/process.h"
#include "board.h"
#include "dispatcher.h"
#include "options.h"
#include "probe.h"
#include "supervisor.h"
#include "webhook.h"

#define OPTION(field) offsetof(struct options, field)

static const struct config_option options[] = {
    {"redis", "URL", CONFIG_STRING, OPTION(redis), "redis://127.0.0.1:6379", 0,
     0, true, "redis://[user:password@]host[:port][/db] or unix:///path"},
    {"app", "FILE", CONFIG_STRING, OPTION(app), NULL, 0, 0, false,
     "the application's shared object"},
    {"queues", "A:3,B:1", CONFIG_STRING, OPTION(queues), NULL, 0, 0, false,
     "queues to serve, with weights; default: the application's and `default`"},
    {"slots", "N", CONFIG_INT, OPTION(slots), "0", 0, OPTIONS_SLOTS_MAX, false,
     "tasks run at once, each in a child process; 0: one a CPU"},
    {"async", "N", CONFIG_INT, OPTION(async), "256", 0, BOARD_PLACES_MAX, false,
     "async tasks run at once, all in one child process; 0: none"},
    {"lease", "TIME", CONFIG_DURATION, OPTION(lease_ms), "15s", 1000, 3600000,
     false, "how long a silent worker keeps a job; renewed at a third"},
    {"grace", "TIME", CONFIG_DURATION, OPTION(grace_ms), "25s", 0, 86400000,
     false, "what running tasks get after SIGTERM"},
    {"kill-grace", "TIME", CONFIG_DURATION, OPTION(kill_grace_ms), "2s", 0,
     600000, false, "from a task's cancellation or timeout to SIGKILL"},
    {"max-jobs-per-child", "N", CONFIG_INT, OPTION(max_jobs), "0", 0,
     1000000000, false, "start a child anew after so many; 0: never"},
    {"max-child-rss", "BYTES", CONFIG_BYTES, OPTION(max_rss), "0", 0,
     INT64_C(1) << 50, false, "start a child anew above this; 0: never"},
    {"webhook-secret", "KEY[,KEY]", CONFIG_STRING, OPTION(webhook_secret), NULL,
     0, 0, true,
     "signs callbacks: whsec_ and 24..64 bytes in base64; two while "
     "one is replaced"},
    {"webhook-secret-file", "FILE", CONFIG_STRING, OPTION(webhook_secret_file),
     NULL, 0, 0, false, "the same from a file, one a line"},
    {"webhook-allow", "CIDR,...", CONFIG_STRING, OPTION(webhook_allow), NULL, 0,
     0, false, "private addresses that callbacks may go to"},
    {"smtp", "URL", CONFIG_STRING, OPTION(smtp), NULL, 0, 0, true,
     "the mail server: smtp://[user:password@]host[:port] or smtps://...; log: "
     "mails are not sent, but logged"},
    {"mail-from", "ADDRESS", CONFIG_STRING, OPTION(mail_from), NULL, 0, 0,
     false, "the sender of mails that name none"},
    {"log-level", "LEVEL", CONFIG_STRING, OPTION(log_level), "info", 0, 0,
     false, "debug, info, warn or error"},
    {"log-json", NULL, CONFIG_BOOL, OPTION(log_json), NULL, 0, 0, false,
     "one JSON object a line"},
    {0},
};

static const struct config_program program = {
    .name = "pit-worker",
    .synopsis = "pit-worker --app FILE [OPTION...]",
    .about = "Runs the tasks of an application: claims jobs from Redis and "
             "runs each in one of several child processes.",
    .options = options,
};

static enum status
read_level(const char *name, enum log_level *ret, struct error *err)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum log_level)i;
            return ST_OK;
        }
    return error_set(err, ST_INVALID,
                     "--log-level: '%.40s' is none of debug, info, warn, error",
                     name);
}

/* What the table cannot check, and what the application says. */
static enum status
prepare(struct options *values, struct probe *probe, struct error *err)
{
    struct dispatcher_queue queues[OPTIONS_QUEUES_MAX];
    enum log_level level = LOG_LEVEL_INFO;
    struct webhook webhook = {0};
    size_t n;

    enum status st = read_level(values->log_level, &level, err);
    if (st != ST_OK)
        return st;
    log_init("pit-worker", level, values->log_json);
    if (!values->app || !*values->app)
        return error_set(err, ST_INVALID,
                         "--app is missing: the shared object with the tasks");
    if (values->smtp) {
        st = mail_server_check(
            &(struct mail_server){values->smtp, values->mail_from}, err);
        if (st != ST_OK)
            return st;
    }
    st = probe_app(values->app, probe, err);
    if (st != ST_OK)
        return st;
    if (values->slots == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        values->slots = cpus < 1                   ? 1
                        : cpus > OPTIONS_SLOTS_MAX ? OPTIONS_SLOTS_MAX
                                                   : cpus;
    }
    st = webhook_init(&webhook, values, err);
    webhook_clear(&webhook);
    if (st != ST_OK)
        return st;
    if (geteuid() == 0)
        log_warn("running as root; tasks can do anything on this machine");
    return dispatcher_queues(values, probe, queues, &n, err);
}

int
main(int argc, char **argv)
{
    struct options values = {0};
    struct probe probe = {0};
    struct error err;
    int status = 2;

    process_title_init(argc, argv);
    log_init("pit-worker", LOG_LEVEL_INFO, false);
    if (config_wants(argc, argv, "--help")) {
        config_help(&program, stdout);
        return 0;
    }
    if (config_wants(argc, argv, "--man")) { /* for the build */
        config_man(&program, PIT_VERSION, NULL, stdout);
        return 0;
    }
    if (config_wants(argc, argv, "--version")) {
        puts("pit-worker " PIT_VERSION);
        return 0;
    }
    if (config_load(&program, argc, argv, &values, &argc, &err) != ST_OK) {
        fprintf(stderr, "pit-worker: %s\n", err.msg);
        return 2;
    }
    if (argc > 1)
        fprintf(stderr, "pit-worker: '%s' is no option; see --help\n", argv[1]);
    else if (prepare(&values, &probe, &err) != ST_OK)
        fprintf(stderr, "pit-worker: %s\n", err.msg);
    else
        status = supervisor_run(&values, &probe);
    probe_clear(&probe);
    config_clear(&program, &values);
    return status;
}
