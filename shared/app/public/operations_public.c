/* Public operations: pit/operations.h on top of queue/operation.h. What a
 * struct had before is dropped last: an argument may be lent by it. */
#include "pit/operations.h"

#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "app/public/shown.h"
#include "queue/operation.h"

enum { LIST_STANDARD = 50, ARENA_MAX = 64 * 1024 * 1024 };

void
pit_operations_clear(struct pit_operations *operations)
{
    shown_free(operations->private_);
    *operations = (struct pit_operations){.len = 0};
}

/* ---- what is shown ---- */

static enum pit_operation_state
state_of(const char *name)
{
    static const char *const names[] = {
        [PIT_OPERATION_RUNNING] = "running",
        [PIT_OPERATION_INTERRUPTED] = "interrupted",
        [PIT_OPERATION_DONE] = "done",
        [PIT_OPERATION_CANCELLED] = "cancelled",
        [PIT_OPERATION_FAILED] = "failed",
    };

    return (enum pit_operation_state)shown_word(names, ARRAY_LEN(names), name);
}

/* One whose document cannot be read is left out. */
static void
add(struct shown *shown, const struct operation_item *item)
{
    json_t *document = operation_shown(item);

    if (!document)
        return;
    const char *state = shown_member(shown, document, "state");
    ((struct pit_operation_info *)shown->items)[shown->len++] =
        (struct pit_operation_info){
            .id = shown_text(shown, item->id),
            .kind = shown_member(shown, document, "kind"),
            .state = state_of(state),
            .state_name = state,
            .cancel_asked =
                json_is_true(json_object_get(document, "cancel_asked")),
            .queue = shown_member(shown, document, "queue"),
            .dry_run = json_is_true(json_object_get(document, "dry_run")),
            .filter = shown_json(shown, json_object_get(document, "filter")),
            .seen = shown_number(document, "seen"),
            .matched = shown_number(document, "matched"),
            .done = shown_number(document, "done"),
            .refused = shown_number(document, "refused"),
            .message = shown_member(shown, document, "error"),
            .created_ms = shown_time(document, "created_at"),
            .updated_ms = shown_time(document, "updated_at"),
            .ended_ms = shown_time(document, "ended_at"),
        };
    json_decref(document);
}

static struct shown *
show(const struct operation_page *page)
{
    struct shown *shown =
        shown_new(page->len + 1, sizeof(struct pit_operation_info), ARENA_MAX);

    for (size_t i = 0; i < page->len; i++)
        add(shown, &page->items[i]);
    if (page->more && page->len > 0)
        shown->next = shown_text_or_null(shown, page->items[page->len - 1].id);
    return shown;
}

/* Takes over @shown, which may be NULL. @ret may be NULL. */
static enum pit_status
end(struct co *co, enum status st, bool wrote, struct error *err,
    struct shown *shown, struct pit_operations *ret)
{
    shown = shown_settle(shown, ret, &st, "out of memory", err);
    if (!ret)
        return queue_public_end(co, st, wrote, err, NULL);
    pit_operations_clear(ret);
    if (shown)
        *ret = (struct pit_operations){
            .len = shown->len,
            .operations = shown->items,
            .next = shown->next,
            .private_ = shown,
        };
    return queue_public_end(co, st, wrote, err, ret->error);
}

/* ---- the calls ---- */

/* *ret is made when there is one. */
static enum status
look(struct co *co, struct queues *queues, const char *id, struct shown **ret,
     struct error *err)
{
    struct operation_page page = {.len = 0};

    enum status st = operation_get(co, queues, str_c(id), &page, err);
    if (st == ST_OK) {
        struct shown *shown = show(&page);
        if (shown->len > 0) {
            *ret = shown;
        } else {
            shown_free(shown);
            st = error_set(err, ST_BUG, "the operation's document is damaged");
        }
    }
    operation_page_clear(&page);
    return st;
}

enum pit_status
pit_operations_get(struct pit_co *public, const char *id,
                   struct pit_operations *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct queues *queues;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK)
        st = look(co, queues, id, &shown, &err);
    return end(co, st, false, &err, shown, ret);
}

enum pit_status
pit_operations_list(struct pit_co *public, const char *cursor, int limit,
                    struct pit_operations *ret)
{
    struct co *co = co_public_core(public);
    struct operation_page page = {.len = 0};
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct str before = str_c(cursor);
    struct queues *queues;
    size_t n = 0;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK && cursor &&
        (before.n != ID_ULID_LEN || !id_local_valid(before)))
        st = error_set_at(&err, "/cursor",
                          "none of ours: take what the page before said, or "
                          "begin with NULL");
    if (st == ST_OK)
        st = queue_public_limit(limit, LIST_STANDARD, OPERATION_LIST_MAX, &n,
                                &err);
    if (st == ST_OK)
        st = operation_list(co, queues, before, n, &page, &err);
    if (st == ST_OK)
        shown = show(&page);
    operation_page_clear(&page);
    return end(co, st, false, &err, shown, ret);
}

/* That it was asked stands whatever becomes of the look. */
enum pit_status
pit_operations_cancel(struct pit_co *public, const char *id,
                      struct pit_operations *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct shown *shown = NULL;
    struct queues *queues;
    bool asked = false, sent = false;

    enum status st = queue_public_begin(co, &queues, &err);
    if (st == ST_OK) {
        sent = true;
        st = operation_stop(co, queues, str_c(id), &asked, &err);
    }
    if (st == ST_OK && !asked)
        st = error_set(&err, ST_CONFLICT,
                       "the operation has ended: what it did is done");
    if (st == ST_OK && ret)
        (void)!look(co, queues, id, &shown, &err);
    return end(co, st, sent, &err, shown, ret);
}
