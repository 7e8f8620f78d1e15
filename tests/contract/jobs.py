"""Enqueue, look, wait."""

from pitcontract import answers, get, post, put


@answers("enqueueJob", 202)
def _(c):
    return post("/v1/jobs", {"task": "noop", "queue": c.fresh()})


@answers("enqueueJob", 200)
def _(c):
    one = post("/v1/jobs", {"task": "noop", "queue": c.fresh()},
               Idempotency_Key=c.fresh())
    c.send(one)
    return one


@answers("enqueueJob", "duplicate-job")
def _(c):
    # The id that follows from a key is taken by a job that is not of that key.
    key, queue = c.fresh(), c.fresh()
    one = post("/v1/jobs", {"task": "noop", "queue": queue},
               Idempotency_Key=key)
    full = c.send(one).json()["id"]
    c.reopen(key)
    c.client.hset(f"pit:{{{queue}}}:jobs", full.rpartition(".")[2],
                  "15- 1 other\nnull")
    return one


@answers("enqueueJob", "idempotency-key-reuse")
def _(c):
    key = c.fresh()
    c.send(post("/v1/jobs", {"task": "noop"}, Idempotency_Key=key))
    return post("/v1/jobs", {"task": "noop", "args": 1}, Idempotency_Key=key)


@answers("enqueueJob", "unknown-task")
def _(_c):
    return post("/v1/jobs", {"task": "nobody"})


def closed(c):
    """A queue that takes no jobs."""
    queue = c.queue()
    answer = c.http.post(f"/v1/queues/{queue}:pause", {"intake": True})
    assert answer.status == 200, answer
    return queue


@answers("enqueueJob", "queue-full")
def _(c):
    return post("/v1/jobs", {"task": "noop", "queue": closed(c)})


@answers("putJob", "queue-full")
def _(c):
    return put(f"/v1/jobs/{closed(c)}.{c.fresh()}", {"task": "noop"})


@answers("enqueueBatch", 200)
def _(c):
    return post("/v1/jobs:batch", [{"task": "noop", "queue": c.fresh()},
                                   {"task": "nobody"}])


@answers("enqueueBatch", "conflict")
def _(c):
    queue, key = c.fresh(), c.fresh()
    one = post("/v1/jobs:batch?atomic=true",
               [{"task": "noop", "queue": queue}], Idempotency_Key=key)
    full = c.send(one).json()["results"][0]["id"]
    c.reopen(key)
    c.client.hset(f"pit:{{{queue}}}:jobs", full.rpartition(".")[2],
                  "15- 1 other\nnull")
    return one


@answers("enqueueBatch", "queue-full")
def _(c):
    return post("/v1/jobs:batch?atomic=true",
                [{"task": "noop", "queue": closed(c)}])


@answers("enqueueBatch", "duplicate-job")
def _(c):
    unique = {"task": "noop", "queue": c.fresh(), "unique": {"key": "k"}}
    c.send(post("/v1/jobs", unique))
    return post("/v1/jobs:batch?atomic=true",
                [{"task": "noop", "queue": unique["queue"]}, unique])


@answers("enqueueBatch", "idempotency-key-reuse")
def _(c):
    key = c.fresh()
    c.send(post("/v1/jobs:batch", [{"task": "noop"}], Idempotency_Key=key))
    return post("/v1/jobs:batch", [{"task": "noop", "args": 1}],
                Idempotency_Key=key)


@answers("enqueueBatch", "unknown-task")
def _(_c):
    return post("/v1/jobs:batch?atomic=true", [{"task": "nobody"}])


@answers("putJob", 201)
def _(c):
    return put(f"/v1/jobs/q.{c.fresh()}", {"task": "noop"})


@answers("putJob", 200)
def _(c):
    one = put(f"/v1/jobs/q.{c.fresh()}", {"task": "noop"})
    c.send(one)
    return one


@answers("putJob", "duplicate-job")
def _(c):
    one = put(f"/v1/jobs/q.{c.fresh()}", {"task": "noop"})
    c.send(one)
    return one._replace(json={"task": "noop", "args": 1})


@answers("putJob", "unknown-task")
def _(c):
    return put(f"/v1/jobs/q.{c.fresh()}", {"task": "nobody"})


@answers("getJob", 200)
def _(c):
    lease = c.lease()
    c.act("progress", lease, {"done": 3, "total": 10, "message": "half"})
    return get(f"/v1/jobs/{c.act('fail', lease, {'retry': False})}")


@answers("getJob", 304)
def _(c):
    full = c.ready()
    etag = c.http.get(f"/v1/jobs/{full}").headers["ETag"]
    return get(f"/v1/jobs/{full}", If_None_Match=etag)


@answers("getResult", 200)
def _(c):
    return get(f"/v1/jobs/{c.done({'n': 1})}/result")


@answers("getResult", 202)
def _(c):
    return get(f"/v1/jobs/{c.ready()}/result")


@answers("getResult", "job-dead")
def _(c):
    return get(f"/v1/jobs/{c.dead()}/result")
