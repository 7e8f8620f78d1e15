/* pit health - the question that a container's health check asks.
 *
 * Small and without a shell: images need no curl for it. */
#include <string.h>
#include <unistd.h>

#include "async/curl/libcurl.h"
#include "base/clock.h"
#include "queue/registry.h"
#include "session.h"
#include "text.h"

struct health_options {
    struct session_options session;
    const char *url;
    bool worker;
};

#define FIELD(name) offsetof(struct health_options, name)

static const struct config_option option_table[] = {
    {"url", "URL", CONFIG_STRING, FIELD(url), "http://127.0.0.1:8000",
     .help = "the web front; without a path /healthz is asked for"},
    {"worker", NULL, CONFIG_BOOL, FIELD(worker),
     .help = "ask Redis for a live worker on this host instead"},
    SESSION_OPTIONS(struct health_options),
    {0},
};

static const struct config_program program = {
    .name = "pit health",
    .synopsis = "pit health [--url URL | --worker] [OPTION...]",
    .about = "Exit status 0 when it is well, 1 when it is not; for the health "
             "checks of containers.",
    .options = option_table,
};

/* --- the web front -------------------------------------------------------- */

static size_t
drop_body(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * n;
}

/* @url with /healthz where it has no path; freed by libcurl. NULL when it is no
 * URL of ours. */
static char *
health_url(const char *url)
{
    char *path = NULL;
    char *whole = NULL;
    CURLU *parts = libcurl()->url();

    if (parts &&
        libcurl()->url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        libcurl()->url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
        (strcmp(path, "/") != 0 ||
         libcurl()->url_set(parts, CURLUPART_PATH, "/healthz", 0) == CURLUE_OK))
        (void)libcurl()->url_get(parts, CURLUPART_URL, &whole, 0);
    libcurl()->free(path);
    libcurl()->url_cleanup(parts);
    return whole;
}

/* No proxy from the environment, no redirects: this very server is asked. */
static CURLcode
get(const char *url, int64_t timeout_ms, long *ret_status)
{
    CURL *easy = libcurl()->easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (!easy)
        return code;
    libcurl()->easy_setopt(easy, CURLOPT_URL, url);
    libcurl()->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl()->easy_setopt(easy, CURLOPT_PROXY, "");
    libcurl()->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    libcurl()->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    libcurl()->easy_setopt(easy, CURLOPT_MAXFILESIZE, 65536L);
    libcurl()->easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
    code = libcurl()->easy_perform(easy);
    if (code == CURLE_OK)
        libcurl()->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status);
    libcurl()->easy_cleanup(easy);
    return code;
}

static int
ask_web(const struct health_options *options)
{
    long status = 0;
    char *url = health_url(options->url);

    if (!url)
        return command_fail(&cmd_health, COMMAND_USAGE,
                            "--url: \"%s\" is no URL, as http://127.0.0.1:8000",
                            options->url);
    CURLcode code = get(url, options->session.timeout_ms, &status);
    int exit = COMMAND_OK;
    if (code != CURLE_OK)
        exit = command_fail(&cmd_health, COMMAND_FAILED, "%s: %s", url,
                            libcurl()->easy_strerror(code));
    else if (status != 200)
        exit = command_fail(&cmd_health, COMMAND_FAILED, "%s answers %ld", url,
                            status);
    else if (options->session.json)
        text_print_json(json_pack("{s:s, s:s}", "status", "ok", "url", url));
    else
        printf("ok: %s\n", url);
    libcurl()->free(url);
    return exit;
}

/* --- a worker ------------------------------------------------------------- */

/* A worker that says on which host it runs counts on that host alone, so that a
 * container does not take another one's worker for its own. */
static bool
is_alive(const redisReply *entry, const char *host, int64_t now_ms)
{
    json_t *worker = json_loadb(entry->str, entry->len, 0, NULL);
    int64_t seen_ms = json_integer_value(json_object_get(worker, "seen_ms"));
    const char *its_host = json_string_value(json_object_get(worker, "host"));
    bool here = !its_host || strcmp(its_host, host) == 0;

    json_decref(worker);
    return here && now_ms - seen_ms < REGISTRY_WORKER_DEAD_MS;
}

static enum status
ask_workers(struct co *co, struct session *session)
{
    struct rds_call call = {0};
    char host[256] = "";
    size_t alive = 0;

    gethostname(host, sizeof host - 1);
    enum status st =
        registry_workers(co, session->queues, &call, &session->err);
    for (size_t i = 1; st == ST_OK && i < call.reply->elements; i += 2)
        alive += is_alive(call.reply->element[i], host, clock_wall_ms());
    rds_call_clear(&call);
    if (st == ST_OK && alive == 0)
        return error_set(&session->err, ST_NOT_FOUND,
                         "no worker of %s was heard of in the last minute",
                         host);
    if (st == ST_OK && session->options->json)
        text_print_json(json_pack("{s:s, s:I}", "status", "ok", "workers",
                                  (json_int_t)alive));
    else if (st == ST_OK)
        printf("ok: %zu worker%s\n", alive, alive == 1 ? "" : "s");
    return st;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct health_options *options = values;

    (void)words;
    if (words_len != 0)
        return command_fail(&cmd_health, COMMAND_USAGE, "takes no words");
    if (options->worker)
        return session_run(&cmd_health, &options->session, ask_workers, NULL);
    return ask_web(options);
}

const struct command cmd_health = {
    .name = "health",
    .about = "is the web front, or a worker, alive?",
    .program = &program,
    .options_size = sizeof(struct health_options),
    .run = run,
};
