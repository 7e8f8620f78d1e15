"""What operators do: one job, many jobs, queues, workers, probes."""

import json
import time

from pitcontract import answers, delete, get, patch, post
from pitharness import wait_until


@answers("cancelJob", 200)
def _(c):
    return post(f"/v1/jobs/{c.ready()}:cancel")


@answers("cancelJob", 202)
def _(c):
    return post(f"/v1/jobs/{c.lease()[0]}:cancel")


@answers("cancelJob", 204)
def _(c):
    return post(f"/v1/jobs/{c.ready(keep='0s')}:cancel")


@answers("cancelJob", "invalid-state")
def _(c):
    return post(f"/v1/jobs/{c.done()}:cancel")


@answers("retryJob", 200)
def _(c):
    return post(f"/v1/jobs/{c.dead()}:retry")


@answers("retryJob", "invalid-state")
def _(c):
    return post(f"/v1/jobs/{c.done()}:retry")


@answers("promoteJob", 200)
def _(c):
    return post(f"/v1/jobs/{c.ready(delay='1h')}:promote")


@answers("promoteJob", "invalid-state")
def _(c):
    return post(f"/v1/jobs/{c.done()}:promote")


@answers("releaseJob", 200)
def _(c):
    return post(f"/v1/jobs/{c.quarantined()}:release")


@answers("releaseJob", "invalid-state")
def _(c):
    return post(f"/v1/jobs/{c.ready()}:release")


@answers("editJob", 200)
def _(c):
    return patch(f"/v1/jobs/{c.ready()}", {"priority": 9})


@answers("editJob", "invalid-state")
def _(c):
    return patch(f"/v1/jobs/{c.done()}", {"priority": 9})


@answers("deleteJob", 204)
def _(c):
    return delete(f"/v1/jobs/{c.ready()}")


@answers("deleteJob", "invalid-state")
def _(c):
    return delete(f"/v1/jobs/{c.lease()[0]}")


def held(c, make):
    """A job that has ended, whose unique key is another's by now."""
    unique = {"unique": {"key": c.fresh(), "while": "running"}}
    queue = c.fresh()
    full = make(queue=queue, **unique)
    c.ready(queue=queue, **unique)
    return full


@answers("retryJob", "duplicate-job")
def _(c):
    return post(f"/v1/jobs/{held(c, c.dead)}:retry")


@answers("releaseJob", "duplicate-job")
def _(c):
    def quarantined(**more):
        full = c.quarantined(**more)
        queue = full.rpartition(".")[0]
        c.client.delete(f"pit:{{{queue}}}:unique")
        return full
    return post(f"/v1/jobs/{held(c, quarantined)}:release")


STEPS = {"cancelJob": ("POST", ":cancel", None),
         "retryJob": ("POST", ":retry", None),
         "promoteJob": ("POST", ":promote", None),
         "releaseJob": ("POST", ":release", None),
         "editJob": ("PATCH", "", {"priority": 1}),
         "deleteJob": ("DELETE", "", None)}


def add_precondition(operation, method, verb, body):
    @answers(operation, "precondition-failed")
    def _(c):
        one = post(f"/v1/jobs/{c.ready()}{verb}", body, If_Match='"other"')
        return one._replace(method=method)


for step, row in STEPS.items():
    add_precondition(step, *row)


@answers("listJobs", 200)
def _(c):
    return get(f"/v1/jobs?queue={c.queue()}&state=ready")


@answers("getLogs", 200)
def _(c):
    lease = c.lease()
    c.act("log", lease, {"lines": "x"})
    return get(f"/v1/jobs/{lease[0]}/logs")


@answers("explainJob", 200)
def _(c):
    return get(f"/v1/jobs/{c.ready()}/explain")


def add_many(operation, make):
    """@make: (c) -> the path of a POST that begins an operation, its body."""
    @answers(operation, 202)
    def _(c):
        return post(*make(c))

    def repeated(c):
        one = post(*make(c), Idempotency_Key=c.fresh())
        return one, c.send(one).json()["id"]

    @answers(operation, 200)
    def _(c):
        return repeated(c)[0]

    @answers(operation, "idempotency-key-reuse")
    def _(c):
        one, _ = repeated(c)
        return one._replace(json={**one.json, "state": "quarantined"})

    @answers(operation, "gone")
    def _(c):
        one, full = repeated(c)
        wait_until(lambda: c.http.get(f"/v1/operations/{full}").json()[
            "state"] != "running", 10, "the operation to end")
        for what in ("documents", "kept"):
            name = f"pit:{{@operations}}:{what}"
            (c.client.hdel if what == "documents" else c.client.zrem)(
                name, full)
        return one


