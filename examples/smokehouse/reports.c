/* Reports: the heavy task, on real input.
 *
 * reports.packages reads dpkg's status file, adds up what is installed by
 * section and by maintainer, and leaves report.html and report.csv in a folder.
 * It can be cancelled at any time, says how far it is, and may run twice: the
 * second run writes the same two files again.
 *
 *   {"status_file": "/var/lib/dpkg/status",   what to read
 *    "dir": "./var/reports/<job id>",         where the files go
 *    "top": 10}                               packages and maintainers shown
 *
 * SMOKEHOUSE_REPORTS in the environment is used instead of ./var/reports.
 * Whoever may enqueue this task may read and write files as the worker's user
 * does, within these two forms: a demo's liberty. */
#include <stdlib.h>

#include "args.h"
#include "output.h"
#include "report.h"
#include "smokehouse.h"

enum { STANDARD_TOP = 10, TOP_MAX = 1000 };

static void
report_clear(struct report *report)
{
    groups_clear(&report->maintainers);
    groups_clear(&report->sections);
    packages_clear(&report->packages);
}

/* {"libs": {"packages": 812, "installed_kib": 901234}, ...} */
static enum pit_status
sections_json(struct pit_job *job, const struct groups *sections, json_t *ret)
{
    for (size_t i = 0; i < sections->len; i++) {
        const struct group *group = &sections->list[i];
        pit_job_progress(job, (int64_t)i, (int64_t)sections->len, "section %s",
                         group->name);
        if (pit_job_cancelled(job))
            return PIT_CANCELLED;
        json_object_set_new(ret, group->name,
                            json_pack("{s:I, s:I}", "packages",
                                      (json_int_t)group->packages,
                                      "installed_kib", (json_int_t)group->kib));
    }
    pit_job_progress(job, (int64_t)sections->len, (int64_t)sections->len,
                     "writing the report");
    return PIT_OK;
}

static json_t *
top_json(const struct report *report)
{
    const struct packages *all = &report->packages;
    json_t *top = json_array();

    for (size_t i = 0; i < report->top && i < all->len; i++)
        json_array_append_new(top, json_pack("{s:s, s:I}", "name",
                                             all->list[i].name, "installed_kib",
                                             (json_int_t)all->list[i].kib));
    return top;
}

/* PIT_FAILED, since a full disk may have room again at the next attempt. */
static enum pit_status
write_file(struct pit_job *job, const struct report *report, const char *folder,
           const char *name, void (*write)(const struct report *, FILE *))
{
    struct output output;

    if (!output_open(&output, folder, name))
        return pit_job_fail(job, PIT_FAILED, "%s: cannot be written: %m",
                            folder);
    write(report, output.file);
    bool done = output_done(&output);
    output_clear(&output);
    return done ? PIT_OK
                : pit_job_fail(job, PIT_FAILED, "%s/%s: could not be written",
                               folder, name);
}

/* The folder that is asked for, or one of the job's own, as an absolute path:
 * free() it. */
static char *
make_folder(struct pit_job *job, const char *asked)
{
    const char *base = getenv("SMOKEHOUSE_REPORTS");
    char path[PATH_MAX];
    int n =
        asked ? snprintf(path, sizeof path, "%s", asked)
              : snprintf(path, sizeof path, "%s/%s",
                         base && *base ? base : "var/reports", pit_job_id(job));

    if (n < 0 || (size_t)n >= sizeof path || !output_folder(path))
        return NULL;
    return realpath(path, NULL);
}

static enum pit_status
make_report(struct pit_job *job, struct report *report, const char *dir)
{
    enum pit_status st = packages_read(job, report->source, &report->packages);

    if (st == PIT_OK)
        st = packages_group(&report->packages, package_section,
                            &report->sections);
    if (st == PIT_OK)
        st = packages_group(&report->packages, package_maintainer,
                            &report->maintainers);
    if (st != PIT_OK)
        return st;

    json_t *sections = json_object();
    char *folder = NULL;
    st = sections_json(job, &report->sections, sections);
    if (st == PIT_OK && !(folder = make_folder(job, dir)))
        st = pit_job_fail(job, PIT_FAILED, "the report's folder: %m");
    if (st == PIT_OK)
        st = write_file(job, report, folder, "report.html", report_html);
    if (st == PIT_OK)
        st = write_file(job, report, folder, "report.csv", report_csv);
    if (st == PIT_OK)
        st = pit_job_result(job, "{s:I, s:I, s:O, s:o, s:s+, s:s+}", "packages",
                            (json_int_t)report->packages.len, "installed_kib",
                            (json_int_t)report->packages.kib, "sections",
                            sections, "top", top_json(report), "html", folder,
                            "/report.html", "csv", folder, "/report.csv");
    json_decref(sections);
    free(folder);
    return st;
}

enum pit_status
report_packages(struct pit_job *job)
{
    double top = STANDARD_TOP;
    const char *dir = NULL;
    struct report report = {
        .source = "/var/lib/dpkg/status",
        .job = pit_job_id(job),
    };
    enum pit_status st = args_read(
        job, (const struct arg[]){{"status_file", .text = &report.source},
                                  {"dir", .text = &dir},
                                  {"top", &top, .min = 1, .max = TOP_MAX},
                                  {0}});

    if (st != PIT_OK)
        return st;
    report.top = (size_t)top;
    st = make_report(job, &report, dir);
    report_clear(&report);
    return st;
}
