/* smokehouse - the demo application: every kind of view and task.
 *
 * Start reading here. pit-web serves the views, pit-worker runs the tasks, both
 * load this object with --app build/examples/smokehouse.so.
 *
 *   views.c     what is answered at once
 *     meats       two calls at the same time, then the work: for both lanes
 *     upstream    the third party that the views call
 *   orders.c    a database change, a mail and a job
 *     order_store the database
 *   notes.c     files
 *   progress.c  what happens to a job, relayed to a browser
 *   middleware.c  what requests pass on their way
 *   trials.c    small tasks to try out retries, timeouts and quarantine with
 *   reports.c   a heavy task on real input: reports.packages
 *     packages    reads dpkg's status file and adds it up
 *     html, csv   the two files of the report
 *     output      writes a file so that nobody ever sees half of it
 *   place.c     where it keeps its files
 *   nightly.c   the same as a flow: a job a section, and one that joins them
 *   args.c      checks what a job was enqueued with */
#include "smokehouse.h"

#include "meats.h"

static const struct pit_middleware middleware[] = {
    {middleware_timing},
    {.before = middleware_opening_hours, .only = "/orders/"},
    {middleware_token, .only = "/orders/"},
    {0},
};

static const struct pit_view views[] = {
    {PIT_GET, "/", view_index},
    {PIT_GET, "/async/", view_async},
    {PIT_GET, "/sync/", .blocking = view_sync},
    {PIT_GET, "/sync_to_async/", view_sync_to_async},
    {PIT_GET, "/smoke_some_meats/", view_smoke_some_meats, .timeout_ms = 10000},
    {PIT_GET, "/burn_some_meats/", view_burn_some_meats},
#ifdef SMOKEHOUSE_ORDERS
    {PIT_POST, "/orders/", view_order_post, .body_max = 16384},
    {PIT_GET, "/orders/{id:int}", view_order_get},
#endif
    {PIT_GET, "/notes/{name:slug}", view_note_get},
    {PIT_PUT, "/notes/{name:slug}", view_note_put, .body_max = 65536},
    {PIT_GET, "/reports/{id}/progress", view_report_progress,
     .timeout_ms = 3600000},
    {0},
};

static const struct pit_task tasks[] = {
    {"noop", trial_noop, .about = "does nothing"},
    {"echo", trial_echo, .about = "returns its args"},
    {"sleep", trial_sleep, .timeout_ms = 3600000,
     .about = "sleeps for {\"seconds\": 1}"},
    {"spin", trial_spin, .timeout_ms = 3600000,
     .about = "burns CPU for {\"seconds\": 1}"},
    {"fail", trial_fail, .about = "fails, saying {\"message\": \"...\"}"},
    {"flaky", trial_flaky, .backoff_ms = 100,
     .about = "fails {\"failures\": 2} times, then succeeds"},
    {"crash", trial_crash,
     .about = "kills its process {\"times\": 1} times, then succeeds"},
    {"meats.smoke", .async = meats_task, .queue = "meats", .timeout_ms = 30000,
     .about = "what /smoke_some_meats/ does, as a job"},
#ifdef SMOKEHOUSE_ORDERS
    {"orders.receipt", .async = order_receipt, .queue = "mail", .retries = 10,
     .about = "mails the receipt of {\"order\": 7}"},
    {"orders.purge", orders_purge,
     .about = "deletes orders older than {\"days\": 30}"},
#endif
    {"reports.packages", report_packages, .queue = "reports",
     .about = "installed packages of this machine, as HTML and CSV"},
    {"reports.nightly", .async = reports_nightly, .queue = "reports",
     .about = "a report of each section, and one that joins them"},
    {"reports.section", reports_section, .queue = "reports",
     .about = "the packages of {\"section\": \"libs\"}"},
    {"reports.join", reports_join, .queue = "reports",
     .about = "joins the sections' reports; runs in reports.nightly's flow"},
    {0},
};

static const struct pit_schedule schedules[] = {
    {"reports.packages", "30 2 * * *", "Europe/Berlin", "reports.packages",
     .misfire = PIT_MISFIRE_ONCE, .overlap = PIT_OVERLAP_SKIP,
     .note = "what is installed, each night"},
    {"reports.nightly", "0 4 * * *", "Europe/Berlin", "reports.nightly",
     .misfire = PIT_MISFIRE_ONCE, .overlap = PIT_OVERLAP_SKIP,
     .note = "the same as a flow: a job for each section"},
#ifdef SMOKEHOUSE_ORDERS
    {"orders.purge", "0 3 * * *", "Europe/Berlin", "orders.purge",
     .misfire = PIT_MISFIRE_ONCE, .note = "orders older than 30 days"},
#endif
    {0},
};

PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("smokehouse"), .middleware = middleware, .views = views,
    .tasks = tasks,        .schedules = schedules,
};
