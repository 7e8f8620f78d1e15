/* Public files: pit/file.h on top of async/file.h. */
#include <stdlib.h>

#include "app/public/co_public.h"
#include "async/file.h"
#include "pit/file.h"

void
pit_bytes_clear(struct pit_bytes *bytes)
{
    free(bytes->data);
    bytes->data = NULL;
    bytes->len = 0;
}

enum pit_status
pit_file_read(struct pit_co *co, const char *folder, const char *name,
              size_t max, struct pit_bytes *ret)
{
    pit_bytes_clear(ret);
    if (max == 0 || max > PIT_FILE_MAX)
        max = PIT_FILE_MAX;
    return (enum pit_status)file_read(co_public_core(co), folder, name, max,
                                      &ret->data, &ret->len);
}

enum pit_status
pit_file_write(struct pit_co *co, const char *folder, const char *name,
               const void *data, size_t len)
{
    return (enum pit_status)file_write(co_public_core(co), folder, name,
                                       str_from(data, len));
}

enum pit_status
pit_file_append(struct pit_co *co, const char *folder, const char *name,
                const void *data, size_t len)
{
    return (enum pit_status)file_append(co_public_core(co), folder, name,
                                        str_from(data, len));
}

enum pit_status
pit_file_remove(struct pit_co *co, const char *folder, const char *name)
{
    return (enum pit_status)file_remove(co_public_core(co), folder, name);
}
