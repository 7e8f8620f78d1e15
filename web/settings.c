/* Settings: the table. Every limit of the front is an option, with the default
 * that docs/http.md gives, so that none of them is a number in the code only.
 */
#include "settings.h"

#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "async/curl/mail.h"
#include "http/parser.h"

#define FIELD(name) offsetof(struct settings, name)
#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define SECOND INT64_C(1000)
#define HOUR (SECOND * 3600)

static const struct config_option options[] = {
    {"redis", "URL", CONFIG_STRING, FIELD(redis), "redis://127.0.0.1:6379", 0,
     0, true,
     "where the queue lives: redis://[user:password@]host[:port][/db] "
     "or unix:///path"},
    {"app", "FILE", CONFIG_STRING, FIELD(app), NULL, 0, 0, false,
     "the application's shared object; without one only the API is served"},
    {"listen", "ADDRESS", CONFIG_LIST, FIELD(listen), NULL, 0, 0, false,
     "ADDR:PORT, [IPV6]:PORT, unix:/path or systemd, https:// before it for "
     "TLS; several times, or with commas; 127.0.0.1:8000 if none is named or "
     "handed over"},
    {"processes", "N", CONFIG_INT, FIELD(processes), "0", 0,
     SETTINGS_PROCESSES_MAX, false, "web processes; 0 is one for each CPU"},
    {"max-body", "BYTES", CONFIG_BYTES, FIELD(max_body), "1MiB", KIB,
     MIB * 1024, false, "largest request body"},
    {"max-batch-body", "BYTES", CONFIG_BYTES, FIELD(max_batch_body), "64MiB",
     KIB, MIB * 1024, false, "largest body of POST /v1/jobs:batch"},
    {"view-timeout", "TIME", CONFIG_DURATION, FIELD(view_timeout), "30s", 1,
     HOUR * 24, false, "for a view that sets no timeout of its own"},
    {"threads", "N", CONFIG_INT, FIELD(threads), "8", 1, 256, false,
     "threads of one process for files, pit_await_thread() and sync "
     "middleware"},
    {"sync-threads", "N", CONFIG_INT, FIELD(sync_threads), "8", 1, 256, false,
     "threads of one process for sync views"},
    {"sync-queue", "N", CONFIG_INT, FIELD(sync_queue), "1024", 1, 65536, false,
     "requests of one process that wait for such a thread; above it 503"},
    {"smtp", "URL", CONFIG_STRING, FIELD(smtp), NULL, 0, 0, true,
     "the mail server: smtp://[user:password@]host[:port] or smtps://...; log: "
     "mails are not sent, but logged"},
    {"mail-from", "ADDRESS", CONFIG_STRING, FIELD(mail_from), NULL, 0, 0, false,
     "the sender of mails that name none"},
    {"grace", "TIME", CONFIG_DURATION, FIELD(grace), "25s", 0, HOUR * 24, false,
     "for requests under way after SIGTERM"},
    {"redis-timeout", "TIME", CONFIG_DURATION, FIELD(redis_timeout), "2s", 10,
     HOUR, false, "for one Redis command"},
    {"max-request-line", "BYTES", CONFIG_BYTES, FIELD(max_request_line), "8KiB",
     256, KIB * 64, false, "longest request line"},
    {"max-head", "BYTES", CONFIG_BYTES, FIELD(max_head), "16KiB", KIB,
     KIB * 256, false, "largest request head, its request line included"},
    {"max-fields", "N", CONFIG_INT, FIELD(max_fields), "64", 1,
     PARSER_FIELDS_MAX, false, "header fields of a request"},
    {"max-requests", "N", CONFIG_INT, FIELD(max_requests), "10000", 1,
     INT32_MAX, false, "requests of one connection"},
    {"max-in-flight", "N", CONFIG_INT, FIELD(max_in_flight), "8192", 1, 65536,
     false, "requests under way in one process; above it 503"},
    {"max-connections", "N", CONFIG_INT, FIELD(max_connections), "10000", 1,
     1000000, false, "connections of one process; above it none is accepted"},
    {"head-timeout", "TIME", CONFIG_DURATION, FIELD(head_timeout), "10s", 1,
     HOUR, false, "for a complete request head"},
    {"body-timeout", "TIME", CONFIG_DURATION, FIELD(body_timeout), "30s", 1,
     HOUR, false, "for a complete request body"},
    {"idle-timeout", "TIME", CONFIG_DURATION, FIELD(idle_timeout), "15s", 1,
     HOUR, false, "for a connection between two requests"},
    {"write-timeout", "TIME", CONFIG_DURATION, FIELD(write_timeout), "30s", 1,
     HOUR, false, "for a client that reads nothing of its answer"},
    {"tls-cert", "FILE", CONFIG_STRING, FIELD(tls_cert), NULL, 0, 0, false,
     "PEM, certificate and chain, for addresses with https://"},
    {"tls-key", "FILE", CONFIG_STRING, FIELD(tls_key), NULL, 0, 0, false,
     "PEM, its private key, without a password"},
    {"trusted-proxy", "NETWORKS", CONFIG_LIST, FIELD(trusted_proxy), NULL, 0, 0,
     false,
     "proxies whose word about the client counts: 10.0.0.0/8, ::1, unix; with "
     "commas"},
    {"proxy-header", "KIND", CONFIG_STRING, FIELD(proxy_header), "x-forwarded",
     0, 0, false,
     "what they set: x-forwarded (X-Forwarded-For, -Proto, -Host) or "
     "forwarded"},
    {"body-rate", "BYTES", CONFIG_BYTES, FIELD(body_rate), "1KiB", 1,
     MIB * 1024, false,
     "a second, that a request body must come at after its first 5 s"},
    {"write-rate", "BYTES", CONFIG_BYTES, FIELD(write_rate), "1KiB", 1,
     MIB * 1024, false,
     "a second, that a client must take of its answer in --write-timeout"},
    {"max-unread", "BYTES", CONFIG_BYTES, FIELD(max_unread), "256KiB", KIB * 16,
     MIB * 64, false, "of a streamed answer, before its view has to wait"},
    {"sse-heartbeat", "TIME", CONFIG_DURATION, FIELD(heartbeat), "15s", 100,
     HOUR, false, "between comments in a silent stream of events"},
    {"recycle-after", "N", CONFIG_INT, FIELD(recycle_after), "0", 0, INT32_MAX,
     false,
     "requests after which a process is replaced, give or take; 0: never"},
    {"reload", NULL, CONFIG_BOOL, FIELD(reload), NULL, 0, 0, false,
     "reload when the application or the configuration file has changed: for "
     "development"},
    {"log-level", "LEVEL", CONFIG_STRING, FIELD(log_level), "info", 0, 0, false,
     "debug, info, warn or error"},
    {"log-json", NULL, CONFIG_BOOL, FIELD(log_json), NULL, 0, 0, false,
     "logs as one JSON object a line"},
    {"access-log", "FILE", CONFIG_STRING, FIELD(access_log), NULL, 0, 0, false,
     "one line for each request; - is standard output"},
    {.name = NULL},
};

