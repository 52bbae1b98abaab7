"""Contested: which of two ways takes less time, with an interval of the ratio.

Both are done in turns, so that what disturbs the machine for a while disturbs both, and in blocks, of each of which the
shortest rounds are compared. The interval of the median of the ratios is that of the sign test. Only where all of it
lies beyond what is allowed is it a failure; where the machine is too noisy to tell, nothing is decided.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from statistics import median

import torch

from conformance.engine.evidence import tabulate
from conformance.engine.mismatch import Discard, Mismatch
from conformance.inputs.contests import Contest
from conformance.oracles import expect
from conformance.oracles.durations import in_turns, in_turns_on_device
from conformance.oracles.main_processes import MainProcess

BLOCKS = 6  # between the least and the greatest of as many ratios their median lies with 97 % confidence
LONGEST_COMPILATION = 100.0  # seconds
# no processes beside, and no header that is compiled for those that follow
COMPILER_SETTINGS = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0"}
ROUNDS = (1, 4, 12)  # in each block; more of them where fewer do not tell


def takes_less_time(case: Contest) -> None:
    """Expect the one way to take at most its share of the time of the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the clock is that of one thread
    try:
        ratio, low, high = _ratio(case, False)
    finally:
        torch.set_num_threads(threads)
    _judge(case, ratio, low, high)


def takes_less_time_on_device(case: Contest) -> None:
    """Expect the one way to take at most its share of the time of the other, by the clock of the device."""
    _judge(case, *_ratio(case, True))


def takes_less_time_compiled(case: Contest) -> None:
    """Expect what is compiled to take at most its share of the time of what is not, in a process of its own.

    There the compiler is imported, its files are kept in a folder that goes with the process, and it starts no other.
    """
    folder = tempfile.mkdtemp()
    try:
        with MainProcess(compiled_ratio, case, folder) as process:
            found = process.answer("the times of what is compiled", LONGEST_COMPILATION)
    except Mismatch as mismatch:
        if mismatch.found != "none":
            raise
        raise Discard(f"nothing was compiled within {LONGEST_COMPILATION:g} s") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _judge(case, *found)


def compiled_ratio(case: Contest, folder: str) -> tuple[float, float, float]:
    """The ratio and its interval; raises NotImplementedError where this release does not compile for this Python."""
    torch.set_num_threads(1)
    os.environ.update(COMPILER_SETTINGS, TORCHINDUCTOR_CACHE_DIR=folder)
    try:
        return _ratio(case, False)
    except RuntimeError as error:
        if "supported" in str(error) and "Python" in str(error):
            raise NotImplementedError(str(error)) from None
        raise


def _judge(case: Contest, ratio: float, low: float, high: float) -> None:
    tell_ratio(case.one, case.other, ratio, (low, high), f"<= {case.most:g}")
    if low <= case.most < high:
        raise Discard("the times of this machine are too far apart to tell")
    what = f"time of {case.one!r} as a share of that of {case.other!r} (97 %: {low:.3g} to {high:.3g})"
    expect.that(ratio <= case.most, what, f"<= {case.most:g}", f"{ratio:.3g}")


def tell_ratio(one: str, other: str, ratio: float, interval: tuple[float, float], expected: str) -> None:
    """Keep a ratio as evidence."""
    low, high = (float(f"{bound:.4g}") for bound in interval)
    row = {"one": one, "other": other, "ratio": float(f"{ratio:.4g}"), "interval": [low, high], "expected": expected}
    tabulate("ratios", row)


def _ratio(case: Contest, on_device: bool) -> tuple[float, float, float]:
    """The median of the ratios, and its interval."""
    one, other = case.acts()
    ratios: list[float] = []
    for rounds in ROUNDS:
        ratios = []
        for _ in range(BLOCKS):
            times = in_turns_on_device(one, other, rounds, case.device) if on_device else in_turns(one, other, rounds)
            first, second = zip(*times, strict=True)
            ratios.append(min(first) / max(min(second), 1))
        if max(ratios) <= case.most or min(ratios) > 1.5 * case.most:
            break
    return median(ratios), min(ratios), max(ratios)
