"""What must hold of the keys that only jobs with options need: no stale lock,
marker or count. pitscripts.check() calls check() with what it read."""

import collections


def options_of(record):
    """letter -> value of a record's header."""
    words = record.partition("\n")[0].split(" ")[3:]
    return {word[:1]: word[1:] for word in words}


def limit_key(record):
    """Its limit's key, or None."""
    limit = options_of(record).get("l") if record[2:3] == "+" else None
    return limit.split(",", 3)[3] if limit else None


def read_key_lists(queue):
    """<digit><limit key> -> entries that wait there."""
    stem = queue.key("key:")
    return {name[len(stem):]: queue.client.lrange(name, 0, -1)
            for name in queue.client.keys(stem.replace("[", "\\[") + "*")}


def is_marker(entry):
    return entry[1:2] == "="


def check(data, places, lists, now, expect):
    """@places: id -> (place, entry); @expect(condition, what)."""
    _check_running(data, places, expect)
    _check_turns(data, lists, expect)
    _check_unique(data, places, now, expect)
    for local in data["cancels"]:
        expect(places.get(local, ("",))[0] == "leased",
               f"{local} does not run and is asked to stop")
    for local in data["children"]:
        expect(places.get(local, ("done",))[0] not in ("done", "dead"),
               f"{local} has ended and has children to tell")


def _check_running(data, places, expect):
    running = collections.Counter()
    for local, (place, _) in places.items():
        key = limit_key(data["jobs"][local])
        if place == "leased" and key:
            running[key] += 1
            most = int(options_of(data["jobs"][local])["l"].split(",")[0])
            expect(not most or running[key] <= most,
                   f"{running[key]} of {key} run, {most} may")
    counted = {key: int(n) for key, n in data["running"].items()}
    expect(counted == running, f"running says {counted}, there are {running}")


def _check_turns(data, lists, expect):
    ready = collections.Counter()
    for priority in range(10):
        for entry in data[f"ready:{priority}"]:
            if is_marker(entry):
                ready[entry[0] + entry[2:]] += 1
    due = {entry[0] + entry[2:] for entry, _ in data["due"]
           if is_marker(entry)}
    for name, turn in data["turns"].items():
        expect((turn, ready[name], name in due) in
               (("r", 1, False), ("d", 0, True), ("b", 0, False)),
               f"{name} has the turn {turn}, {ready[name]} markers are ready, "
               f"due: {name in due}")
        expect(turn != "b" or data["running"].get(name[1:]),
               f"{name} waits for an attempt to end, none runs")
    expect(set(ready) | due <= set(data["turns"]), "a marker without a turn")
    expect(set(lists) <= set(data["turns"]),
           f"a list without a turn: {set(lists)}, {data['turns']}")
    held = int(data["stats"].get("held", 0))
    expect(held == len(due), f"{held} keys are held, {len(due)} markers due")


def _check_unique(data, places, now, expect):
    unlocks = dict(data["unlocks"])
    expect(set(unlocks) <= set(data["unique"]),
           f"the end of no lock: {set(unlocks) - set(data['unique'])}")
    for key, local in data["unique"].items():
        if unlocks.get(key, 0) <= now and key in unlocks:
            continue  # it has passed and is not purged yet
        if local not in places:
            expect(key in unlocks, f"{key} is held by {local}, which is gone")
            continue
        hold, _, own = options_of(data["jobs"][local])["u"].split(",", 2)
        expect(own == key, f"{local} holds {key}, wants {own}")
        place, attempts = places[local][0], data["state"].get(local)
        waits = place in ("ready", "due", "blocked", "retrying")
        if hold == "w":
            expect(waits, f"{local} holds {key} and is {place}")
        elif hold == "r":
            expect(waits or place == "leased",
                   f"{local} holds {key} and is {place}: {attempts}")
        else:
            expect(waits or place == "leased" or key in unlocks,
                   f"{local} holds {key} for ever and is {place}")
    # And the other way round: who is in its while has its key.
    for local, (place, _) in places.items():
        unique = options_of(data["jobs"][local]).get("u")
        if not unique or data["jobs"][local][2] != "+":
            continue
        hold, ttl, key = unique.split(",", 2)
        never_ran = place in ("ready", "due", "blocked") and (
            local not in data["state"])
        inside = never_ran or (hold in "re" and place in (
            "ready", "due", "blocked", "retrying", "leased"))
        if inside and (hold == "e" or ttl == "0"):
            expect(data["unique"].get(key) == local,
                   f"{local} is {place}, {key} is held by "
                   f"{data['unique'].get(key)}")