def add_bulk(operation, verb, state):
    add_many(operation, lambda c: (f"/v1/jobs:{verb}", {
        "queue": c.fresh(), "state": state}))


for bulk in (("retryJobs", "retry", "dead"), ("cancelJobs", "cancel", "ready"),
             ("deleteJobs", "delete", "dead")):
    add_bulk(*bulk)


def purge(c):
    queue = c.fresh()
    return f"/v1/queues/{queue}:purge", {"confirm": queue}


add_many("purgeQueue", purge)


def begun_operation(c):
    """The path of one that retries no jobs."""
    return c.http.post("/v1/jobs:retry", {
        "queue": c.fresh(), "state": "dead"}).headers["Location"]


@answers("getOperation", 200)
def _(c):
    return get(begun_operation(c))


def ended_operation(c):
    where = begun_operation(c)
    wait_until(lambda: c.http.get(where).json()["state"] == "done", 10)
    return where


@answers("listOperations", 200)
def _(c):
    ended_operation(c)
    return get("/v1/operations?limit=1")


@answers("cancelOperation", 202)
def _(c):
    queue = c.fresh()
    c.http.post("/v1/jobs:batch", [{"task": "noop", "queue": queue}] * 70)
    answer = c.http.post("/v1/jobs:cancel", {"queue": queue, "state": "ready",
                                             "rate": "1/h"})
    return post(answer.headers["Location"] + ":cancel")


@answers("cancelOperation", "not-found")
def _(_c):
    return post("/v1/operations/01ARZ3NDEKTSV4RRFFQ69G5FAV:cancel")


@answers("cancelOperation", "invalid-state")
def _(c):
    return post(ended_operation(c) + ":cancel")


@answers("listQueues", 200)
def _(c):
    c.ready()
    return get("/v1/queues")


@answers("getQueue", 200)
def _(c):
    return get(f"/v1/queues/{c.queue()}")


@answers("editQueue", 200)
def _(c):
    return patch(f"/v1/queues/{c.fresh()}", {
        "note": "x", "limits": None, "retention": {"dead_for": "7d"},
        "retry": {"max": 8, "backoff": "fixed", "base": "2s", "cap": 60,
                  "jitter": 0.5}})


@answers("pauseQueue", 200)
def _(c):
    return post(f"/v1/queues/{c.fresh()}:pause")


@answers("resumeQueue", 200)
def _(c):
    return post(f"/v1/queues/{c.queue()}:resume")


@answers("editQueue", "not-found")
def _(c):
    """Nothing is set, so that there still is no such queue."""
    return patch(f"/v1/queues/{c.fresh()}", {"note": None})


@answers("resumeQueue", "not-found")
def _(c):
    return post(f"/v1/queues/{c.fresh()}:resume")


@answers("getScale", 200)
def _(c):
    return get(f"/v1/queues/{c.queue()}/scale")


def add_look(operation, path):
    @answers(operation, 200)
    def _(_c):
        return get(path)


for look in (("getMetrics", "/metrics"), ("listTasks", "/v1/tasks"),
             ("getHealth", "/healthz"), ("getReadiness", "/readyz"),
             ("getOpenapi", "/openapi.json")):
    add_look(*look)


@answers("getOpenapi", 304)
def _(c):
    return get("/openapi.json",
               If_None_Match=c.http.get("/openapi.json").headers["ETag"])


def worker(c):
    """One that says it is alive."""
    name = c.fresh()
    c.client.hset("pit:workers", name, json.dumps({
        "seen_ms": int(time.time() * 1000), "host": "h", "pid": 1, "slots": 1,
        "started_ms": int(time.time() * 1000), "queues": ["q"]}))
    return name


@answers("listWorkers", 200)
def _(c):
    worker(c)
    return get("/v1/workers")


@answers("getWorker", 200)
def _(c):
    return get(f"/v1/workers/{worker(c)}")


def add_order(operation, verb):
    @answers(operation, 202)
    def _(c):
        name = worker(c)
        c.listen(f"pit:worker:{name}")
        return post(f"/v1/workers/{name}:{verb}")


for order in (("quietWorker", "quiet"), ("resumeWorker", "resume"),
              ("stopWorker", "stop")):
    add_order(*order)
