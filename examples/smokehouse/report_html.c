/* The HTML file: one page that stands alone, light or dark as the reader has
 * it, readable without colours and by a screen reader: each chart is a table
 * whose bars are decoration. */
#include <inttypes.h>
#include <time.h>

#include "report.h"

static const char head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>Installed packages</title>\n"
    "<style>\n"
    ":root { --paper: #faf6f1; --card: #fffdfa; --ink: #2a211b;\n"
    "  --soft: #75675c; --line: #e8ded3; --ember: #c4511d;\n"
    "  --track: #f3ebe2 }\n"
    "@media (prefers-color-scheme: dark) { :root {\n"
    "  --paper: #15110f; --card: #1e1916; --ink: #f1e9e1;\n"
    "  --soft: #a89a8e; --line: #332a24; --ember: #f08546;\n"
    "  --track: #2a221d } }\n"
    "* { box-sizing: border-box }\n"
    "body { margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 62rem;\n"
    "  background: var(--paper); color: var(--ink);\n"
    "  font: 16px/1.5 system-ui, sans-serif }\n"
    "header p, footer { color: var(--soft) }\n"
    ".eyebrow { margin: 0; color: var(--ember); font-size: .8rem;\n"
    "  font-weight: 600; letter-spacing: .08em; text-transform: uppercase }\n"
    "h1 { margin: .2rem 0; font-size: 2.4rem; line-height: 1.15;\n"
    "  letter-spacing: -.02em }\n"
    "h2 { margin: 0 0 1rem; font-size: 1.1rem }\n"
    "header p { margin: .3rem 0 2rem; overflow-wrap: anywhere }\n"
    ".tiles, .pair { display: grid; gap: 1rem; margin-bottom: 1rem;\n"
    "  grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)) }\n"
    ".pair { grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)) }\n"
    ".card { padding: 1.25rem 1.4rem; background: var(--card);\n"
    "  border: 1px solid var(--line); border-radius: 14px }\n"
    "main > .card { margin-bottom: 1rem }\n"
    ".tiles b { display: block; font-size: 1.9rem; line-height: 1.2;\n"
    "  letter-spacing: -.02em }\n"
    ".tiles span, th, td.count { color: var(--soft) }\n"
    ".tiles span { font-size: .9rem }\n"
    "table { width: 100%; border-collapse: collapse; table-layout: fixed;\n"
    "  font-size: .92rem; font-variant-numeric: tabular-nums }\n"
    "th { font-size: .8rem; font-weight: 500; text-align: left }\n"
    "th, td { padding: .28rem .5rem .28rem 0; overflow: hidden;\n"
    "  text-overflow: ellipsis; white-space: nowrap }\n"
    "th:last-child, td:last-child { padding-right: 0; text-align: right }\n"
    ".name { width: 9rem } .size { width: 6rem } .count { width: 6rem }\n"
    ".count { text-align: right }\n"
    ".pair .name { width: 48% }\n"
    ".bar { display: block; height: .85rem; border-radius: 4px;\n"
    "  background: var(--track) }\n"
    ".bar i { display: block; height: 100%; min-width: 2px;\n"
    "  border-radius: 4px;\n"
    "  background: var(--ember) }\n"
    "tbody tr:hover td { background: var(--track) }\n"
    "tbody tr:hover .bar { background: none }\n"
    "footer { margin-top: 2rem; font-size: .9rem }\n"
    "a { color: var(--ember) }\n"
    "@media (max-width: 34rem) { .count { display: none }\n"
    "  .name { width: 7rem } }\n"
    "@media print { body { padding: 0 } .card { break-inside: avoid } }\n"
    "</style>\n";

/* Names come from a file that anyone may have named: all of it is text. */
static void
text(FILE *file, const char *from)
{
    for (; *from; from++) {
        switch (*from) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*from, file);
        }
    }
}

/* 12,345: a comma before each group of three digits. */
static void
number(FILE *file, int64_t n)
{
    if (n < 1000) {
        fprintf(file, "%" PRId64, n);
        return;
    }
    number(file, n / 1000);
    fprintf(file, ",%03" PRId64, n % 1000);
}

