/* Flow output: people get a line a job, machines the document. */
#include "flow_output.h"

#include "table.h"
#include "text.h"

enum { DOCUMENT_MAX = 16 << 20 };

static const char *const job_heads[] = {"NAME", "STATE", "TASK", "JOB",
                                        "AFTER"};

static void
add_job(struct table *table, const json_t *job, char letter)
{
    const json_t *after = json_object_get(job, "after");
    struct buf names;

    table_add(table, "%s", json_string_value(json_object_get(job, "name")));
    table_add(table, "%s", flow_report_job_state(letter));
    table_add(table, "%s", json_string_value(json_object_get(job, "task")));
    table_add(table, "%s", json_string_value(json_object_get(job, "id")));
    buf_init(&names, TABLE_CELL_MAX);
    for (size_t i = 0; i < json_array_size(after); i++)
        buf_addf(&names, "%s%s", i ? " " : "",
                 json_string_value(json_array_get(after, i)));
    table_add(table, "%.*s", STR_ARG(buf_str(&names)));
    buf_clear(&names);
}

static void
print_table(const struct flow_report *report)
{
    const json_t *jobs = json_object_get(report->document, "jobs");
    const struct flow_view *view = &report->view;
    struct table table;

    text_print_line("name", view->title);
    text_print_line("state", str_c(flow_report_state(view)));
    table_init(&table, "lllll", job_heads);
    for (size_t i = 0; i < report->jobs; i++)
        add_job(&table, json_array_get(jobs, i), report->states[i]);
    table_print(&table, stdout);
    table_clear(&table);
}

void
flow_output_print(const struct flow_report *report, bool json)
{
    struct buf text;

    if (!json) {
        print_table(report);
        return;
    }
    buf_init(&text, DOCUMENT_MAX);
    flow_report_write(report, &text);
    text_print_json(json_loadb(text.p, text.len, 0, NULL));
    buf_clear(&text);
}
