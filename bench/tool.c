/* Tool: nothing here is measured, so nothing here need be fast. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_TIMEOUT_MS = 5000, COMMAND_TIMEOUT_MS = 60000 };

void
tool_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("bench: ", stderr);
    /* The analyzer does not see va_start(). NOLINTNEXTLINE(*valist*) */
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void
tool_options(const struct config_program *program, int argc, char **argv,
             void *ret)
{
    struct error err = {.msg = ""};
    int left = argc;

    if (config_wants(argc, argv, "--help")) {
        config_help(program, stdout);
        exit(0);
    }
    enum status status = config_load(program, argc, argv, ret, &left, &err);
    if (status == ST_OK && left > 1)
        status = error_set(&err, ST_INVALID, "%s: not an option", argv[1]);
    if (status != ST_OK) {
        fprintf(stderr, "%s: %s\n", program->name, err.msg);
        exit(2);
    }
}

static enum status
wait_up(struct co *co, void *arg)
{
    return rds_wait_up(co, arg, CONNECT_TIMEOUT_MS);
}

void
tool_connect(struct tool *tool, const char *url)
{
    struct error err = {.msg = ""};
    /* Full queues answer slowly: what is measured is cost, not patience. */
    const struct rds_options options = {
        .url = url,
        .client_name = "bench",
        .command_timeout_ms = COMMAND_TIMEOUT_MS,
    };

    tool->loop = loop_new(NULL);
    if (rds_new(tool->loop, &options, &tool->rds, &err) != ST_OK)
        tool_fail("%s", err.msg);
    tool->queues = queues_new(tool->rds, tool->loop, NULL);
    if (co_run(tool->loop, "connect", wait_up, tool->rds) != ST_OK)
        tool_fail("no Redis: %s", rds_last_error(tool->rds));
}

void
tool_clear(struct tool *tool)
{
    queues_free(tool->queues);
    rds_free(tool->rds);
    loop_free(tool->loop);
}

void
tool_args(struct buf *dst, int64_t i, int64_t pad)
{
    buf_reset(dst);
    buf_addf(dst, "{\"i\":%lld,\"pad\":\"", (long long)i);
    char *room = buf_room(dst, (size_t)pad);
    if (!room)
        tool_fail("a payload of %lld bytes is too large", (long long)pad);
    memset(room, 'x', (size_t)pad);
    buf_grew(dst, (size_t)pad);
    buf_add_c(dst, "\"}");
}