static void
size(FILE *file, int64_t kib)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)kib;
    size_t unit = 0;

    for (; value >= 1024 && unit < 3; unit++)
        value /= 1024;
    fprintf(file, "%.*f %s", unit > 0 && value < 100 ? 1 : 0, value,
            units[unit]);
}

static void
tile(FILE *file, int64_t value, const char *what)
{
    fputs("<div class=\"card\"><b>", file);
    number(file, value);
    fprintf(file, "</b><span>%s</span></div>\n", what);
}

/* Bars are to scale with the largest row, which is the first. */
static void
table_row(FILE *file, const struct group *group, int64_t largest, bool count)
{
    double part = largest ? 100.0 * (double)group->kib / (double)largest : 0;

    fputs("<tr><td title=\"", file);
    text(file, group->name);
    fputs("\">", file);
    text(file, group->name);
    fprintf(file,
            "</td><td><span class=\"bar\"><i style=\"width:%.2f%%\"></i>"
            "</span></td>",
            part);
    if (count) {
        fputs("<td class=\"count\">", file);
        number(file, (int64_t)group->packages);
        fputs("</td>", file);
    }
    fputs("<td>", file);
    size(file, group->kib);
    fputs("</td></tr>\n", file);
}

static void
table(FILE *file, const char *title, const char *what,
      const struct group *groups, size_t n, bool count)
{
    fprintf(file,
            "<section class=\"card\"><h2>%s</h2>\n<table><thead><tr>"
            "<th class=\"name\">%s</th><th></th>%s"
            "<th class=\"size\">Installed</th></tr></thead><tbody>\n",
            title, what, count ? "<th class=\"count\">Packages</th>" : "");
    for (size_t i = 0; i < n; i++)
        table_row(file, &groups[i], groups[0].kib, count);
    fputs("</tbody></table></section>\n", file);
}

static void
largest_packages(const struct report *report, FILE *file, size_t n)
{
    const struct package *list = report->packages.list;

    fputs("<section class=\"card\"><h2>Largest packages</h2>\n<table><thead>"
          "<tr><th class=\"name\">Package</th><th></th>"
          "<th class=\"size\">Installed</th></tr></thead><tbody>\n",
          file);
    for (size_t i = 0; i < n; i++)
        table_row(file, &(struct group){list[i].name, 1, list[i].kib},
                  list[0].kib, false);
    fputs("</tbody></table></section>\n", file);
}

void
report_html(const struct report *report, FILE *file)
{
    const struct packages *all = &report->packages;
    const struct groups *people = &report->maintainers;
    size_t top = report->top;
    time_t now = time(NULL);
    struct tm utc;
    char when[32];

    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &utc);

    fputs(head, file);
    fputs("<header><p class=\"eyebrow\">Smokehouse report</p>\n"
          "<h1>Installed packages</h1>\n<p>",
          file);
    text(file, report->source);
    fprintf(file, " · %s · job ", when);
    text(file, report->job);
    fputs("</p></header>\n<main>\n<div class=\"tiles\">\n", file);
    tile(file, (int64_t)all->len, "packages");
    fputs("<div class=\"card\"><b>", file);
    size(file, all->kib);
    fputs("</b><span>installed</span></div>\n", file);
    tile(file, (int64_t)report->sections.len, "sections");
    tile(file, (int64_t)people->len, "maintainers");
    fputs("</div>\n", file);

    table(file, "Size by section", "Section", report->sections.list,
          report->sections.len, true);
    fputs("<div class=\"pair\">\n", file);
    largest_packages(report, file, top < all->len ? top : all->len);
    table(file, "Largest by maintainer", "Maintainer", people->list,
          top < people->len ? top : people->len, false);
    fputs("</div>\n</main>\n<footer>All rows: <a href=\"report.csv\">"
          "report.csv</a></footer>\n</html>\n",
          file);
}
