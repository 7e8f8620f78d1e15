"""Every operation of /openapi.json answers as documented: each success and each
refusal that it names, with the schema that it gives.

Cases are in tests/contract/ (pitcontract.py says how). Refusals that every
operation meets in the same way follow from the document: a query parameter that
there is none of, an id that nobody has, a store that is away, full or hangs."""

import concurrent.futures
import http.client
import json as jsonlib
import unittest

import pitcontract
from pitcontract import Context, Contract, ELSEWHERE, in_path, with_path
from pitharness import Http, PitTestCase, Response, wait_until

# Where the id of a job is no id: not-found has another path.
NONE = {"id": "q.none", "queue": "none-at-all", "name": "none-at-all"}
REDIS_TIMEOUT = "300ms"


def whole(one):
    """A batch is answered job by job, unless it is atomic."""
    if one.path == "/v1/jobs:batch":
        return one._replace(path=f"{one.path}?atomic=true", json=one.json[:1])
    return one


class ContractCase(PitTestCase):
    def setUp(self):
        super().setUp()
        pitcontract.cases or pitcontract.load_cases()
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz",
                              flags=["--redis-timeout", REDIS_TIMEOUT])
        self.http = self.front.http
        self.client = self.store.client()
        self.addCleanup(self.client.close)
        self.context = Context(self.http, self.client)
        self.addCleanup(self.context.close)
        self.contract = Contract(self.http.get("/openapi.json").json())

    def send(self, one):
        return self.context.send(one)

    def success(self, operation):
        """A request that is answered well, as its case has it."""
        statuses, _ = self.contract.wanted(operation)
        case = pitcontract.cases[operation.id, statuses[0]]
        return case(self.context)

    def having(self, kind):
        """The operations that name a kind of problem."""
        return [one for one in self.contract.operations
                if kind in self.contract.wanted(one)[1]]

    def check_kind(self, operation, one, kind):
        with self.subTest(operation=operation.id, kind=kind):
            self.contract.check_problem(operation, self.send(one), kind)


