"""docs/protocol.md says what is: its client runs, its lists are the scripts'."""

import os
import re
import tempfile
import unittest

import pitlua
from pitharness import SOURCE_DIR, PitTestCase, wait_until
from pitscripts import KEYS, OTHER_KEYS, Queue, check

with open(os.path.join(SOURCE_DIR, "docs", "protocol.md"),
          encoding="utf-8") as page:
    PAGE = page.read()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))


def client_of(connection, scripts):
    """The names of the page's client: its definitions, not its last example."""
    names = {"connection": connection, "scripts": scripts}
    for example in EXAMPLES[:-1]:
        exec(compile(example, "docs/protocol.md", "exec"), names)
    return names


def keys_of_section(text):
    """The KEYS line with `ready:9` ... `ready:0` written out."""
    line = re.search(r"^KEYS: (.*?)\n\n", text, re.M | re.S).group(1)
    line = re.sub(r"`ready:9`\s+\.\.\.\s+`ready:0`",
                  " ".join(f"`ready:{n}`" for n in range(9, -1, -1)), line)
    return re.findall(r"`([a-z0-9:]+)`", line)


class Lists(unittest.TestCase):
    script = staticmethod(pitlua.text)

    def test_each_script_has_its_section(self):
        self.assertEqual(sorted(SECTIONS), pitlua.names())

    def test_keys_are_in_the_scripts_order(self):
        for name, text in SECTIONS.items():
            head = self.script(name).partition("\nlocal ")[0]
            named = dict(re.findall(r"KEYS\[(\d+)\]\s+([a-z]+)", head))
            listed = keys_of_section(text)
            for number, key in named.items():
                self.assertEqual(listed[int(number) - 1], key,
                                 f"{name}: KEYS[{number}]")
            highest = max(int(n) for n in re.findall(
                r"\bKEYS\[(\d+)\]", self.script(name)))
            self.assertLessEqual(highest, len(listed) + (name == "enqueue"))

    def test_work_has_all_keys(self):
        self.assertEqual(keys_of_section(SECTIONS["work"]), KEYS)
        table = PAGE[PAGE.index("## Keys"):PAGE.index("Keys outside of queues")]
        named = re.findall(r"^\| `([a-z]+)[^`<]*`", table, re.M)
        self.assertEqual(sorted(named),
                         sorted({key.split(":")[0]
                                 for key in KEYS + OTHER_KEYS}))

    def test_counters_are_those_that_the_scripts_count(self):
        counted = {"enqueued"}
        counted |= set(re.findall(r"count\((?:how == 'f' and )?'(\w+)'",
                                  self.script("work")))
        named = set(re.findall(r"`(\w+)`",
                               SECTIONS["counts"].partition("Names:")[2]))
        self.assertEqual(counted - named, set())


class Client(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.connection = self.server.client()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.scripts = pitlua.write_all(folder.name)
        self.addCleanup(self.connection.close)

    def test_the_examples_run(self):
        self.assertEqual(len(EXAMPLES), 4)
        names = client_of(self.connection, self.scripts)
        exec(compile(EXAMPLES[-1], "docs/protocol.md", "exec"), names)
        self.assertEqual(self.connection.smembers("pit:queues"), {"mail"})
        with self.server.client(encoding="latin-1") as client:
            self.assertEqual(set(check(Queue(client, "mail")).values()),
                             {"retrying", "done"})

    def test_pit_worker_runs_what_this_client_enqueues(self):
        names = client_of(self.connection, self.scripts)
        self.worker(self.server, queues="default", slots=1)
        local = names["enqueue"]("default", "noop", None)
        later = names["enqueue"]("default", "noop", None, delay_ms=50)
        for one in (local, later):
            wait_until(lambda: names["look"]("default", one)[0] == "s", 20,
                       f"{one} to succeed")

    def test_this_client_runs_what_pit_web_enqueues(self):
        names = client_of(self.connection, self.scripts)
        web = self.web(self.server)
        answer = web.http.post("/v1/jobs", {"task": "noop", "args": {"a": 1},
                                            "priority": 7})
        self.assertEqual(answer.status, 202, answer)
        queue, _, local = answer.json()["id"].rpartition(".")
        self.assertEqual(names["look"](queue, local), "ready")
        _, _, jobs = names["work"](queue, 5)
        entry, token, task, args, again = jobs[0]
        self.assertEqual((entry, task, args, again),
                         ("7" + local, "noop", {"a": 1}, None))
        names["work"](queue, 0, ["S", entry, token, 60000, '"from python"'])
        done = web.http.get(f"/v1/jobs/{queue}.{local}").json()
        self.assertEqual((done["state"], done["result"]),
                         ("succeeded", "from python"))


if __name__ == "__main__":
    unittest.main()
