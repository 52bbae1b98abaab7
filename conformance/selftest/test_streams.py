"""Streams of backward: the checks run on the streams that the CPU has, which do everything at once and in order."""

from __future__ import annotations

import pytest
import torch

import conformance.test_accumulation as checks
from conformance.engine.mismatch import Mismatch
from conformance.inputs.backward_streams import StreamedPass, StreamNoted, make_streamed_pass

PASSES = [make_streamed_pass("cpu", "float32", (2, 3), *each.split()) for each in ("side main main", "main side main")]


@pytest.mark.parametrize("case", PASSES, ids=lambda case: f"{case.forward}-{case.call}-{case.use}")
def test_numbers_are_right_where_nothing_runs_beside_the_rest(case: StreamedPass) -> None:
    """Both checks of numbers pass, and see a gradient that is another."""
    numbers = (
        checks.test_gradients_are_there_for_the_stream_of_backward,
        checks.test_initial_gradients_come_from_the_stream_of_backward,
    )
    for check in numbers:
        check(case)

    with pytest.MonkeyPatch.context() as patch:
        right = StreamNoted.backward
        patch.setattr(StreamNoted, "backward", staticmethod(lambda ctx, g: (right(ctx, g)[0] + 1, None, None)))
        for check in numbers:
            with pytest.raises(Mismatch):
                check(case)


def test_a_backward_on_another_stream_is_seen() -> None:
    """The CPU's engine knows no streams: its backward runs on that of the call, and passes where this is forward's."""
    check = checks.test_backward_is_on_the_stream_of_forward
    check(make_streamed_pass("cpu", "float32", (2, 3), "main", "main", "side"))

    with pytest.raises(Mismatch, match="stream"):
        check(PASSES[0])


def test_a_minimal_input_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown of such a case is a program."""
    exec(PASSES[0].code(), {"torch": torch})

    assert capsys.readouterr().out.startswith("tensor([[6., 6., 6.]")
