"""The queue's scripts as they are loaded: their includes in place.

A line `-- include: name` stands for include/name.lua, as in
cmake/embed_scripts.cmake, which makes the same texts for the programs.
"""

import os
import re

from pitharness import SOURCE_DIR

SCRIPTS_DIR = os.path.join(SOURCE_DIR, "shared", "queue", "scripts")


def names():
    """All scripts, sorted."""
    return sorted(file.removesuffix(".lua") for file in os.listdir(SCRIPTS_DIR)
                  if file.endswith(".lua"))


def _read(*path):
    with open(os.path.join(SCRIPTS_DIR, *path), encoding="utf-8") as file:
        return file.read()


def text(name):
    """The script, assembled."""
    return re.sub(r"(?m)^-- include: (\w+)\n",
                  lambda line: _read("include", f"{line.group(1)}.lua"),
                  _read(f"{name}.lua"))


# A clock of the test's own, in ms: scripts read it from a key.
CLOCK_KEY = "test:clock"
_CLOCK = f"""
local redis = (function(real)
    local function on_clock(call)
        return function(name, ...)
            if name ~= 'TIME' then
                return call(name, ...)
            end
            local now = tonumber(real.call('GET', '{CLOCK_KEY}'))
            return {{string.format('%d', math.floor(now / 1000)),
                     string.format('%d', now % 1000 * 1000)}}
        end
    end
    return setmetatable({{call = on_clock(real.call),
                          pcall = on_clock(real.pcall)}}, {{__index = real}})
end)(redis)
"""


def with_clock(name):
    """The script, assembled, on the test's clock."""
    first, _, rest = text(name).partition("\n")
    return first + _CLOCK + rest


def write_all(folder):
    """Each script into @folder, as `cmake --install` does; the folder."""
    for name in names():
        with open(os.path.join(folder, f"{name}.lua"), "w",
                  encoding="utf-8") as file:
            file.write(text(name))
    return folder
