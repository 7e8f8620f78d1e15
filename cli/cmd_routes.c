/* pit routes - what an application answers, from its table: nothing is started,
 * and no Redis is asked. The table is checked as pit-web would check it. */
#include <string.h>

#include "app/http/request.h"
#include "app/loader.h"
#include "base/clock.h"
#include "command.h"
#include "table.h"
#include "text.h"

struct routes_options {
    const char *app;
    bool json;
};

static const struct config_option option_table[] = {
    {"app", "FILE", CONFIG_STRING, offsetof(struct routes_options, app), NULL,
     .help = "the application's shared object"},
    {"json", NULL, CONFIG_BOOL, offsetof(struct routes_options, json), NULL,
     .help = "print JSON"},
    {0},
};

static const struct config_program program = {
    .name = "pit routes",
    .synopsis = "pit routes --app FILE [--json]",
    .about = "Lists what an application answers: its views, in the order of "
             "its table, and its folders of static files. A mistake in the "
             "table is told in one line, as pit-web would at its start.",
    .options = option_table,
};

static const char *const heads[] = {"METHOD",  "ROUTE", "KIND",
                                    "TIMEOUT", "BODY",  "MIDDLEWARE"};

static const char *
kind_of(const struct pit_view *view)
{
    return view->blocking ? "sync" : "async";
}

/* Of the application's table and of the view's own. A sync one counts too; what
 * is only for some paths counts where the route's text begins so. */
static size_t
middleware_of(const struct app *app, const struct pit_view *view)
{
    const struct pit_middleware *tables[] = {app->middleware, view->middleware};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const struct pit_middleware *m = tables[i];
             m && (m->run || m->before || m->after); m++)
            n +=
                !m->only || strncmp(view->route, m->only, strlen(m->only)) == 0;
    return n;
}

static void
print_table(const struct app *app)
{
    char text[TEXT_SIZE];
    struct table table;

    table_init(&table, "lllrrr", heads);
    for (size_t i = 0; i < app->views_len; i++) {
        const struct pit_view *view = &app->views[i];
        table_add(&table, "%s", request_method_name(view->method));
        table_add(&table, "%s", view->route);
        table_add(&table, "%s", kind_of(view));
        table_add(&table, "%s",
                  view->timeout_ms ? clock_words(view->timeout_ms, text) : "");
        if (view->body_max)
            table_add(&table, "%lld", (long long)view->body_max);
        else
            table_add(&table, "%s", "");
        table_add(&table, "%zu", middleware_of(app, view));
    }
    for (size_t i = 0; i < app->statics_len; i++) {
        table_add(&table, "GET");
        table_add(&table, "%s", app->statics[i].route);
        table_add(&table, "files in %s", app->statics[i].folder);
        for (int empty = 0; empty < 3; empty++)
            table_add(&table, "%s", "");
    }
    table_print(&table, stdout);
    table_clear(&table);
}

static void
print_json(const struct app *app)
{
    json_t *views = json_array(), *folders = json_array();

    for (size_t i = 0; i < app->views_len; i++) {
        const struct pit_view *view = &app->views[i];
        json_array_append_new(
            views, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "method",
                             request_method_name(view->method), "route",
                             view->route, "kind", kind_of(view), "timeout_ms",
                             (json_int_t)view->timeout_ms, "body_max",
                             (json_int_t)view->body_max, "middleware",
                             (json_int_t)middleware_of(app, view)));
    }
    for (size_t i = 0; i < app->statics_len; i++)
        json_array_append_new(
            folders, json_pack("{s:s, s:s}", "route", app->statics[i].route,
                               "folder", app->statics[i].folder));
    text_print_json(json_pack("{s:s, s:o, s:o}", "app", app->name, "views",
                              views, "statics", folders));
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct routes_options *options = values;
    struct loader loader = {0};
    struct error err;

    (void)words;
    if (words_len != 0 || !options->app)
        return command_fail(&cmd_routes, COMMAND_USAGE,
                            "give the application alone: pit routes --app "
                            "build/shop.so");
    if (loader_open(options->app, &loader, &err) != ST_OK)
        return command_fail(&cmd_routes, COMMAND_FAILED, "%s", err.msg);
    if (options->json)
        print_json(&loader.app);
    else
        print_table(&loader.app);
    loader_close(&loader);
    return 0;
}

const struct command cmd_routes = {
    .name = "routes",
    .about = "list what an application answers",
    .program = &program,
    .options_size = sizeof(struct routes_options),
    .run = run,
};
