"""The demo's orders and notes: a database, mails, a job, files, middleware."""

import os
import sqlite3
import unittest
from concurrent.futures import ThreadPoolExecutor

from pitharness import Http, PitTestCase, program_path, wait_until
from pitstandin import MailServer

ORDER = {"email": "ada@example.org", "meat": "ribs", "pounds": 2}


class ShopCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.dir, "data")
        self.mail = MailServer()
        self.addCleanup(self.mail.close)
        self.env = {"SMOKEHOUSE_DATA": self.data,
                    "PIT_SMTP": self.mail.url,
                    "PIT_MAIL_FROM": "orders@smokehouse.example"}
        self.store = self.redis(aof="no")
        self.client = self.store.client()
        self.addCleanup(self.client.close)

    def start(self, worker=False, **kwargs):
        web = self.web(self.store, env=self.env, ready="/readyz",
                       flags=["--access-log", "-"], **kwargs)
        if worker:
            self.started_worker = self.worker(self.store, env=self.env,
                                              slots=1)
            self.started_worker.wait_for_line("ready: worker")
        return web

    def problem(self, answer, status, *words):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"],
                         "application/problem+json")
        for word in words:
            self.assertIn(word, answer.text())


class Orders(ShopCase):
    def setUp(self):
        super().setUp()
        app = program_path("examples/smokehouse.so")
        with open(app, "rb") as file:
            if b"/orders/" not in file.read():
                self.skipTest("smokehouse was built without SQLite")

    def test_an_order_in_full(self):
        web = self.start(worker=True)
        answer = web.http.post("/orders/", ORDER)
        self.assertEqual(answer.status, 201, answer)
        order = answer.json()
        self.assertEqual(order, {"id": order["id"], **ORDER})
        self.assertEqual(answer.headers["Location"], f"/orders/{order['id']}")
        again = web.http.get(answer.headers["Location"])
        self.assertEqual((again.status, again.json()), (200, order))

        # The confirmation is detached, the receipt is a job.
        mails = {mail["Subject"]: mail
                 for mail in self.mail.wait_messages(2, 10)}
        self.assertEqual(set(mails), {
            f"Your order {order['id']}: confirmation",
            f"Your order {order['id']}: receipt"})
        for mail in mails.values():
            self.assertEqual(mail.sender, "orders@smokehouse.example")
            self.assertEqual(mail.recipients, ["ada@example.org"])
            self.assertIn("2 pounds of ribs", mail.text())
        self.assertEqual(len({mail["Message-ID"]
                              for mail in mails.values()}), 2)

    def test_receipt_waits_for_the_mail_server(self):
        self.mail.stop()
        web = self.start(worker=True)
        answer = web.http.post("/orders/", ORDER)
        self.assertEqual(answer.status, 201, answer)
        web.wait_for_line("detached confirm")
        key = "pit:{mail}:retrying"
        wait_until(lambda: self.client.zcard(key) == 1, 10,
                   "the receipt to be retried")
        self.mail.start()
        mail = self.mail.wait_messages(1, 20)[0]
        self.assertIn("receipt", mail["Subject"])
        # The confirmation was detached: nobody tries it again.
        self.assertEqual(len(self.mail.messages), 1)

    def test_bad_orders(self):
        web = self.start()
        for change, words in (
                ({"email": "nobody"}, ["/email", "mail address"]),
                ({"email": "a@b\r\nBcc: c@d"}, ["/email"]),
                ({"email": "<a@b>"}, ["/email"]),
                ({"meat": ""}, ["/meat"]),
                ({"pounds": 0}, ["/pounds", "1 to 100"]),
                ({"pounds": 101}, ["/pounds"]),
                ({"pounds": "two"}, ["integer"]),
                ({"sauce": "plum"}, ["sauce"])):
            with self.subTest(change=change):
                self.problem(web.http.post("/orders/", {**ORDER, **change}),
                             400, *words)
        self.problem(web.http.post("/orders/", body="ribs, please"), 400)
        self.problem(web.http.post("/orders/", body="{",
                                   headers={"Content-Type":
                                            "application/json"}), 400)
        self.problem(web.http.post("/orders/", {"meat": "ribs"}), 400)
        large = {**ORDER, "meat": "x" * 20000}
        self.assertEqual(web.http.post("/orders/", large).status, 413)
        self.assertFalse(os.path.exists(os.path.join(self.data, "orders.db")))
        self.assertEqual(self.mail.messages, [])

    def test_unknown_orders(self):
        web = self.start()
        self.problem(web.http.get("/orders/1"), 404, "order 1")
        self.assertEqual(web.http.get("/orders/ribs").status, 404)
        answer = web.http.request("DELETE", "/orders/1")
        self.assertEqual(answer.status, 405)
        self.assertIn("GET", answer.headers["Allow"])

    def test_no_receipt_no_order(self):
        web = self.start()
        self.store.kill()
        answer = web.http.post("/orders/", ORDER)
        self.assertEqual(answer.status, 503, answer)
        path = os.path.join(self.data, "orders.db")
        if os.path.exists(path):
            with sqlite3.connect(path) as db:
                count, = db.execute("SELECT count(*) FROM orders").fetchone()
            db.close()
            self.assertEqual(count, 0)

    def test_many_at_once(self):
        """The database is locked by one after the other, on threads."""
        web = self.start()
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(
                lambda n: Http(web.port).post("/orders/",
                                              {**ORDER, "pounds": n}),
                range(1, 41)))
        self.assertEqual({answer.status for answer in answers}, {201})
        ids = [answer.json()["id"] for answer in answers]
        self.assertEqual(len(set(ids)), 40)
        for n, order in zip(range(1, 41), ids):
            self.assertEqual(
                web.http.get(f"/orders/{order}").json()["pounds"], n)

    def test_token(self):
        web = self.start()
        self.client.sadd("smokehouse:tokens", "smoke-ring")
        self.problem(web.http.post("/orders/", ORDER), 403, "Bearer")
        self.problem(web.http.get("/orders/1", {"Authorization": "Bearer no"}),
                     403)
        good = {"Authorization": "Bearer smoke-ring"}
        self.assertEqual(web.http.post("/orders/", ORDER,
                                       headers=good).status, 201)
        # The other views are not behind it.
        self.assertEqual(web.http.get("/").status, 200)

    def test_closed(self):
        web = self.start()
        os.makedirs(self.data, exist_ok=True)
        flag = os.path.join(self.data, "closed")
        with open(flag, "w", encoding="ascii"):
            pass
        answer = web.http.post("/orders/", ORDER)
        self.problem(answer, 503, "closed")
        self.assertEqual(answer.headers["Retry-After"], "3600")
        os.unlink(flag)
        self.assertEqual(web.http.post("/orders/", ORDER).status, 201)

    def test_purge(self):
        web = self.start(worker=True)
        for _ in range(3):
            self.assertEqual(web.http.post("/orders/", ORDER).status, 201)
        with sqlite3.connect(os.path.join(self.data, "orders.db")) as db:
            db.execute("UPDATE orders SET ordered_s = ordered_s - 86400 * 31 "
                       "WHERE id < 3")
        db.close()
        answer = web.http.post("/v1/jobs", {"task": "orders.purge"},
                               headers={"Prefer": "wait=10"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["result"], {"deleted": 2})
        self.assertEqual(web.http.get("/orders/1").status, 404)
        self.assertEqual(web.http.get("/orders/3").status, 200)


class Notes(ShopCase):
    def put(self, web, name, text):
        return web.http.put(f"/notes/{name}", body=text)

    def test_write_and_read(self):
        web = self.start()
        self.problem(web.http.get("/notes/rub"), 404)
        for text in ("salt", "salt, pepper, \u00fc", ""):
            answer = self.put(web, "rub", text)
            self.assertEqual((answer.status, answer.body), (204, b""))
            answer = web.http.get("/notes/rub")
            self.assertEqual((answer.status, answer.text()), (200, text))
            self.assertEqual(answer.headers["Content-Type"],
                             "text/plain; charset=utf-8")

    def test_nobody_leaves_the_folder(self):
        web = self.start()
        os.makedirs(os.path.join(self.data, "notes"), exist_ok=True)
        secret = os.path.join(self.data, "secret")
        with open(secret, "w", encoding="ascii") as file:
            file.write("the sauce")
        os.symlink(secret, os.path.join(self.data, "notes", "link"))
        for name in ("..%2Fsecret", "%2e%2e%2fsecret", "..", ".hidden",
                     "%2Fetc%2Fpasswd", "link", "a%00b", "x" * 65):
            with self.subTest(name=name):
                answer = web.http.get(f"/notes/{name}")
                self.assertIn(answer.status, (400, 403, 404))
                self.assertNotIn("the sauce", answer.text())
                answer = self.put(web, name, "mine")
                if name != "link":
                    self.assertIn(answer.status, (400, 403, 404))
        with open(secret, encoding="ascii") as file:
            self.assertEqual(file.read(), "the sauce")

    def test_many_writers_never_show_half_a_note(self):
        web = self.start()
        texts = [letter * 20000 for letter in "abcdefgh"]
        with ThreadPoolExecutor(8) as pool:
            writes = [pool.submit(Http(web.port).put, "/notes/busy",
                                  None, text) for text in texts * 3]
            reads = [Http(web.port).get("/notes/busy") for _ in range(30)]
        self.assertEqual({w.result().status for w in writes}, {204})
        for answer in reads:
            self.assertTrue(answer.status == 404 or answer.text() in texts)


class Head(ShopCase):
    def test_id_and_timing_on_all(self):
        web = self.start()
        for path, status in (("/", 200), ("/notes/none", 404),
                             ("/nowhere", 404)):
            with self.subTest(path=path):
                answer = web.http.get(path, {"X-Request-Id": "mine-1"})
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.headers["X-Request-Id"], "mine-1")
                self.assertRegex(answer.headers["Server-Timing"],
                                 r"^app;dur=\d+\.\d\d$")


if __name__ == "__main__":
    unittest.main()
