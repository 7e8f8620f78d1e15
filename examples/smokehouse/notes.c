/* Notes: a file each, read and written without blocking the loop. */
#include <string.h>

#include <pit/file.h>

#include "place.h"
#include "smokehouse.h"

enum { NOTE_MAX = 64 * 1024, NAME_MAX_LEN = 64 };

static enum pit_status
no_such_note(struct pit_request *req)
{
    return pit_request_fail(req, PIT_NOT_FOUND, NULL, "there is no such note");
}

/* pit_file_read() and its kin never leave the folder, whatever the name. This
 * one also keeps clients from making hidden files and folders' names up. */
static enum pit_status
find_note(struct pit_request *req, char folder[PLACE_MAX], const char **ret)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *name = pit_request_param(req, "name");
    size_t n = strlen(name);

    if (name[0] == '.' || n > NAME_MAX_LEN || strspn(name, allowed) != n)
        return no_such_note(req);
    if (!place_folder("notes", folder))
        return pit_request_fail(req, PIT_UNAVAILABLE, NULL,
                                "no place for notes");
    *ret = name;
    return PIT_OK;
}

enum pit_status
view_note_get(struct pit_co *co, struct pit_request *req,
              struct pit_response *res)
{
    struct pit_bytes note PIT_BYTES = {0};
    char folder[PLACE_MAX];
    const char *name;
    enum pit_status st = find_note(req, folder, &name);

    if (st == PIT_OK)
        st = pit_file_read(co, folder, name, NOTE_MAX, &note);
    if (st == PIT_NOT_FOUND)
        return no_such_note(req);
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
    const char *name, *text = pit_request_body(req, &len);
    enum pit_status st = find_note(req, folder, &name);

    if (st == PIT_OK)
        st = pit_file_write(co, folder, name, text, len);
    return st == PIT_OK ? pit_reply_empty(res, 204) : st;
}
