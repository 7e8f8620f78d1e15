"""Random histories of the queue's scripts on a real Redis, side by side with the
model, compared after each step; and how a history that fails is made short.

A step is a tuple of a verb and numbers. Where a number chooses among what is
there (a job, a claim in hand), it is taken modulo how much there is: so a history
from which steps were removed is a history still. Time is a key that the scripts
read in place of the server's clock (include/clock.lua): it goes forward and back
as the history says, and the same history always takes the same course.
"""

import random

import redis as redislib

import pitlua
from pitmodel import CRASHES, KEEP_STANDARD, LOST, Model, Spec, Wrong, expect
from pitscripts import KEYS, Job, Queue, done, ended

START = 1700000000000
EARLIEST = START - 100 * 3600000
PRIORITIES = (1, 5, 8)
UNIQUE_KEYS = ("U", "V")
LIMITS = {"K": (1, "K", ""), "L": (2, "L", ""), "R": (0, "R", "2,100")}
LIMIT_KEYS = tuple(LIMITS)
PLACES = {"ready": "ready", "scheduled": "due", "retrying": "retrying",
          "blocked": "blocked", "dead": "dead", "quarantined": "quarantined",
          "ended": "done"}
NAMED = [f"n{number}" for number in range(6)]
WORKERS = ("w0", "w1", "w2")
LENGTH = 60           # steps of one history
SCRIPTS = ("enqueue", "work", "renew", "control", "deliver", "attach", "get",
           "purge", "flow", "look", "list", "counts", "progress", "wait", "settings")
OUTBOX = "return redis.call('XRANGE', KEYS[1], '-', '+')"
SETTINGS = ("paused", "closed", "len_max", "concurrency", "done_max")
LISTED = {"ready": "ready", "scheduled": "due", "retrying": "retrying",
          "blocked": "blocked", "running": "leased", "dead": "dead",
          "quarantined": "quarantined", "ended": "done"}


def scripts_of(client, broken=None):
    """The scripts with the model's clock; @broken: {name: (from, to)}."""
    found = {}
    for name in SCRIPTS:
        text = pitlua.with_clock(name)
        if broken and name in broken:
            old, new = broken[name]
            if old not in text:
                raise AssertionError(f"{name}.lua has no {old!r} to break")
            text = text.replace(old, new, 1)
        found[name] = client.register_script(text)
    return found


# --- histories --------------------------------------------------------------

