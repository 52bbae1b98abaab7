"""Processes: what this process has running and open, as the system tells it and not torch."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from pathlib import Path

from conformance.oracles.expect import Discard

SEGMENTS = "/dev/shm"


def child_processes() -> list[int]:
    """The children of this process, dead ones included that nobody has waited for."""
    found: set[int] = set()
    lists = list(Path("/proc/self/task").glob("*/children"))
    for one in lists:
        with contextlib.suppress(OSError):  # a thread that has just ended
            found |= {int(pid) for pid in one.read_text().split()}
    return sorted(found if lists else {child.pid or 0 for child in multiprocessing.active_children()})


def running_children(limit: float) -> list[int]:
    """The children that have not ended, once they had so many seconds to end."""
    end = time.monotonic() + limit
    while (found := [child for child in child_processes() if not _dead(child)]) and time.monotonic() < end:
        threading.Event().wait(0.01)
    return found


def _dead(process: int) -> bool:
    """Whether a process has ended, and is only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def group_members(group: int) -> dict[int, str] | None:
    """The processes of a group that have not ended, and when each was started; None where nobody lists them."""
    found, known = {}, False
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that is gone
            state, _, its_group, *facts = file.read_text().rpartition(")")[2].split()
            known = True
            if int(its_group) == group and state != "Z":
                found[int(file.parent.name)] = facts[16]
    return found if known else None


def still_running(process: int, started: str) -> bool:
    """Whether the process that was started then has not ended: another may have its number since."""
    try:
        facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return facts[0] != "Z" and facts[19] == started


def open_files() -> dict[int, str]:
    """The open file descriptors, and what each is open on; pipes and sockets without their numbers."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        raise Discard("this platform does not list the open files of a process")
    found = {}
    for name in os.listdir(folder):
        try:
            found[int(name)] = os.readlink(folder / name).partition(":[")[0]
        except OSError:
            continue  # that of the listing itself
    return found


def opened_since(before: dict[int, str]) -> list[str]:
    """What is open and was not, by what it is open on."""
    return sorted(target for number, target in open_files().items() if number not in before)


def segments_of(processes: set[int]) -> list[str]:
    """The segments of shared memory that these processes have made and nobody has removed."""
    if not os.path.isdir(SEGMENTS):
        raise Discard("this platform does not list its segments of shared memory")
    made = [name.split("_") for name in os.listdir(SEGMENTS) if name.startswith("torch_")]
    return sorted("_".join(parts) for parts in made if parts[1].isdigit() and int(parts[1]) in processes)


def threads_since(before: set[int | None]) -> list[str]:
    """The threads of Python that run and are none of these, by name."""
    return sorted(thread.name for thread in threading.enumerate() if thread.ident not in before)
