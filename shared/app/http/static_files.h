/* static_files.h - files as answers: an application's static folders, and
 * pit_reply_file().
 *
 * Opened beneath their folder and never outside of it, looked at and read on a
 * thread of the loop. GET and HEAD with ETag and Last-Modified, If-None-Match,
 * If-Modified-Since, one Range with If-Range (RFC 9110 sections 13 and 14). A
 * file of more than RESPONSE_BODY_MAX bytes is streamed. Loop thread only. */
#ifndef APP_STATIC_FILES_H
#define APP_STATIC_FILES_H

#include "app/app.h"
#include "app/http/request.h"
#include "app/http/response.h"
#include "async/co/co.h"

struct static_folder {
    const struct pit_static *table;
    int fd;
};

/* Opens them; *ret is NULL for none. Errors: ST_NOT_FOUND, with the folder's
 * name and why. */
CHECK enum status static_files_open(const struct pit_static *table, size_t len,
                                    struct static_folder **ret,
                                    struct error *err);
/* NULL is fine. */
void static_files_close(struct static_folder *folders, size_t len);

/* Answers if the path lies in one of the folders: *ret_served says so, whatever
 * the answer is. The longest route wins. */
CHECK enum status static_files_serve(struct co *co,
                                     const struct static_folder *folders,
                                     size_t len, struct pit_request *req,
                                     struct pit_response *res,
                                     bool *ret_served);

#endif
