/* The CSV file: RFC 4180, so lines end in CRLF, and a field that could be
 * mistaken stands in quotes. */
#include <inttypes.h>
#include <string.h>

#include "report.h"

static void
field(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void
row(FILE *file, const char *kind, const char *name, size_t packages,
    int64_t kib)
{
    fprintf(file, "%s,", kind);
    field(file, name);
    fprintf(file, ",%zu,%" PRId64 "\r\n", packages, kib);
}

static void
rows(FILE *file, const char *kind, const struct groups *groups)
{
    for (size_t i = 0; i < groups->len; i++)
        row(file, kind, groups->list[i].name, groups->list[i].packages,
            groups->list[i].kib);
}

void
report_csv(const struct report *report, FILE *file)
{
    const struct packages *all = &report->packages;

    fputs("kind,name,packages,installed_kib\r\n", file);
    row(file, "total", "", all->len, all->kib);
    rows(file, "section", &report->sections);
    rows(file, "maintainer", &report->maintainers);
    for (size_t i = 0; i < all->len; i++)
        row(file, "package", all->list[i].name, 1, all->list[i].kib);
}
