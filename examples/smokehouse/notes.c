/* Notes: a file each, read and written without blocking the loop.
 *
 * pit_file_read() and its kin never leave the folder, whatever the name. The
 * route's type, {name:slug}, also keeps clients from making hidden files up. */
#include <pit/file.h>

#include "place.h"
#include "smokehouse.h"

enum { NOTE_MAX = 64 * 1024 };

static enum pit_status
find_folder(struct pit_request *req, char ret[PLACE_MAX])
{
    if (place_folder("notes", ret))
        return PIT_OK;
    return pit_request_fail(req, PIT_UNAVAILABLE, NULL, "no place for notes");
}

enum pit_status
view_note_get(struct pit_co *co, struct pit_request *req,
              struct pit_response *res)
{
    struct pit_bytes note PIT_BYTES = {0};
    const char *name = pit_request_param(req, "name");
    char folder[PLACE_MAX];
    enum pit_status st = find_folder(req, folder);

    if (st == PIT_OK)
        st = pit_file_read(co, folder, name, NOTE_MAX, &note);
    if (st == PIT_NOT_FOUND)
        return pit_request_fail(req, st, NULL, "there is no such note");
    if (st != PIT_OK)
        return st;
    return pit_reply_bytes(res, 200, "text/plain; charset=utf-8", note.data,
                           note.len);
}

enum pit_status
view_note_put(struct pit_co *co, struct pit_request *req,
              struct pit_response *res)
{
    const char *name = pit_request_param(req, "name");
    char folder[PLACE_MAX];
    size_t len;
    const char *text = pit_request_body(req, &len);
    enum pit_status st = find_folder(req, folder);

    if (st == PIT_OK)
        st = pit_file_write(co, folder, name, text, len);
    return st == PIT_OK ? pit_reply_empty(res, 204) : st;
}
