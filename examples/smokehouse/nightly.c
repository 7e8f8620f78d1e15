/* Nightly: one report a section, side by side, and one that joins them.
 *
 *   reports.nightly   finds the sections and starts the flow
 *   reports.section   adds up one of them; any worker's
 *   reports.join      runs when all have ended; has their results
 *
 * The first is async, since starting a flow is awaited; what it must know
 * before, the sections, it reads on a thread. All three take "status_file", as
 * reports.packages does; the last writes sections.csv beside its reports. */
#include <string.h>

#include <pit/flow.h>

#include "args.h"
#include "output.h"
#include "place.h"
#include "report.h"
#include "smokehouse.h"

enum { SECTIONS_MAX = 200 };

static const char status_file[] = "/var/lib/dpkg/status";

/* Lent to a thread; nobody else touches the job meanwhile. */
struct reading {
    struct pit_job *job;
    const char *path;
    struct packages packages;
    struct groups sections;
};

static enum pit_status
read_sections(void *arg)
{
    struct reading *reading = arg;
    enum pit_status st =
        packages_read(reading->job, reading->path, &reading->packages);

    return st == PIT_OK ? packages_group(&reading->packages, package_section,
                                         &reading->sections)
                        : st;
}

static void
reading_clear(struct reading *reading)
{
    groups_clear(&reading->sections);
    packages_clear(&reading->packages);
}

static enum pit_status
start_flow(struct pit_co *co, struct pit_job *job,
           const struct reading *reading)
{
    static const struct pit_enqueue kept = {.queue = "reports"};
    struct pit_flow_job jobs[SECTIONS_MAX] = {0};
    struct pit_flow_job join = {"reports.join", NULL, &kept};
    struct pit_ticket ticket = {0};
    size_t n = reading->sections.len;

    if (n > SECTIONS_MAX)
        return pit_job_fail(job, PIT_PERMANENT, "more than %d sections",
                            SECTIONS_MAX);
    for (size_t i = 0; i < n; i++)
        jobs[i] = (struct pit_flow_job){"reports.section",
                                        pit_args("{s:s, s:s}", "section",
                                                 reading->sections.list[i].name,
                                                 "status_file", reading->path),
                                        &kept};
    enum pit_status st = pit_group(
        co, jobs, n, &join,
        &(struct pit_flow_options){.name = "the night's reports"}, &ticket);
    if (st != PIT_OK)
        return pit_job_fail(job, st, "%s", ticket.error);
    return pit_job_result(job, "{s:s, s:I}", "flow", ticket.id, "sections",
                          (json_int_t)n);
}

enum pit_status
reports_nightly(struct pit_co *co, struct pit_job *job)
{
    struct reading reading = {.job = job, .path = status_file};
    enum pit_status st = args_read(
        job, (const struct arg[]){{"status_file", .text = &reading.path}, {0}});

    if (st != PIT_OK)
        return st;
    st = pit_await_thread(co, read_sections, &reading);
    if (st == PIT_OK)
        st = start_flow(co, job, &reading);
    reading_clear(&reading);
    return st;
}

static enum pit_status
section_result(struct pit_job *job, const struct reading *reading,
               const char *section)
{
    for (size_t i = 0; i < reading->sections.len; i++) {
        const struct group *group = &reading->sections.list[i];
        if (strcmp(group->name, section) == 0)
            return pit_job_result(job, "{s:s, s:I, s:I}", "section", section,
                                  "packages", (json_int_t)group->packages,
                                  "installed_kib", (json_int_t)group->kib);
    }
    return pit_job_fail(job, PIT_PERMANENT, "there is no section \"%s\"",
                        section);
}

enum pit_status
reports_section(struct pit_job *job)
{
    struct reading reading = {.job = job, .path = status_file};
    const char *section = "";
    enum pit_status st = args_read(
        job, (const struct arg[]){{"section", .text = &section},
                                  {"status_file", .text = &reading.path},
                                  {0}});

    if (st == PIT_OK)
        st = read_sections(&reading);
    if (st == PIT_OK)
        st = section_result(job, &reading, section);
    reading_clear(&reading);
    return st;
}

static json_int_t
number(const json_t *report, const char *name)
{
    return json_integer_value(json_object_get(report, name));
}

/* Section names come from a file of the system: no commas or quotes in them. */
static enum pit_status
write_sections(struct pit_job *job, FILE *file, json_int_t *ret_packages,
               json_int_t *ret_kib)
{
    fputs("section,packages,installed_kib\r\n", file);
    for (size_t i = 0; i < pit_job_inputs(job); i++) {
        const char *id = "";
        const json_t *report = pit_job_input_at(job, i, &id);
        const char *section =
            json_string_value(json_object_get(report, "section"));
        if (!section)
            return pit_job_fail(job, PIT_FAILED, "%s left no report", id);
        fprintf(file, "%s,%lld,%lld\r\n", section,
                (long long)number(report, "packages"),
                (long long)number(report, "installed_kib"));
        *ret_packages += number(report, "packages");
        *ret_kib += number(report, "installed_kib");
    }
    return PIT_OK;
}

enum pit_status
reports_join(struct pit_job *job)
{
    struct output output;
    char folder[PLACE_MAX];
    json_int_t packages = 0;
    json_int_t kib = 0;

    if (!place_folder("nightly", folder) ||
        !output_open(&output, folder, "sections.csv"))
        return pit_job_fail(job, PIT_FAILED, "the report's folder: %m");
    enum pit_status st = write_sections(job, output.file, &packages, &kib);
    if (st == PIT_OK && !output_done(&output))
        st = pit_job_fail(job, PIT_FAILED, "%s: could not be written", folder);
    output_clear(&output);
    return st == PIT_OK
               ? pit_job_result(job, "{s:I, s:I, s:I, s:s+}", "sections",
                                (json_int_t)pit_job_inputs(job), "packages",
                                packages, "installed_kib", kib, "csv", folder,
                                "/sections.csv")
               : st;
}