class Cases(ContractCase):
    def test_every_answer_has_a_case(self):
        """Of the kinds that no rule below makes."""
        missing = []
        for operation in self.contract.operations:
            statuses, problems = self.contract.wanted(operation)
            missing += [f"{operation.id} {one}" for one in statuses
                        if (operation.id, one) not in pitcontract.cases
                        and one != 503]
            missing += [f"{operation.id} {one}" for one in problems
                        if (operation.id, one) not in pitcontract.cases
                        and one not in RULES and one not in ELSEWHERE
                        and (operation.id, one) not in ELSEWHERE]
        self.assertEqual(missing, [], "add them to tests/contract/")

    def test_no_case_is_of_an_operation_that_is_not_there(self):
        for operation, wanted in pitcontract.cases:
            self.assertIn(operation, self.contract.by_id)
            statuses, problems = self.contract.wanted(
                self.contract.by_id[operation])
            self.assertIn(wanted, statuses + problems, operation)

    def test_cases(self):
        for (name, wanted), case in pitcontract.cases.items():
            operation = self.contract.by_id.get(name)
            if operation is None:
                continue
            with self.subTest(operation=name, wanted=wanted):
                one = case(self.context)
                if name == "streamEvents":
                    self.check_stream(operation, one)
                    continue
                answer = self.send(one)
                if isinstance(wanted, int):
                    self.assertEqual(answer.status, wanted, answer)
                    self.contract.check(operation, answer)
                else:
                    self.contract.check_problem(operation, answer, wanted)

    def check_stream(self, operation, one):
        """One that does not end: its head."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http.port,
                                                timeout=10)
        connection.request("GET", one.path)
        answer = connection.getresponse()
        self.contract.check(operation, Response(answer.status, answer.headers,
                                                b""))
        connection.close()


class Rules(ContractCase):
    def test_invalid_request(self):
        for operation in self.having("invalid-request"):
            one = self.success(operation)
            mark = "&" if "?" in one.path else "?"
            self.check_kind(operation,
                            one._replace(path=f"{one.path}{mark}nonsense=1"),
                            "invalid-request")

    def test_not_found(self):
        for operation in self.having("not-found"):
            if (operation.id, "not-found") in pitcontract.cases:
                continue
            one = self.success(operation)
            self.check_kind(operation,
                            with_path(one, in_path(operation, **NONE)),
                            "not-found")

    def test_gone(self):
        for operation in self.having("gone"):
            if (operation.id, "gone") in pitcontract.cases:
                continue
            one = self.success(operation)
            path = in_path(operation, id=self.context.gone())
            self.check_kind(operation, with_path(one, path), "gone")

    def test_unsupported_media_type(self):
        for operation in self.having("unsupported-media-type"):
            one = self.success(operation)
            self.check_kind(operation, one._replace(
                json=None, body="x",
                headers={**one.headers, "Content-Type": "text/plain"}),
                "unsupported-media-type")

    def test_payload_too_large(self):
        for operation in self.having("payload-too-large"):
            one = self.success(operation)
            # What is announced is refused before it is sent.
            self.check_kind(operation, one._replace(
                json=None, body="", headers={
                    **one.headers, "Content-Type": "application/json",
                    "Content-Length": "100000000"}), "payload-too-large")

    def test_idempotency_in_progress(self):
        for operation in self.having("idempotency-in-progress"):
            key = self.context.fresh()
            one = self.success(operation)
            one = one._replace(headers={**one.headers, "Idempotency-Key": key})
            self.send(one)
            self.context.set_phase(key, "p")
            self.check_kind(operation, one, "idempotency-in-progress")

    def test_store_readonly(self):
        """Memory is full; or, for what makes room then, Redis is a replica."""
        made = [(operation, whole(self.success(operation)))
                for operation in self.having("store-readonly")]
        self.client.config_set("maxmemory", 1)
        for operation, one in made:
            if operation.id not in DRAINS:
                self.check_kind(operation, one, "store-readonly")
        self.client.config_set("maxmemory", 0)
        self.client.replicaof("127.0.0.1", 1)
        for operation, one in made:
            if operation.id in DRAINS:
                self.check_kind(operation, one, "store-readonly")
        self.client.replicaof("NO", "ONE")

    def test_outcome_unknown(self):
        """All at once, while Redis does not answer."""
        made = [(operation, whole(self.success(operation)))
                for operation in self.having("outcome-unknown")]
        self.store.sigstop()
        with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
            sent = [pool.submit(self.alone, one) for _, one in made]
        self.store.sigcont()
        for (operation, _), future in zip(made, sent):
            with self.subTest(operation=operation.id):
                answer = future.result()
                # A step that reads first never gets to its write.
                self.assertEqual(answer.status, 503, answer)
                kind = answer.json()["type"].rpartition("/")[2]
                self.assertIn(kind, ("outcome-unknown", "store-unavailable"))
                self.contract.check(operation, answer)

    def alone(self, one):
        """Over a connection of its own."""
        return Context(Http(self.http.port), self.client).send(one)

    def test_store_unavailable(self):
        made = [(operation, self.success(operation))
                for operation in self.having("store-unavailable")]
        self.store.kill()
        wait_until(lambda: self.http.get("/readyz").status == 503, 10, "away")
        for operation, one in made:
            self.check_kind(operation, one, "store-unavailable")


class Keys(ContractCase):
    """What a POST makes has an address of its own: such take a key."""

    def makers(self):
        for operation in self.contract.operations:
            if operation.method == "POST" and "Location" in str(
                    operation.document["responses"]):
                yield operation
        yield self.contract.by_id["enqueueBatch"]

    def repeatable(self):
        return {one.id for one in self.contract.operations
                if "parameters/idempotencyKey" in str(one.document)}

    def test_all_that_make_something_take_one(self):
        self.assertEqual({one.id for one in self.makers()}, self.repeatable())

    def test_the_same_again_makes_nothing_new(self):
        for name in sorted(self.repeatable()):
            operation = self.contract.by_id[name]
            with self.subTest(operation=name):
                one = self.request(operation)
                first, again = self.send(one), self.send(one)
                self.assertEqual(again.status, 200, again)
                self.contract.check(operation, again)
                self.assertNotIn("Idempotency-Replayed", first.headers)
                self.assertEqual(again.headers["Idempotency-Replayed"], "true")
                self.assertEqual(again.headers.get("Location"),
                                 first.headers.get("Location"))
                self.assertEqual(self.made(again), self.made(first))

    def test_other_content_is_refused(self):
        for name in sorted(self.repeatable()):
            operation = self.contract.by_id[name]
            one = self.request(operation)
            self.send(one)
            other = self.request(operation)._replace(headers=one.headers)
            if (other.path, other.json) == (one.path, one.json):
                other = other._replace(json=self.changed(other.json))
            self.check_kind(operation, other, "idempotency-key-reuse")

    def request(self, operation):
        one = self.success(operation)
        return one._replace(headers={
            **one.headers, "Idempotency-Key": self.context.fresh()})

    def made(self, answer):
        document = answer.json()
        return [one.get("id") for one in document.get("results", [document])]

    def changed(self, json):
        if isinstance(json, list):
            return json + json
        return {**json, "name" if "chain" in json else "tags":
                "other" if "chain" in json else ["other"]}


class Methods(ContractCase):
    def allowed(self, answer):
        return set(answer.headers["Allow"].replace(" ", "").split(","))

    def by_path(self):
        """{path: (one that is answered well, methods)}, but for actions:
        `x:cancel` could be a name as well, which other methods take."""
        found = {}
        for operation in self.contract.operations:
            if ":" not in operation.path or "{" not in operation.path:
                path = self.success(operation).path
                found.setdefault(operation.path, (path, set()))[1].add(
                    operation.method)
        return found.values()

    def test_allow(self):
        """OPTIONS and a 405 say what the document has."""
        for path, methods in self.by_path():
            want = methods | {"OPTIONS"} | (
                {"HEAD"} if "GET" in methods else set())
            with self.subTest(path=path):
                answer = self.http.request("OPTIONS", path)
                self.assertEqual(answer.status, 204)
                self.assertEqual(self.allowed(answer), want)
                for method in {"GET", "POST", "PUT", "PATCH",
                               "DELETE"} - methods:
                    answer = self.http.request(method, path)
                    self.assertEqual(answer.status, 405, (method, answer))
                    self.assertEqual(self.allowed(answer), want)

    def test_head_is_get_without_its_body(self):
        for path, methods in self.by_path():
            if "GET" not in methods or path.startswith("/v1/events"):
                continue
            got, head = (self.http.request(method, path)
                         for method in ("GET", "HEAD"))
            with self.subTest(path=path):
                self.assertEqual(head.body, b"")
                for name in ("Content-Type", "ETag"):
                    self.assertEqual(head.headers.get(name),
                                     got.headers.get(name))
                self.assertEqual(head.status, got.status)


class Queries(ContractCase):
    def test_pages(self):
        for operation in self.contract.operations:
            names = {one.get("name")
                     for one in operation.document["parameters"]}
            if "limit" not in names:
                continue
            path = self.success(operation).path
            mark = "&" if "?" in path else "?"
            for query in ("limit=0", "limit=1001", "limit=-1", "limit=x",
                          "limit=", "limit=" + "9" * 20, "limit=1&limit=1"):
                answer = self.http.get(f"{path}{mark}{query}")
                with self.subTest(operation=operation.id, query=query):
                    self.contract.check_problem(operation, answer,
                                                "invalid-request")
            answer = self.http.get(f"{path}{mark}limit=1000")
            self.contract.check(operation, answer)
            if operation.id != "listSchedules":  # where it is a name
                answer = self.http.get(f"{path}{mark}cursor=no%20cursor")
                self.contract.check_problem(operation, answer,
                                            "invalid-request")

    def test_waits(self):
        for operation in self.contract.operations:
            if "#/components/parameters/wait" not in str(
                    operation.document["parameters"]):
                continue
            one = self.success(operation)
            for wait in ("61s", "-1", "x", "", "1&wait=1"):
                with self.subTest(operation=operation.id, wait=wait):
                    self.contract.check_problem(
                        operation,
                        self.send(one._replace(path=f"{one.path}?wait={wait}")),
                        "invalid-request")
            for wait, applied in (("1", "wait=1"), ("x", None), ("-1", None)):
                answer = self.send(one._replace(
                    headers={**one.headers, "Prefer": f"wait={wait}"}))
                with self.subTest(operation=operation.id, prefer=wait):
                    self.assertEqual(answer.headers.get("Preference-Applied"),
                                     applied)


class Bodies(ContractCase):
    """What no resource takes as its body, and how each says so."""

    def sent(self, body, kind="application/json", change=None):
        """(operation, answer) of each that could change something."""
        for operation in self.contract.operations:
            if operation.method == "GET":
                continue
            one = self.success(operation)
            text = change(one.json) if change else body
            answer = self.send(one._replace(
                json=None, body=text,
                headers={**one.headers, "Content-Type": kind}))
            yield operation, answer

    def check_refused(self, operation, answer, kind="invalid-request"):
        with self.subTest(operation=operation.id):
            self.contract.check_problem(operation, answer, kind)
            return answer.json()

    def test_no_json(self):
        for text in (b"{", b'{"x":"\xff"}', b'{"a\\u0000b": 1}', b"1e999",
                     b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65):
            for operation, answer in self.sent(text):
                document = self.check_refused(operation, answer)
                self.assertIn("not JSON", document["detail"])

    def test_json_of_another_kind(self):
        for text in (b"7", b'"x"', b"null", b"true"):
            for operation, answer in self.sent(text):
                if operation.id != "ackJob":  # its body is any JSON
                    self.check_refused(operation, answer)

    def test_a_field_that_is_not_known(self):
        def change(json):
            json = json[0] if isinstance(json, list) else json
            return jsonlib.dumps({**(json or {}), "quue": 1})

        for operation, answer in self.sent(None, change=change):
            if operation.id in ("ackJob", "enqueueBatch"):
                continue
            document = self.check_refused(operation, answer)
            self.assertEqual(document["pointer"], "/quue", operation.id)

    def test_a_field_that_stands_twice(self):
        for operation, answer in self.sent(b'{"quue": 1, "quue": 1}'):
            if operation.id in ("ackJob", "enqueueBatch"):
                continue
            document = self.check_refused(operation, answer)
            self.assertEqual(document["pointer"], "/quue", operation.id)

    def test_another_type(self):
        """Refused by all that have a body; nobody else looks at it."""
        for kind in ("text/xml", "application/x-www-form-urlencoded",
                     "application/json; charset=latin-1"):
            for operation, answer in self.sent(b'{"a": 1}', kind):
                named = "unsupported-media-type" in self.contract.wanted(
                    operation)[1]
                self.assertEqual(named, "requestBody" in operation.document,
                                 operation.id)
                self.check_refused(operation, answer, "unsupported-media-type"
                                   if named else "invalid-request")

    def test_a_body_that_says_nothing(self):
        """Clients that always send one are served."""
        for operation in self.contract.operations:
            if operation.method == "GET" or "requestBody" in operation.document:
                continue
            one = self.success(operation)
            answer = self.send(one._replace(json={}))
            with self.subTest(operation=operation.id):
                self.assertLess(answer.status, 300, answer)

    def test_values_that_do_not_fit(self):
        """Of each field: another type, too large, too long, not a text."""
        values = (-1, 1e30, 10 ** 30, "", "x" * 70000, {"a": 1}, [[]], True,
                  "\u00e9\u0007")
        for operation in self.contract.operations:
            for name in self.contract.fields(operation):
                if name not in ("args", "result"):
                    self.check_field(operation, name, values)

    def check_field(self, operation, name, values):
        refused = 0
        for value in values:
            one = self.success(operation)
            batch = isinstance(one.json, list)
            body = (one.json[0] if batch else one.json) or {}
            body = {**body, name: value}
            answer = self.send(one._replace(json=[body] if batch else body))
            with self.subTest(operation=operation.id, field=name,
                              value=repr(value)[:40]):
                self.contract.check(operation, answer)
                self.assertLess(answer.status, 500, answer)
                document = answer.json() if answer.body else {}
                if batch and answer.status == 200:
                    document = document["results"][0].get("problem", {})
                refused += "pointer" in document
        with self.subTest(operation=operation.id, field=name):
            self.assertGreater(refused, 2, "named by a pointer")


RULES = {name.removeprefix("test_").replace("_", "-")
         for name in dir(Rules) if name.startswith("test_")}
# Steps that make room, and so go on when memory is full.
DRAINS = {"cancelJob", "retryJob", "promoteJob", "releaseJob", "editJob",
          "deleteJob", "claimJobs", "cancelJobs", "deleteJobs", "retryJobs",
          "purgeQueue", "resumeQueue"}


if __name__ == "__main__":
    unittest.main()
