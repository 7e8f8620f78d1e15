/* Notes: a file each, read and written without blocking the loop. */
#include <string.h>

#include <pit/file.h>

#include "place.h"
#include "smokehouse.h"

enum { NOTE_MAX = 64 * 1024, NAME_MAX_LEN = 64 };

/* pit_file_read() and its kin never leave the folder, whatever the name. This
 * one also keeps clients from making hidden files and folders' names up. */
static const char *
note_name(const struct pit_request *req)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *name = pit_request_param(req, "name");
    size_t n = strlen(name);

    return name[0] != '.' && n <= NAME_MAX_LEN && strspn(name, allowed) == n
               ? name
               : NULL;
}

static enum pit_status
no_such_note(struct pit_response *res)
{
    return pit_reply_problem(res, PIT_NOT_FOUND, "there is no such note");
}

enum pit_status
view_note_get(struct pit_co *co, struct pit_request *req,
              struct pit_response *res)
{
    struct pit_bytes note PIT_BYTES = {0};
    char folder[PLACE_MAX];
    const char *name = note_name(req);

    if (!name)
        return no_such_note(res);
    if (!place_folder("notes", folder))
        return pit_reply_problem(res, PIT_UNAVAILABLE, "no place for notes");
    enum pit_status st = pit_file_read(co, folder, name, NOTE_MAX, &note);
    if (st == PIT_NOT_FOUND)
        return no_such_note(res);
    return st == PIT_OK ? pit_reply_bytes(res, 200, "text/plain; charset=utf-8",
                                          note.data, note.len)
                        : st;
}

enum pit_status
view_note_put(struct pit_co *co, struct pit_request *req,
              struct pit_response *res)
{
    char folder[PLACE_MAX];
    size_t len;
    const char *text = pit_request_body(req, &len);
    const char *name = note_name(req);

    if (!name)
        return no_such_note(res);
    if (!place_folder("notes", folder))
        return pit_reply_problem(res, PIT_UNAVAILABLE, "no place for notes");
    enum pit_status st = pit_file_write(co, folder, name, text, len);
    return st == PIT_OK ? pit_reply_empty(res, 204) : st;
}
