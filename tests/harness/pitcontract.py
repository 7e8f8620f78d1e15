"""The contract at /openapi.json against a server: what a case is, and the cases
that follow from the document itself.

    @answers("enqueueJob", 202)
    def _(c):
        return post("/v1/jobs", {"task": "noop"})

    @answers("putJob", "duplicate-job")
    def _(c):
        c.http.put("/v1/jobs/q.a", {"task": "noop"})
        return put("/v1/jobs/q.a", {"task": "noop", "args": 1})

A case sets up what it needs and returns the request; the test sends it, and
checks status, content type and schema. Cases lie in tests/contract/, one file a
resource, and are found by themselves.
"""

import collections
import hashlib
import importlib.util
import itertools
import os
import re
import struct
import warnings

from pitharness import SOURCE_DIR

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import jsonschema

CASES_DIR = os.path.join(SOURCE_DIR, "tests", "contract")
PROBLEM = "application/problem+json"

Request = collections.namedtuple("Request", "method path json body headers")
Operation = collections.namedtuple("Operation", "id method path document")

# (operation, status or name of a problem) -> function
cases = {}

# What no request alone can bring about, and who tests it.
ELSEWHERE = {
    "overloaded": "a limit of the process: test_api_batch, test_http_limits",
    "durability-not-reached": "needs replicas: test_api_durability",
    ("resumeSchedule", "bad-schedule"): "its time zone must have vanished",
    **{(operation, "conflict"): "a race of two writers" for operation in (
        "putSchedule", "editSchedule", "deleteSchedule", "pauseSchedule",
        "resumeSchedule")},
}


def request(method, path, json=None, body=None, **headers):
    """Fields' names have underscores for dashes."""
    return Request(method, path, json, body,
                   {name.replace("_", "-"): value
                    for name, value in headers.items()})


def get(path, **headers):
    return request("GET", path, **headers)


def post(path, json=None, body=None, **headers):
    return request("POST", path, json, body, **headers)


def put(path, json=None, body=None, **headers):
    return request("PUT", path, json, body, **headers)


def patch(path, json=None, body=None, **headers):
    return request("PATCH", path, json, body, **headers)


def delete(path, **headers):
    return request("DELETE", path, **headers)


def answers(operation, *wanted):
    """This function makes a request that is answered so."""
    def register(function):
        for one in wanted:
            assert (operation, one) not in cases, (operation, one)
            cases[operation, one] = function
        return function
    return register


def load_cases():
    for name in sorted(os.listdir(CASES_DIR)):
        if name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(
                f"contract_{name[:-3]}", os.path.join(CASES_DIR, name))
            spec.loader.exec_module(importlib.util.module_from_spec(spec))


class Context:
    """What a case works with: a server, its Redis, and jobs in any state."""

    serial = itertools.count(1)

    def __init__(self, http, client):
        self.http, self.client = http, client
        self.listeners = []

    def listen(self, channel):
        """Somebody who is subscribed to it, until close()."""
        listener = self.client.pubsub()
        listener.subscribe(channel)
        listener.get_message(timeout=5)
        self.listeners.append(listener)

    def close(self):
        for listener in self.listeners:
            listener.close()
            listener.connection_pool.disconnect()

    def fresh(self):
        """A name that nobody has used."""
        return f"c{next(self.serial)}"

    def reopen(self, key):
        """The first request with this Idempotency-Key counts as failed."""
        self.set_phase(key, "f")

    def set_phase(self, key, phase):
        """Of the entry of an Idempotency-Key."""
        text = struct.pack("=Q", len(key)) + key.encode()
        name = "pit:{idem}:" + hashlib.sha256(text).hexdigest()
        entry = self.client.get(name)
        if entry is None:  # its name is made in another way
            raise KeyError(f"{name} of {self.client.keys('pit:{idem}:*')}")
        self.client.set(name, phase + entry[1:], keepttl=True)

    def send(self, one):
        return self.http.request(one.method, one.path, one.json, one.body,
                                 one.headers)

    def ready(self, queue=None, **more):
        """A new job's id."""
        answer = self.http.post("/v1/jobs", {
            "task": "noop", "queue": queue or self.fresh(), **more})
        assert answer.status == 202, answer
        return answer.json()["id"]

    def queue(self):
        """A new queue, with one job that is ready."""
        return self.ready().rpartition(".")[0]

    def lease(self, **more):
        """A new job that runs: (id, token)."""
        full = self.ready(**more)
        answer = self.http.post("/v1/leases",
                                {"queues": [full.rpartition(".")[0]]})
        assert answer.status == 200, answer
        return full, answer.json()["leases"][0]["token"]

    def act(self, verb, lease, body=None):
        full, token = lease
        answer = self.http.post(f"/v1/jobs/{full}:{verb}", body,
                                headers={"Lease-Token": token})
        assert answer.status < 300, answer
        return full

    def done(self, result=None, **more):
        return self.act("ack", self.lease(**more), result)

    def dead(self, **more):
        return self.act("fail", self.lease(**more), {"retry": False})

    def gone(self):
        """A job that is past its retention."""
        return self.act("ack", self.lease(keep="0s"))

    def quarantined(self, **more):
        full, token = self.lease(**more)
        queue, _, local = full.rpartition(".")
        state = f"pit:{{{queue}}}:state"
        text = self.client.hget(state, local)
        self.client.zrem(f"pit:{{{queue}}}:leased", f"5{local}")
        self.client.zadd(f"pit:{{{queue}}}:quarantined", {local: 1})
        head, _, rest = text.partition("\n")
        self.client.hset(state, local, f"Q{head[1:]} 1\n{rest}")
        return full


