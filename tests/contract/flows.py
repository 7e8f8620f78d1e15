"""Flows."""

from pitcontract import answers, get, post

FLOW = {"chain": [{"task": "noop"}, {"task": "noop"}]}


def start(c):
    return c.http.post("/v1/flows", FLOW).json()["links"]["self"]


@answers("startFlow", 202)
def _(_c):
    return post("/v1/flows", FLOW)


@answers("startFlow", 200)
def _(c):
    one = post("/v1/flows", FLOW, Idempotency_Key=c.fresh())
    c.send(one)
    return one


@answers("startFlow", "idempotency-key-reuse")
def _(c):
    key = c.fresh()
    c.send(post("/v1/flows", FLOW, Idempotency_Key=key))
    return post("/v1/flows", {"group": FLOW["chain"]}, Idempotency_Key=key)


@answers("startFlow", "gone")
def _(c):
    one = post("/v1/flows", FLOW, Idempotency_Key=c.fresh())
    queue, _, local = c.send(one).json()["id"].partition(".")
    c.client.delete(f"pit:{{{queue}}}:flow:{local}")
    return one


@answers("startFlow", "unknown-task")
def _(_c):
    return post("/v1/flows", {"chain": [{"task": "nobody"}]})


@answers("startFlow", "queue-full")
def _(c):
    queue = c.queue()
    c.http.post(f"/v1/queues/{queue}:pause", {"intake": True})
    return post("/v1/flows", {**FLOW, "queue": queue})


@answers("listFlows", 200)
def _(c):
    start(c)
    return get("/v1/flows")


@answers("getFlow", 200)
def _(c):
    return get(start(c))


@answers("cancelFlow", 200)
def _(c):
    return post(f"{start(c)}:cancel")


@answers("cancelFlow", 202)
def _(c):
    queue = c.fresh()
    flow = c.http.post("/v1/flows", {"chain": [
        {"task": "noop", "queue": queue}]}).json()["links"]["self"]
    c.http.post("/v1/leases", {"queues": [queue]})
    return post(f"{flow}:cancel")


@answers("cancelFlow", "invalid-state")
def _(c):
    one = post(f"{start(c)}:cancel")
    c.send(one)
    return one
