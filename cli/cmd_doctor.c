/* pit doctor - is this Redis fit to be trusted with jobs? See queue/doctor.h.
 */
#include "queue/doctor.h"

#include "session.h"
#include "table.h"
#include "text.h"

struct doctor_options {
    struct session_options session;
};

static const struct config_option option_table[] = {
    SESSION_OPTIONS(struct doctor_options),
    {0},
};

static const struct config_program program = {
    .name = "pit doctor",
    .synopsis = "pit doctor [OPTION...]",
    .about = "Examines Redis: what could lose jobs, or refuse them, and how to "
             "mend it. Exit status 1 when there is a warning or an error.",
    .options = option_table,
};

static void
print_text(const struct doctor *doctor)
{
    static const char *const heads[] = {"CHECK", "LEVEL", "FINDING"};
    struct table table;

    table_init(&table, "lll", heads);
    for (size_t i = 0; i < doctor->len; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        table_add(&table, "%s", finding->check);
        table_add(&table, "%s", doctor_level_name(finding->level));
        table_add(&table, "%s", finding->text);
        if (finding->fix[0]) {
            table_add(&table, " ");
            table_add(&table, " ");
            table_add(&table, "  fix: %s", finding->fix);
        }
    }
    table_print(&table, stdout);
    table_clear(&table);
}

static void
print_json(const struct doctor *doctor)
{
    json_t *findings = json_array();

    for (size_t i = 0; i < doctor->len; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        json_array_append_new(
            findings,
            json_pack("{s:s, s:s, s:s, s:s?}", "check", finding->check, "level",
                      doctor_level_name(finding->level), "text", finding->text,
                      "fix", finding->fix[0] ? finding->fix : NULL));
    }
    text_print_json(json_pack("{s:s, s:o}", "level",
                              doctor_level_name(doctor_worst(doctor)),
                              "findings", findings));
}

static enum status
examine(struct co *co, struct session *session)
{
    struct doctor doctor;

    enum status st = doctor_run(co, session->queues, &doctor, &session->err);
    if (st != ST_OK)
        return st;
    if (session->options->json)
        print_json(&doctor);
    else
        print_text(&doctor);
    if (doctor_worst(&doctor) >= DOCTOR_WARNING)
        session->exit = COMMAND_FAILED;
    return ST_OK;
}

static int
run(const void *values, int words_len, char *const *words)
{
    const struct doctor_options *options = values;

    (void)words;
    if (words_len != 0)
        return command_fail(&cmd_doctor, COMMAND_USAGE, "takes no words");
    return session_run(&cmd_doctor, &options->session, examine, NULL);
}

const struct command cmd_doctor = {
    .name = "doctor",
    .about = "examine Redis, with a fix for each finding",
    .program = &program,
    .options_size = sizeof(struct doctor_options),
    .run = run,
};