# ---- the document ----

class Contract:
    def __init__(self, document):
        self.document = document
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.resolver = jsonschema.RefResolver("", document)
        self.operations = [
            Operation(operation["operationId"], method.upper(), path,
                      {**operation, "parameters":
                       item.get("parameters", []) +
                       operation.get("parameters", [])})
            for path, item in document["paths"].items()
            for method, operation in item.items() if method != "parameters"]
        self.by_id = {one.id: one for one in self.operations}

    def wanted(self, operation):
        """All answers that it names: statuses of successes, kinds of problem."""
        problems = operation.document.get("x-problems", [])
        of_problems = {code for code, response in
                       operation.document["responses"].items()
                       if PROBLEM in response.get("content", {})}
        return ([int(code) for code in operation.document["responses"]
                 if code not in of_problems], problems)

    def fields(self, operation):
        """The names in its body's JSON object, or in those of its array."""
        schema = operation.document.get("requestBody", {}).get(
            "content", {}).get("application/json", {}).get("schema", {})
        schema = self.resolved(schema)
        if schema.get("type") == "array":
            schema = self.resolved(schema["items"])
        return list(schema.get("properties", {}))

    def resolved(self, schema):
        while "$ref" in schema:
            schema = self.resolver.resolve(schema["$ref"])[1]
        return schema

    def check_schema(self, schema, value, what):
        validator = jsonschema.Draft202012Validator(schema,
                                                    resolver=self.resolver)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error = next(iter(validator.iter_errors(value)), None)
        assert error is None, (f"{what}: {error.message} at "
                               f"{list(error.absolute_path)}")

    def check(self, operation, answer):
        """The answer is one that the operation describes."""
        responses = operation.document["responses"]
        what = f"{operation.id}: {answer}"
        assert str(answer.status) in responses, f"{what} is not described"
        content = responses[str(answer.status)].get("content")
        if not content:
            assert not answer.body, f"{what} has a body"
            return
        kind = answer.headers["Content-Type"].partition(";")[0]
        assert kind in content, f"{what} is {kind}"
        if kind.endswith("json"):
            self.check_schema(content[kind].get("schema", {}), answer.json(),
                              what)

    def check_problem(self, operation, answer, kind):
        document = answer.json()
        assert document.get("type", "").rpartition("/")[2] == kind, (
            f"{operation.id}: not {kind} but {answer}")
        self.check(operation, answer)
        for name in ("title", "status", "detail", "instance", "retryable"):
            assert name in document, f"{operation.id}: no {name} in {answer}"
        assert document["status"] == answer.status, answer
        assert answer.headers.get("X-Request-Id"), answer
        again = answer.headers.get("Retry-After")
        assert again == (str(document["retry_after"])
                         if "retry_after" in document else None), answer
        if answer.status in (429, 503):
            assert again, f"{operation.id}: no Retry-After in {answer}"


def in_path(operation, **values):
    """The operation's path with values for its parameters."""
    return re.sub(r"\{(\w+)\}", lambda name: values[name.group(1)],
                  operation.path)


def with_path(one, path):
    return one._replace(path=path + ("?" + one.path.partition("?")[2]
                                     if "?" in one.path else ""))
