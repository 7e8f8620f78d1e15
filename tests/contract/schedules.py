"""Schedules."""

from pitcontract import answers, delete, get, patch, post, put

DAILY = {"cron": "0 3 * * *", "task": "noop"}


def made(c, **more):
    path = f"/v1/schedules/{c.fresh()}"
    answer = c.http.put(path, {**DAILY, **more})
    assert answer.status == 201, answer
    return path


@answers("listSchedules", 200)
def _(c):
    made(c)
    return get("/v1/schedules")


@answers("getSchedule", 200)
def _(c):
    return get(made(c))


@answers("putSchedule", 201)
def _(c):
    return put(f"/v1/schedules/{c.fresh()}", DAILY)


@answers("putSchedule", 200)
def _(c):
    return put(made(c), DAILY)


@answers("putSchedule", "bad-schedule")
def _(c):
    return put(f"/v1/schedules/{c.fresh()}", {**DAILY, "cron": "61 * * * *"})


@answers("putSchedule", "unknown-task")
def _(c):
    return put(f"/v1/schedules/{c.fresh()}", {**DAILY, "task": "nobody"})


@answers("putSchedule", "precondition-failed")
def _(c):
    return put(made(c), DAILY, If_Match='"other"')


@answers("editSchedule", 200)
def _(c):
    return patch(made(c), {"note": "x"})


@answers("editSchedule", "bad-schedule")
def _(c):
    return patch(made(c), {"timezone": "Mars/Olympus"})


@answers("editSchedule", "unknown-task")
def _(c):
    return patch(made(c), {"task": "nobody"})


@answers("editSchedule", "precondition-failed")
def _(c):
    return patch(made(c), {"note": "x"}, If_Match='"other"')


@answers("deleteSchedule", 204)
def _(c):
    return delete(made(c))


@answers("deleteSchedule", "precondition-failed")
def _(c):
    return delete(made(c), If_Match='"other"')


@answers("pauseSchedule", 200)
def _(c):
    return post(f"{made(c)}:pause")


@answers("resumeSchedule", 200)
def _(c):
    return post(f"{made(c, paused=True)}:resume")


@answers("triggerSchedule", 202)
def _(c):
    return post(f"{made(c)}:trigger")


@answers("triggerSchedule", 200)
def _(c):
    one = post(f"{made(c)}:trigger", Idempotency_Key=c.fresh())
    c.send(one)
    return one


@answers("triggerSchedule", "idempotency-key-reuse")
def _(c):
    key = c.fresh()
    c.send(post(f"{made(c)}:trigger", Idempotency_Key=key))
    return post(f"{made(c)}:trigger", Idempotency_Key=key)


@answers("triggerSchedule", "duplicate-job")
def _(c):
    path = made(c, queue=c.fresh(), unique={"key": "k"})
    c.send(post(f"{path}:trigger"))
    return post(f"{path}:trigger")


@answers("triggerSchedule", "queue-full")
def _(c):
    queue = c.fresh()
    path = made(c, queue=queue)
    c.http.post(f"/v1/queues/{queue}:pause", {"intake": True})
    return post(f"{path}:trigger")


@answers("listFires", 200)
def _(c):
    path = made(c)
    c.http.post(f"{path}:trigger")
    return get(f"{path}/fires")
