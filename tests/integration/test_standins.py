"""The tests' own third parties: what they say is what was asked of them."""

import smtplib
import unittest
from concurrent.futures import ThreadPoolExecutor

from pitharness import Http
from pitstandin import MailServer, Upstream


class UpstreamCase(unittest.TestCase):
    def test_answers_as_it_is_told_to(self):
        upstream = Upstream(body=b"ribs", headers={"X-Cook": "Ada"})
        self.addCleanup(upstream.close)
        client = Http(upstream.port, keep_alive=True)
        self.addCleanup(client.close)
        answer = client.post("/grill?hot=1", {"meat": "beef"})
        self.assertEqual((answer.status, answer.body), (200, b"ribs"))
        self.assertEqual(answer.headers["X-Cook"], "Ada")
        asked = upstream.requests[0]
        self.assertEqual((asked.method, asked.path), ("POST", "/grill?hot=1"))
        self.assertEqual(asked.body, b'{"meat": "beef"}')
        upstream.status = 503
        self.assertEqual(client.get("/").status, 503)
        upstream.status = None
        with self.assertRaises(Exception):
            client.get("/")

    def test_many_at_once(self):
        upstream = Upstream(delay=0.2)
        self.addCleanup(upstream.close)
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(
                lambda _: Http(upstream.port).get("/").status, range(50)))
        self.assertEqual(answers, [200] * 50)
        self.assertGreater(upstream.most_under_way, 10)
        self.assertEqual(upstream.under_way, 0)

    def test_down_and_up_again(self):
        upstream = Upstream()
        self.addCleanup(upstream.close)
        port = upstream.port
        upstream.stop()
        with self.assertRaises(ConnectionRefusedError):
            Http(port).get("/")
        upstream.start()
        self.assertEqual(Http(port).get("/").status, 200)


class MailCase(unittest.TestCase):
    def send(self, server, recipient="ada@example.org"):
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            client.sendmail(
                "pit@example.org", [recipient],
                "Subject: ribs\r\nMessage-ID: <1@example.org>\r\n\r\n"
                "..with sauce\r\n.hidden\r\n")

    def test_takes_a_mail(self):
        server = MailServer()
        self.addCleanup(server.close)
        self.send(server)
        message = server.wait_messages(1)[0]
        self.assertEqual(message.sender, "pit@example.org")
        self.assertEqual(message.recipients, ["ada@example.org"])
        self.assertEqual(message["Subject"], "ribs")
        self.assertEqual(message.text().splitlines(),
                         ["..with sauce", ".hidden"])

    def test_refuses(self):
        server = MailServer(refuse=("RCPT", "550 5.1.1 no such user"))
        self.addCleanup(server.close)
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.send(server)
        self.assertEqual(server.messages, [])
        server.refuse = None
        self.send(server)
        self.assertEqual(len(server.messages), 1)


if __name__ == "__main__":
    unittest.main()
