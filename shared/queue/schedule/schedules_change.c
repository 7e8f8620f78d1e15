#include "queue/schedule/schedules_change.h"

void
schedules_change_begin(const struct schedule_view *old, struct schedule *ret)
{
    schedule_init(ret);
    ret->name = str_c(old->name);
    ret->app = old->schedule.app;
    ret->declared = old->schedule.declared;
    ret->created_ms = old->schedule.created_ms;
    ret->anchor_ms = old->schedule.anchor_ms;
}

enum status
schedules_change_paused(struct co *co, struct queues *queues, struct str name,
                        bool paused, struct str note, struct error *err)
{
    enum status st = ST_CONFLICT;

    for (int i = 0; i < SCHEDULES_TRIES && st == ST_CONFLICT; i++) {
        struct schedule_view view;
        st = schedules_get(co, queues, name, &view, err);
        struct schedule s = view.schedule;
        bool same = s.paused == paused && !note.p;
        s.paused = paused;
        if (note.p)
            s.note = note;
        if (st == ST_OK && !same)
            st = schedule_check(&s, err);
        if (st == ST_OK && !same)
            st = schedules_put(co, queues, &s, &view, err);
        schedules_view_clear(&view);
    }
    return st;
}

enum status
schedules_change_delete(struct co *co, struct queues *queues,
                        const struct schedule_view *view, struct error *err)
{
    if (view->schedule.app.n > 0)
        return error_set(err, ST_FORBIDDEN,
                         "it stands in the table of the application %.*s and "
                         "would come back with its next start: pause it, or "
                         "take it out of the table",
                         STR_ARG(view->schedule.app));
    return schedules_delete(co, queues, view, err);
}
