"""Workers over HTTP."""

from pitcontract import answers, post


@answers("claimJobs", 200)
def _(c):
    return post("/v1/leases", {"queues": [c.queue()]})


@answers("claimJobs", 204)
def _(c):
    return post("/v1/leases", {"queues": [c.fresh()]})


@answers("finishLeases", 200)
def _(c):
    full, token = c.lease()
    return post("/v1/leases:finish", {"finishes": [
        {"id": full, "token": token, "outcome": "failed"},
        {"id": "q.none", "token": "w.1", "outcome": "succeeded"}]})


BODIES = {"extend": ("extendLease", 200, {}), "ack": ("ackJob", 200, {"n": 1}),
          "fail": ("failJob", 200, {"message": "no"}),
          "progress": ("reportProgress", 204, {"done": 1}),
          "log": ("logLines", 204, {"lines": "x"})}


def add(verb, operation, status, body):
    @answers(operation, status)
    def _(c):
        full, token = c.lease()
        return post(f"/v1/jobs/{full}:{verb}", body, Lease_Token=token)

    @answers(operation, "lease-lost")
    def _(c):
        full, _ = c.lease()
        return post(f"/v1/jobs/{full}:{verb}", body, Lease_Token="w.1")


for name, row in BODIES.items():
    add(name, *row)
