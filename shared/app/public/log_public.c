/* Public log: pit/log.h on top of base/log.h. */
#include "pit/log.h"

#include "base/log.h"

_Static_assert((int)PIT_LOG_DEBUG == LOG_LEVEL_DEBUG &&
                   (int)PIT_LOG_ERROR == LOG_LEVEL_ERROR,
               "the public levels are the same");

void
pit_log_line(enum pit_log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line_va((enum log_level)level, fmt, ap);
    va_end(ap);
}
