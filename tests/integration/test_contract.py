"""Every operation of /openapi.json answers as documented: each success and each
refusal that it names, with the schema that it gives.

Cases are in tests/contract/ (pitcontract.py says how). Refusals that every
operation meets in the same way follow from the document: a query parameter that
there is none of, an id that nobody has, a store that is away, full or hangs."""

import concurrent.futures
import http.client
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
            one = self.success(operation)
            self.check_kind(operation,
                            with_path(one, in_path(operation, **NONE)),
                            "not-found")

    def test_gone(self):
        for operation in self.having("gone"):
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
        made = [(operation, self.success(operation))
                for operation in self.having("store-readonly")]
        self.client.config_set("maxmemory", 1)
        for operation, one in made:
            if operation.id in DRAINS:
                continue
            self.check_kind(operation, whole(one), "store-readonly")
        self.client.config_set("maxmemory", 0)

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


RULES = {name.removeprefix("test_").replace("_", "-")
         for name in dir(Rules) if name.startswith("test_")}
# Steps that make room, and so go on when memory is full.
DRAINS = {"cancelJob", "retryJob", "promoteJob", "releaseJob", "editJob",
          "deleteJob", "claimJobs", "cancelJobs", "deleteJobs", "retryJobs",
          "purgeQueue"}


if __name__ == "__main__":
    unittest.main()
