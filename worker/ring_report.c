/* Ring report: the text goes word by word, since each load and store of what
 * two processes share must be atomic. */
#include "ring_report.h"

#include <string.h>

void
ring_report_reset(struct ring_report *report)
{
    atomic_store(&report->version, 0);
}

bool
ring_report_read(const struct ring_report *report, struct ring_progress *ret)
{
    uint64_t text[RING_PROGRESS_TEXT / 8];
    uint32_t version = atomic_load(&report->version);

    if (version == 0 || version % 2)
        return false;
    ret->version = version;
    ret->position = atomic_load(&report->position);
    ret->done = atomic_load(&report->done);
    ret->total = atomic_load(&report->total);
    ret->text_len = atomic_load(&report->text_len);
    if (ret->text_len > RING_PROGRESS_TEXT)
        return false;
    for (size_t i = 0; i * 8 < ret->text_len; i++)
        text[i] = atomic_load(&report->text[i]);
    memcpy(ret->text, text, ret->text_len);
    return atomic_load(&report->version) == version;
}

void
ring_report_write(struct ring_report *report, uint32_t position, int64_t done,
                  int64_t total, struct str text)
{
    uint64_t words[RING_PROGRESS_TEXT / 8] = {0};

    if (text.n > RING_PROGRESS_TEXT)
        text.n = RING_PROGRESS_TEXT;
    if (text.n)
        memcpy(words, text.p, text.n);
    uint32_t odd = atomic_load(&report->version) | 1;
    atomic_store(&report->version, odd);
    atomic_store(&report->position, position);
    atomic_store(&report->done, done);
    atomic_store(&report->total, total);
    atomic_store(&report->text_len, (uint32_t)text.n);
    for (size_t i = 0; i * 8 < text.n; i++)
        atomic_store(&report->text[i], words[i]);
    atomic_store(&report->version, odd + 1);
}
