"""What a process has used, seen from outside, and what machine this is.

CPU time comes from /proc/PID/task/*/schedstat (nanoseconds), not from the ticks
of /proc/PID/stat: a run of a second would be only a hundred of those. What died
meanwhile is in its parent's stat (ticks, but it is rare).
"""
import os
import re
import subprocess

import pitharness

TICKS = os.sysconf("SC_CLK_TCK")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def cpu_of(pid):
    """Seconds of CPU that a process and its threads, and those of its children
    that have ended, used so far."""
    total = 0.0
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return 0.0
    for task in tasks:
        words = read(f"/proc/{pid}/task/{task}/schedstat").split()
        total += int(words[0]) / 1e9 if words else 0.0
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if fields:
        total += (int(fields[13]) + int(fields[14])) / TICKS
    return total


def tree(pid):
    return [pid] + pitharness.descendants_of(pid)


def cpu_of_tree(pid):
    return sum(cpu_of(one) for one in tree(pid))


def rss_by_name(pid):
    """{name: (resident MiB, of that its own memory)} of a tree of processes,
    the largest of each name. The rest are pages of program and libraries, of
    which the machine holds one copy for all."""
    found = {}
    for one in tree(pid):
        sizes = [int(size) / 1024 for size in re.findall(
            r"^(?:VmRSS|RssAnon):\s+(\d+) kB", read(f"/proc/{one}/status"),
            re.M)]
        if len(sizes) == 2:
            name = pitharness.process_name(one)
            found[name] = max(found.get(name, (0, 0)), tuple(sizes))
    return found


def machine():
    cpu = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", read("/proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"),
                       re.M)
    redis = subprocess.run(["redis-server", "--version"], capture_output=True,
                           text=True, check=True).stdout
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": cpu.group(1) if cpu else "unknown",
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else 0,
        "system": system.group(1) if system else "unknown",
        "debian": read("/etc/debian_version").strip(),
        "kernel": os.uname().release.split("-")[0],
        "redis": re.search(r"v=(\S+)", redis).group(1),
        "load_at_start": round(os.getloadavg()[0], 2),
    }
