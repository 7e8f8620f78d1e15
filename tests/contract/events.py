"""Streams of events."""

from pitcontract import answers, get


@answers("streamEvents", 200)
def _(_c):
    return get("/v1/events")


@answers("streamJobEvents", 200)
def _(c):
    return get(f"/v1/jobs/{c.done()}/events")


@answers("streamJobEvents", 204)
def _(c):
    return get(f"/v1/jobs/{c.done()}/events", Last_Event_ID="0-0:end")