class Generator:
    """Steps out of nothing but a seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.serial = 0
        # How much of this history is about each of the options.
        self.much = {name: self.rng.choice([0, 0.15, 0.3, 0.8]) for name in
                     ("unique", "limit", "parents", "children")}

    def spec(self):
        rng = self.rng
        maybe = lambda chance, make: make() if rng.random() < chance else None
        return Spec(
            priority=rng.choice(PRIORITIES),
            delay=maybe(0.15, lambda: rng.choice([1, 10, 40])) or 0,
            expires=maybe(0.12, lambda: START + rng.randrange(600)) or 0,
            keep=maybe(0.3, lambda: rng.choice([0, 30])) if
            rng.random() < 0.3 else KEEP_STANDARD,
            unique=maybe(self.much["unique"], lambda: (
                *rng.choice([("w", 0), ("r", 0), ("r", 50), ("e", 30),
                             ("w", 20)]), rng.choice(UNIQUE_KEYS))),
            conflict=rng.choice("rtp"),
            limit=maybe(self.much["limit"], lambda: LIMITS[rng.choice(LIMIT_KEYS)]),
            parents=maybe(self.much["parents"] / 2, lambda: (rng.randint(1, 2), rng.choice("sg"))),
            children=tuple(maybe(self.much["children"], lambda: [rng.choice(NAMED)]) or ()))

    def enqueue(self):
        mode = self.rng.choice(["fresh", "fresh", "named", "named", "all"])
        jobs, ids = [], set()
        for _ in range(self.rng.choice([1, 1, 2, 4])):
            local = self.rng.choice(NAMED)
            if mode == "fresh":
                self.serial += 1
                local = f"f{self.serial}"
            if local not in ids:
                ids.add(local)
                jobs.append((local, self.spec()))
        return "enqueue", mode, tuple(
            (local, spec if spec.keep is not None else
             Spec(**{**spec.__dict__, "keep": KEEP_STANDARD}))
            for local, spec in jobs)

    def flow(self):
        """A chain of two or three, or a group with one behind it."""
        self.serial += 1
        flow, policy = f"g{self.serial}", self.rng.choice("sg")
        ids = [f"{flow}-{n}" for n in range(self.rng.choice([2, 3, 3]))]
        chain = self.rng.random() < 0.5
        jobs = []
        for n, local in enumerate(ids):
            last = n == len(ids) - 1
            before = (n if last else 0) if not chain else min(n, 1)
            after = () if last else (ids[n + 1] if chain else ids[-1],)
            jobs.append((local, Spec(
                priority=self.rng.choice(PRIORITIES),
                delay=self.rng.choice([0, 0, 0, 10]),
                parents=(before, policy) if before else None,
                children=after + (flow + (":" if last else ""),))))
        return "flow", flow, tuple(jobs)

    def work(self):
        rng = self.rng
        ends = tuple((rng.randrange(100), rng.choice("sssSfftccxr"),
                      rng.choice([-1, 0, 5, 30]))
                     for _ in range(rng.choice([0, 0, 1, 1, 2, 3])))
        return ("work", rng.randrange(3), rng.choice([0, 1, 1, 2, 5]),
                rng.choice([5, 10, 30, 100]), ends)

    def step(self):
        rng = self.rng
        any_job = rng.randrange(1000)
        return rng.choices([
            self.enqueue, self.work,
            lambda: ("renew", rng.randrange(3), rng.randrange(100),
                     rng.choice([1, 20, 80])),
            lambda: ("clock", rng.choice([1, 3, 10, 30, 60, -5, -40])),
            lambda: ("control", rng.choice(["cancel", "cancel", "retry",
                                            "promote", "release", "delete"]),
                     any_job, None, None),
            lambda: ("control", "edit", any_job,
                     rng.choice([None, -10, 0, 20]),
                     rng.choice([None, *PRIORITIES])),
            lambda: ("crash", rng.randrange(3)),
            lambda: ("deliver", rng.choice([1, 3, 64])),
            lambda: ("get", any_job),
            lambda: ("purge", rng.choice(list(PLACES)), rng.choice([1, 3, 50])),
            lambda: ("attach", any_job, rng.choice(NAMED)),
            lambda: ("settings", rng.choice(SETTINGS),
                     rng.choice([None, None, 1, 3])),
            lambda: ("set", rng.choice([-7000, 7000, -3600000, 3600000])),
            lambda: ("look",),
            lambda: ("list", rng.choice(list(LISTED)), rng.choice([1, 3, 50])),
            lambda: ("progress", rng.randrange(3), rng.randrange(100)),
            lambda: ("wait", any_job),
            self.flow,
        ], [22, 34, 5, 12, 14, 4, 2, 8, 4, 2, 3, 3, 2, 2, 2, 2, 2, 2])[0]()

    def history(self):
        return [self.step() for _ in range(LENGTH)]


# --- one history ------------------------------------------------------------

def record_of(spec):
    options = ""
    if spec.delay:
        options += f" d{spec.delay}"
    if spec.expires:
        options += f" e{spec.expires}"
    if spec.keep != KEEP_STANDARD:
        options += f" k{spec.keep}"
    if spec.unique:
        options += " u" + ",".join(map(str, spec.unique))
    if spec.limit:
        options += (f" l{spec.limit[0]},{spec.limit[2] or '0,0'},"
                    f"{spec.limit[1]}")
    if spec.parents:
        options += f" n{spec.parents[0]},{spec.parents[1]}"
    if spec.children:
        options += " o" + ",".join(f"q.{child}" for child in spec.children)
    flag = "-" if Model.is_plain(spec) else "+"
    return f"1{spec.priority}{flag} {START} noop{options}\n{{}}"


class Run:
    """The queue on @client and the model, step by step."""

    def __init__(self, client, scripts):
        self.client = client
        client.flushdb()
        self.queue = Queue.__new__(Queue)
        self.queue.client, self.queue.name = client, "q"
        self.queue.prefix, self.queue.scripts = "pit", scripts
        self.queue.next_token = 0
        self.model = Model(START)
        self.held = {worker: [] for worker in WORKERS}
        self.tokens = 0
        self.real = 0     # ms that passed, by a clock that nobody sets
        self.heard = {}   # worker -> (what the clock showed, self.real)
        self.waits = set()
        self.progress = set()
        self.set_clock()

    def set_clock(self):
        self.client.set(pitlua.CLOCK_KEY, self.model.now)

    def any_job(self, number):
        ids = sorted(self.model.jobs) + sorted(self.model.gone)[:2] + ["none"]
        return ids[number % len(ids)]

    def step(self, step):
        getattr(self, "do_" + step[0])(*step[1:])
        self.compare()

    def do_clock(self, ms):
        """Time passes, or a clock that runs fast is slewed a little."""
        self.real += max(ms, 0)
        self.do_set(ms)

    def do_set(self, ms):
        """The clock is set: no time passes."""
        self.model.set_clock(max(self.model.now + ms, EARLIEST))
        self.set_clock()

    def do_crash(self, worker):
        self.held[WORKERS[worker]] = []

    def do_settings(self, name, value):
        if name in ("paused", "closed"):
            value = 1 if value else None
            setattr(self.model, name, bool(value))
        else:
            setattr(self.model, name, value)
        reply = self.queue._call("settings", ["meta", "wake"],
                                 [name, "" if value is None else value])
        found = dict(zip(reply[::2], reply[1::2]))
        expect(found.get(name) == (None if value is None else str(value)),
               name, "is", found.get(name), "not", value)

    def do_enqueue(self, mode, jobs):
        if mode == "fresh":  # ids that are new, whatever was removed
            jobs = tuple((local, spec) for local, spec in jobs
                         if local not in self.model.jobs and
                         local not in self.model.gone)
        if not jobs:
            return
        words = []
        for local, spec in jobs:
            where = f"+{spec.delay}" if spec.delay else None
            words.append(Job(local, spec.priority, record_of(spec), where))
        expected = self.model.enqueue(mode, jobs)
        try:
            reply = self.enqueue(mode, words, jobs)
        except redislib.ResponseError as error:
            expect(str(error).split(" ")[0] == expected, error, expected)
            return
        if mode == "fresh" and reply == [] and set(expected) <= {1}:
            return
        found = ["there" if isinstance(word, str) and word[0] not in "=~" else
                 word for word in reply]
        expect(found == expected, "enqueue:", found, "not", expected)

    def enqueue(self, mode, words, jobs):
        lists, args = [], [mode]
        for one, (_, spec) in zip(words, jobs):
            where = one.where
            if where is None:
                name = f"ready:{one.priority}"
                if name not in lists:
                    lists.append(name)
                where = str(lists.index(name) + 1)
            if spec.unique:
                where = spec.conflict + where
            args += [one.id, one.priority, one.record, where]
        return self.queue._call("enqueue", ["jobs", "gone", "due", "stats",
                                            "wake", "meta", *lists], args)[1:]

    def do_work(self, number, want, lease, ends):
        name = WORKERS[number]
        held, finishes, hows = self.held[name], [], []
        for which, how, delay in ends:
            if not held:
                break
            claimed = held[which % len(held)]
            spec = self.specs[claimed.id]
            if how in "sS":
                finishes.append(done(claimed, spec.keep,
                                     "[1]" if how == "S" else None))
            else:
                finishes.append(ended(how, claimed, delay if how in "ft" else
                                      None, spec.keep))
            hows.append((claimed, how, delay))
        for claimed, _, _ in hows:
            if claimed in held:
                held.remove(claimed)
        expected = None
        if name in self.heard:
            shown, real = self.heard[name]
            expected = shown + self.real - real
        work = self.queue.work(claim=want, lease=lease, worker=name,
                               first=self.tokens, crashes=CRASHES, lost=LOST,
                               finishes=finishes, expected=expected)
        self.tokens += want
        self.heard[name] = work.now, self.real
        model = self.model
        model.work_clock(expected, lease)
        stale = [claimed.token for claimed, how, delay in hows
                 if not model.finish(claimed.id, claimed.token, how, delay)]
        expect(sorted(work.stale) == sorted(stale), "stale:", work.stale,
               "not", stale)
        model.reap()
        model.promote()
        expired = [local for local in sorted(
            job.id for job in model.jobs.values() if job.place == "ready" and
            0 < job.spec.expires <= model.now) if self.has_expired(local)]
        model.claim(want, lease, [(one.id, one.token, one.again)
                                  for one in work.claimed], expired, name)
        model.forgotten([local for local, job in list(model.jobs.items())
                         if job.place == "done" and
                         not self.client.hexists(self.queue.key("jobs"),
                                                 local)],
                        finishes or work.claimed)
        held += work.claimed
        self.check_reply(work)

    def has_expired(self, local):
        text = self.client.hget(self.queue.key("state"), local)
        return text[0] == "X" if text else not self.client.hexists(
            self.queue.key("jobs"), local)

    def check_reply(self, work):
        model = self.model
        more = any(model.must_start(job) for job in model.jobs.values()) and \
            model.open()
        expect(work.more & 1 or not more, "more is 0, and jobs are left")
        expect(bool(work.more & 2) == bool(model.outbox), "more is", work.more,
               "and the outbox has", model.outbox)
        times = [job.at for job in model.jobs.values()
                 if job.place in ("due", "retrying", "leased")]
        if times:
            expect(0 <= work.next <= max(min(times) - model.now, 0),
                   "next is", work.next, "due in", min(times) - model.now)

    def do_renew(self, number, which, lease):
        held = self.held[WORKERS[number]]
        if not held:
            return
        claimed = held[which % len(held)]
        reply = self.queue.renew(claimed, lease=lease)
        answer = self.model.renew(claimed.id, claimed.token, lease)
        expected = {None: [claimed.token], "": [],
                    "!": ["!" + claimed.token]}[answer]
        expect(reply == expected, "renew:", reply, "not", expected)
        if answer is None:
            held.remove(claimed)

    def job_for(self, verb, number):
        """More often than not one that the verb is for."""
        fits = {"retry": ("dead", "done", "retrying"),
                "release": ("quarantined",), "delete": ("quarantined", "dead"),
                "cancel": ("quarantined", "leased", "blocked"), "promote": ("due", "retrying"),
                "edit": ("ready", "due", "retrying", "blocked")}.get(verb, ())
        ids = sorted(job.id for job in self.model.jobs.values()
                     if job.place in fits)
        return ids[number % len(ids)] if ids and number % 10 < 6 else \
            self.any_job(number)

    def do_control(self, verb, number, after, priority):
        local = self.job_for(verb, number)
        run_at = None if after is None else self.model.now + after
        words = []
        if verb == "cancel":
            words = [1000, '"enough"']
        elif verb == "edit":
            words = ["" if word is None else word
                     for word in (run_at, priority)]
        reply = self.queue.control(verb, local, *words)
        expected = self.model.control(
            "promote_one" if verb == "promote" else verb, local, run_at,
            priority)
        if isinstance(reply, list):
            reply = tuple(reply)
        expect(reply == expected, verb, local, reply, "not", expected)

    def do_deliver(self, most):
        for number, message in self.outbox(self.client.eval(
                OUTBOX, 1, self.queue.key("outbox")))[:most]:
            to, origin, what = message
            if origin == "flow":
                if not self.start_jobs(what):
                    continue  # there is no room: later again
            else:
                result = "[1]" if what == "S" else ""
                self.queue._call("deliver", ["jobs"],
                                 [to, f"q.{origin}", what, result])
                self.model.deliver(to, f"q.{origin}", what)
            self.client.xdel(self.queue.key("outbox"), number)
            self.model.outbox.remove(message)

    @staticmethod
    def outbox(raw):
        """[(number, message as the model has it)]"""
        found = []
        for number, words in raw:
            pairs = list(zip(words[::2], words[1::2]))
            fields = dict(pairs)
            if fields["kind"] == "enqueue":
                ids = tuple(word[2:] for name, word in pairs if name == "job")
                found.append((number, (ids[0], "flow", ids)))
            else:
                found.append((number, (fields["to"][2:], fields["from"][2:],
                                       fields["code"])))
        return found

    def start_jobs(self, ids):
        """The jobs of a flow come into being; False when one was refused."""
        jobs = [(local, self.specs[local]) for local in ids]
        words = [Job(local, spec.priority, record_of(spec),
                     f"+{spec.delay}" if spec.delay else None)
                 for local, spec in jobs]
        expected = self.model.enqueue("named", jobs)
        try:
            found = self.enqueue("named", words, jobs)
        except redislib.ResponseError as error:
            expect(str(error).split(" ")[0] == expected, error, expected)
            return False
        found = ["there" if isinstance(word, str) else word for word in found]
        expect(found == expected, "flow's", ids, found, "not", expected)
        for local, spec in jobs:
            if spec.parents:
                self.queue._call("deliver", ["jobs"], [local, "", "", ""])
        return not {-1, -2} & set(expected)

    def do_flow(self, flow, jobs):
        words = [word for local, spec in jobs
                 for word in (f"q.{local}", record_of(spec))]
        expected = self.model.flow(flow, [local for local, _ in jobs])
        try:
            reply = self.queue._call("flow", ["flows", "outbox", "wake", "meta"],
                                     [flow, "{}", KEEP_STANDARD, "", *words])
        except redislib.ResponseError as error:
            reply = str(error).split(" ")[0]
        expect(reply == expected, "flow:", reply, "not", expected)

    def do_purge(self, name, most):
        model = self.model
        before = [job for job in model.jobs.values()
                  if job.place == PLACES[name]]
        removed, left = self.queue._call("purge", ["jobs"], [name, most])
        there = set(self.client.hkeys(self.queue.key("jobs")))
        gone = [job for job in before if job.id not in there]
        expect(removed == len(gone), "removed", removed, "but", len(gone),
               "are gone")
        expect(left or len(gone) == len(before), "left", name)
        for job in gone:
            model.delete(job, model.code_of(job))

    def do_get(self, number):
        local = self.any_job(number)
        job, view = self.model.jobs.get(local), self.queue._call(
            "get", ["jobs", "state", "results", "progress", "due", "gone",
                    "retrying"], [local])
        if not job:
            expect(view == ("gone" if local in self.model.gone else None),
                   "get", local, view)
            return
        record, state, _, _, due, blocked, cancel = view
        expect(record[1] == str(job.priority) and
               bool(state) == bool(job.code) and
               bool(due) == (job.place in ("due", "retrying")) and
               bool(blocked) == (job.place == "blocked") and
               bool(cancel) == job.cancelled, "get", view, "not", job)

    def do_look(self):
        ids = sorted(self.model.jobs) + sorted(self.model.gone)[:3] + ["none"]
        reply = self.queue._call("look", ["jobs", "state", "due", "retrying",
                                          "blocked", "gone"], ids)
        expected = [self.model.letter(local) for local in ids]
        expect(reply == expected, "look:", dict(zip(ids, zip(reply, expected))))

    def do_list(self, state, limit):
        """All pages of it, and what counts says of how many there are."""
        found, cursor = [], ""
        while True:
            cursor, page = self.queue.list(state, limit, cursor)
            found += [local for local, _, _ in page]
            if cursor == "":
                break
        place = LISTED[state]
        expected = [job.id for job in self.model.jobs.values()
                    if job.place == place]
        expect(sorted(found) == sorted(expected), "list", state, found, "not",
               expected)
        counts = self.queue.counts()._asdict()
        name = {"due": "due", "done": None}.get(place, place)
        if name in counts:
            expect(counts[name] == len(expected), "counts:", name,
                   counts[name], "not", len(expected))

    def do_progress(self, number, which):
        held = self.held[WORKERS[number]]
        if not held:
            return
        claimed = held[which % len(held)]
        job = self.model.jobs.get(claimed.id)
        mine = bool(job) and job.place == "leased" and \
            job.token == claimed.token
        reply = self.queue.progress(claimed, "1")
        expect(reply == mine, "progress", claimed.id, reply, "not", mine)
        if mine:
            self.progress.add(claimed.id)

    def do_wait(self, number):
        local = self.any_job(number)
        job = self.model.jobs.get(local)
        ended = not job or job.place in ("done", "dead", "quarantined")
        reply = self.queue.wait(local, "channel")
        answer = int(ended)
        if not ended and job.spec.expires:
            answer = -1 - max(job.spec.expires - self.model.now, 0)
        expect(reply == answer, "wait", local, reply, "not", answer)
        if not ended:
            self.waits.add(local)

    def do_attach(self, number, child):
        local = self.any_job(number)
        reply = self.queue._call(
            "attach", ["jobs", "state", "results", "gone", "children",
                       "outbox"], [local, f"q.{local}", f"q.{child}"])
        expected = self.model.attach(local, child)
        expect(reply == expected, "attach", local, reply, "not", expected)

    @property
    def specs(self):
        return self._specs

    # --- comparing -------------------------------------------------------

    def read(self):
        key = self.queue.key
        pipe = self.client.pipeline(transaction=True)
        hashes = ("jobs", "state", "stats", "unique", "running", "turns",
                  "children", "cancels", "stale", "meta", "waits", "progress")
        sets = ("due", "retrying", "leased", "dead", "done", "quarantined",
                "blocked", "gone", "unlocks")
        lines = [f"ready:{n}" for n in PRIORITIES]
        keyed = [f"key:{n}{k}" for n in PRIORITIES for k in LIMIT_KEYS]
        for name in hashes:
            pipe.hgetall(key(name))
        for name in sets:
            pipe.zrange(key(name), 0, -1, withscores=True)
        for name in (*lines, *keyed, "wake"):
            pipe.lrange(key(name), 0, -1)
        pipe.eval(OUTBOX, 1, key("outbox"))
        flows = [f"flow:{flow}" for flow in self.model.flows]
        for name in flows:
            pipe.hgetall(key(name))
        return dict(zip((*hashes, *sets, *lines, *keyed, "wake", "outbox",
                         *flows), pipe.execute()))

    def compare(self):
        data, model = self.read(), self.model
        expect(set(data["jobs"]) == set(model.jobs), "jobs:",
               sorted(set(data["jobs"]) ^ set(model.jobs)), "are too many or "
               "too few")
        expect({local for local, _ in data["gone"]} == model.gone, "gone:",
               sorted({local for local, _ in data["gone"]} ^ model.gone))
        seen = data["meta"].get("seen")
        model.seen = seen and int(seen)
        expect("step" not in data["meta"], "there is something left to move")
        self.waits = {local for local in self.waits if local in model.jobs and
                      model.jobs[local].place not in ("done", "dead",
                                                      "quarantined")}
        expect(set(data["waits"]) == self.waits, "waits:", data["waits"],
               "not", self.waits)
        self.progress &= set(model.jobs)
        expect(set(data["progress"]) <= self.progress, "progress:",
               data["progress"], "of others than", self.progress)
        self.compare_places(data)
        self.compare_states(data)
        self.compare_locks(data)
        self.compare_flows(data)
        running = {key: model.running(key) for key in LIMIT_KEYS}
        expect({key: int(n) for key, n in data["running"].items()} ==
               {key: n for key, n in running.items() if n}, "running:",
               data["running"], "not", running)
        expect({local for local in data["cancels"]} ==
               {job.id for job in model.jobs.values() if job.cancelled},
               "cancels:", data["cancels"])
        outbox = [message for _, message in self.outbox(data["outbox"])]
        expect(sorted(outbox) == sorted(model.outbox), "outbox:", outbox,
               "not", model.outbox)
        model.outbox = outbox  # the order within one step is the queue's choice
        expect({local: text.split() for local, text in data["children"].items()}
               == {local: [f"q.{c}" for c in ids]
                   for local, ids in model.children.items() if ids},
               "children:", data["children"], "not", model.children)
        kept = sum(job.place == "done" for job in model.jobs.values())
        expect(int(data["stats"].get("kept", 0)) == kept, "kept is",
               data["stats"].get("kept"), "and not", kept)
        if model.open() and any(map(model.must_start, model.jobs.values())):
            expect(data["wake"], "jobs are ready and there is no token")

    def places(self, data):
        """id -> (place, when); markers and stale entries are looked at here."""
        found = {}
        stale = {entry: int(n) for entry, n in data["stale"].items()}

        def put(local, place, at=0):
            expect(local not in found, local, "is in", found.get(local),
                   "and in", place)
            found[local] = (place, at)

        for digit in PRIORITIES:
            markers = [entry[2:] for entry in data[f"ready:{digit}"]
                       if entry[1] == "="]
            for key in LIMIT_KEYS:
                turn = data["turns"].get(f"{digit}{key}")
                held = [entry for entry, _ in data["due"]
                        if entry == f"{digit}={key}"]
                expect(len(held) == (turn == "d"), "the marker of", key, "is",
                       len(held), "times in due, turn is", turn)
                expect(markers.count(key) == (turn == "r"), "the marker of",
                       key, "stands", markers.count(key), "times, turn is",
                       turn)
                expect(turn or not data[f"key:{digit}{key}"], key,
                       "has jobs and no turn")
            entries = [entry for entry in data[f"ready:{digit}"]
                       if entry[1] != "="]
            for key in LIMIT_KEYS:
                entries += data[f"key:{digit}{key}"]
            for entry in entries:
                expect(entry[0] == str(digit), entry, "is in", digit)
                if stale.get(entry):
                    stale[entry] -= 1
                else:
                    put(entry[1:], "ready")
        expect(not any(stale.values()), "stale:", stale, "are in no list")
        for place in ("due", "retrying", "leased", "blocked"):
            for entry, at in data[place]:
                if entry[1] == "=":
                    continue
                put(entry[1:], place, at)
                expect(entry[0] == data["jobs"].get(entry[1:], "?")[1:2],
                       entry, "is in", place)
        for place in ("dead", "quarantined"):
            for local, at in data[place]:
                put(local, place, at)
        for group, at in data["done"]:
            for local in group.split(" "):
                put(local, "done", at)
        return found

    def compare_places(self, data):
        found = self.places(data)
        for local, job in self.model.jobs.items():
            place, at = found.pop(local, (None, 0))
            expect(place == job.place, local, "is in", place, "not in",
                   job.place)
            if place in ("due", "retrying", "leased"):
                expect(at == job.at, local, "is", place, "at", at, "not",
                       job.at)
            elif place == "done":
                expect(at == job.until, local, "is kept until", at, "not",
                       job.until)
        expect(not found, "without a record:", found)

    def compare_flows(self, data):
        for flow, (left, failed, ends) in self.model.flows.items():
            found = data[f"flow:{flow}"]
            expect((int(found["left"]), found.get("failed") == "1",
                    "ended" in found) == (left, failed, left == 0), "flow",
                   flow, found, "not", left, failed)
            expect({name[2:]: code for name, code in found.items()
                    if name.startswith("q.")} ==
                   {name[2:]: code for name, code in ends.items()}, "ends of",
                   flow, found, "not", ends)

    def compare_states(self, data):
        expect(set(data["state"]) <= set(data["jobs"]), "states of no job")
        for local, job in self.model.jobs.items():
            text = data["state"].get(local)
            expect(bool(text) == bool(job.code), local, "has the state", text,
                   "and code", job.code)
            if not text:
                continue
            code, token, attempt, retries, crashes, lost = \
                text.split("\n")[0].split(" ")[:6]
            expect(code.upper() == job.code, local, "has", text, "not", job)
            expect((int(attempt), int(retries), int(crashes), int(lost)) ==
                   (job.attempt, job.retries, job.crashes, job.lost), local,
                   "has", text, "not", job)
            if job.place == "leased":
                expect(token == job.token, local, "has the token", token)
            expect(data["jobs"][local][1] == str(job.priority), local,
                   "has another priority")

    def compare_locks(self, data):
        unlocks = dict(data["unlocks"])
        for key in UNIQUE_KEYS:
            holder = data["unique"].get(key)
            if key in unlocks:
                holder = holder if self.model.lasts(unlocks[key]) else None
            elif holder not in data["jobs"]:
                holder = None
            expect(self.model.lock_seen(key, key in data["unique"], holder), key, "is held by",
                   holder, "not by", self.model.holder(key))

    # --- the end ---------------------------------------------------------

    def drain(self):
        """Everything that can run comes to an end, and nothing is left behind
        it."""
        for name in SETTINGS:
            self.do_settings(name, None)
        for worker in range(3):
            self.do_crash(worker)
        for _ in range(40):
            late = [job.at for job in self.model.jobs.values()
                    if job.place in ("due", "retrying", "leased")]
            self.step(("clock", max([200] + [at - self.model.now
                                             for at in late])))
            for worker in range(3):
                self.step(("work", worker, 5, 1000, tuple((n, "s", 0) for n in range(5))))
            self.step(("deliver", 64))
            left = [job for job in self.model.jobs.values()
                    if job.place in ("ready", "due", "retrying", "leased")]
            if not left and not self.model.outbox:
                break
        expect(not left, "does not come to an end:", left[:3])
        data = self.read()
        expect(not data["running"] and not data["stale"] and not data["turns"],
               "left behind:", data["running"], data["stale"], data["turns"])


def play(client, scripts, history):
    """The number of steps that were made and what went wrong, or None."""
    run = Run(client, scripts)
    run._specs = {}
    for number, step in enumerate(history):
        if step[0] in ("enqueue", "flow"):
            for local, spec in step[2]:
                if local not in run.model.jobs:
                    run._specs[local] = spec
        try:
            run.step(step)
        except (Wrong, redislib.ResponseError) as wrong:
            return number + 1, f"step {number}, {step[0]}: {wrong}"
    try:
        run.drain()
    except (Wrong, redislib.ResponseError) as wrong:
        return len(history), f"while draining: {wrong}"
    return len(history), None


def shrink(client, scripts, history, tries=400):
    """A short history that fails, too: halves, quarters, ... and single steps are
    left out as long as what is left fails."""
    size = len(history) // 2
    while size and tries > 0:
        at, removed = 0, False
        while at < len(history) and tries > 0:
            shorter = history[:at] + history[at + size:]
            tries -= 1
            if play(client, scripts, shorter)[1]:
                history, removed = shorter, True
            else:
                at += size
        if not removed or size > 1:
            size //= 2
    return history
