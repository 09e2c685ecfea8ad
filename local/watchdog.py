"""Ends process groups when the process that owns them is gone, however it went.

Run by `local.processes` as a process of its own, with a pipe from the owner as standard input.
The owner writes `+PGID` when it has started a group and `-PGID` when it has ended one. The pipe
closes when the owner ends, also by `kill -9`; then what is left is terminated, and after
GRACE_S seconds killed. The folder named as argument, if one is, is removed then. Standard library
only, so that it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

GRACE_S = 3.0


def exists(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def end(groups: set[int], grace_s: float = GRACE_S) -> None:
    """Terminates the groups; kills those still there after `grace_s` seconds."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while groups and time.monotonic() < deadline:
        groups = {group for group in groups if exists(group)}
        time.sleep(0.05)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    end(groups)
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # Ctrl-C is for the owner, which still has to tell what it ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