const struct config_program settings_program = {
    .name = "pit-web",
    .synopsis = "pit-web [OPTION...]",
    .about =
        "The web front: takes jobs over HTTP, answers what became of them, "
        "and serves the application's views.",
    .options = options,
};

static bool
level_parse(const char *name, enum log_level *ret)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_c(str_c(name), names[i])) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

/* A container may be given fewer CPUs than the machine has. */
static int64_t
cpu_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < SETTINGS_PROCESSES_MAX ? n : SETTINGS_PROCESSES_MAX;
}

void
settings_source_init(struct settings_source *source, int argc, char **argv)
{
    source->argc = argc;
    source->argv = xcalloc((size_t)argc + 1, sizeof *source->argv);
    for (int i = 0; i < argc; i++)
        source->argv[i] = xstrdup(argv[i]);
}

void
settings_source_clear(struct settings_source *source)
{
    for (int i = 0; i < source->argc; i++)
        free(source->argv[i]);
    free(source->argv);
    *source = (struct settings_source){0};
}

static enum status
check_tls(const struct settings *settings, struct error *err)
{
    bool wanted = settings->listen && strstr(settings->listen, "https://");

    if (wanted && !settings->tls_cert)
        return error_set(err, ST_INVALID,
                         "--listen %.100s: https:// needs --tls-cert and "
                         "--tls-key",
                         settings->listen);
    if (settings->tls_cert && !wanted)
        return error_set(err, ST_INVALID,
                         "--tls-cert is of no use: no address of --listen "
                         "starts with https://");
    if (!settings->tls_cert != !settings->tls_key)
        return error_set(err, ST_INVALID, "%s is missing",
                         settings->tls_cert ? "--tls-key" : "--tls-cert");
    return ST_OK;
}

static enum status
check(struct settings *settings, struct error *err)
{
    if (!level_parse(settings->log_level, &settings->level))
        return error_set(err, ST_INVALID,
                         "--log-level takes debug, info, warn or error, "
                         "not '%s'",
                         settings->log_level);
    if (settings->smtp) {
        enum status st = mail_server_check(
            &(struct mail_server){settings->smtp, settings->mail_from}, err);
        if (st != ST_OK)
            return st;
    }
    if (settings->processes == 0)
        settings->processes = cpu_count();
    return check_tls(settings, err);
}

enum status
settings_load(const struct settings_source *source, struct settings *ret,
              struct error *err)
{
    struct settings settings = {0};
    size_t size = ((size_t)source->argc + 1) * sizeof *source->argv;
    char **argv = xcalloc(1, size); /* config_load() moves the words */
    int words = 0;

    memcpy(argv, source->argv, size);
    enum status st = config_load(&settings_program, source->argc, argv,
                                 &settings, &words, err);
    if (st == ST_OK) {
        if (words > 1)
            st = error_set(err, ST_INVALID,
                           "there is no argument '%s'; see pit-web --help",
                           argv[1]);
        if (st == ST_OK)
            st = check(&settings, err);
        if (st == ST_OK)
            *ret = settings;
        else
            settings_clear(&settings);
    }
    free(argv);
    return st;
}

void
settings_clear(struct settings *settings)
{
    config_clear(&settings_program, settings);
}

const char *
settings_file(const struct settings_source *source)
{
    const char *path = NULL;

    if (config_file(&settings_program, source->argc, source->argv, &path,
                    NULL) != ST_OK)
        return NULL;
    return path;
}

struct front_options
settings_front(const struct settings *settings)
{
    return (struct front_options){
        .request_line_max = (size_t)settings->max_request_line,
        .head_max = (size_t)settings->max_head,
        .fields_max = (uint32_t)settings->max_fields,
        .body_max = settings->max_body,
        .head_timeout_ms = settings->head_timeout,
        .body_timeout_ms = settings->body_timeout,
        .idle_timeout_ms = settings->idle_timeout,
        .write_timeout_ms = settings->write_timeout,
        .body_rate = settings->body_rate,
        .write_rate = settings->write_rate,
        .output_max = (size_t)settings->max_unread,
        .sse_heartbeat_ms = settings->heartbeat,
        .requests_max = (uint32_t)settings->max_requests,
        .in_flight_max = (uint32_t)settings->max_in_flight,
        .connections_max = (uint32_t)settings->max_connections,
    };
}
