/* report.h - what the two files of reports.packages show. */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "packages.h"

struct report {
    const char *source; /* the status file */
    const char *job;
    struct packages packages;
    struct groups sections;
    struct groups maintainers;
    size_t top; /* so many packages and maintainers are shown */
};

/* One page without scripts and without anything from elsewhere. */
void report_html(const struct report *report, FILE *file);
/* RFC 4180: kind, name, packages, installed_kib. */
void report_csv(const struct report *report, FILE *file);

#endif
