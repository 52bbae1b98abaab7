"""Programs about streams, events, and work that is done later.

Work of a stream is a chain of a few dozen additions to a vector, so that what does not wait for it is likely to find it
undone. That nothing is found wrong proves no order; that the numbers are wrong disproves it.
Reference: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-streams
"""

from __future__ import annotations

from conformance.inputs.device_programs import RAISED, Row, told_by

# `a` is made and known; `s` and `t` are streams of its own device, which wait for what was done before.
BEGIN = ("m.set_device(here)\na = torch.zeros(100_000, device=here)\nmain = m.current_stream()\n"
         "s, t = m.Stream(), m.Stream()\n"
         "m.synchronize()\n")  # fmt: skip
WORK = "for _ in range(30):\n        a.add_(1)\n"
IN_S = f"with m.stream(s):\n    {WORK}"
FULL = (("a.unique().tolist()", [30.0]),)


def waited_for(wait: str) -> Row:
    """Work in one stream, a way to wait for it, and what the main stream then finds."""
    return f"{BEGIN}{IN_S}{wait}", FULL


IN_ORDER: tuple[Row, ...] = (
    (f"{BEGIN}with m.stream(s):\n    {WORK}    b = a * 2\nm.synchronize()", (("b.unique().tolist()", [60.0]), *FULL)),
    (
        f"{BEGIN}with m.stream(s):\n    {WORK}    a.mul_(2)\n    a.sub_(1)\nm.synchronize()",
        (("a.unique().tolist()", [59.0]),),
    ),
    (f"{BEGIN}with m.stream(s):\n    {WORK}    found = a.sum().item()", (("found", 3e6),)),
    (f"{BEGIN}with m.stream(s):\n    {WORK}    found = a.cpu()", (("found.unique().tolist()", [30.0]),)),
    (
        f"{BEGIN}with m.stream(s):\n    a.fill_(5)\n    a.zero_()\n    a.add_(2)\nm.synchronize()",
        (("a.unique().tolist()", [2.0]),),
    ),
    (f"{BEGIN}for _ in range(30):\n    a.add_(1)\nb = a + 1", (("b.unique().tolist()", [31.0]), *FULL)),
)
BY_STREAM: tuple[Row, ...] = (
    waited_for("main.wait_stream(s)"),
    waited_for("m.current_stream().wait_stream(s)\na.sub_(0)"),
    (
        f"{BEGIN}{IN_S}t.wait_stream(s)\nwith m.stream(t):\n    a.mul_(2)\nmain.wait_stream(t)",
        (("a.unique().tolist()", [60.0]),),
    ),
    (f"{BEGIN}{IN_S}t.wait_stream(s)\nwith m.stream(t):\n    found = (a * 1).sum().item()", (("found", 3e6),)),
    (
        (
            f"{BEGIN}for _ in range(30):\n    a.add_(1)\ns.wait_stream(main)\nwith m.stream(s):\n"
            f"    a.mul_(2)\nmain.wait_stream(s)"
        ),
        (("a.unique().tolist()", [60.0]),),
    ),
)
BY_EVENT: tuple[Row, ...] = (
    waited_for("e = s.record_event()\nmain.wait_event(e)"),
    waited_for("e = m.Event()\ne.record(s)\ne.wait()"),
    (
        (
            f"{BEGIN}{IN_S}    e = m.Event()\n    e.record()\nt.wait_event(e)\nwith m.stream(t):\n"
            f"    a.mul_(2)\nmain.wait_stream(t)"
        ),
        (("a.unique().tolist()", [60.0]),),
    ),
    (
        f"{BEGIN}{IN_S}e = s.record_event()\ne.wait(t)\nwith m.stream(t):\n    found = (a * 1).sum().item()",
        (("found", 3e6),),
    ),
    (f"{BEGIN}main.wait_event(m.Event())\na.add_(30)", FULL),
)
SYNCHRONIZED: tuple[Row, ...] = (
    (
        f"{BEGIN}{IN_S}with m.stream(t):\n    b = torch.zeros(9, device=here)\n    b.add_(4)\nm.synchronize()",
        (("s.query(), t.query(), main.query()", (True, True, True)), ("b.tolist()", [4.0] * 9), *FULL),
    ),
    (f"{BEGIN}{IN_S}e = s.record_event()\nm.synchronize()", (("e.query()", True), *FULL)),
    (f"{BEGIN}{IN_S}m.synchronize(here)", (("s.query()", True), *FULL)),
    (f"{BEGIN}{IN_S}m.synchronize(here.index)", (("s.query()", True), *FULL)),
)
STREAM_SYNCHRONIZED: tuple[Row, ...] = (
    (f"{BEGIN}{IN_S}s.synchronize()", (("s.query()", True), *FULL)),
    (f"{BEGIN}{IN_S}e = s.record_event()\ns.synchronize()", (("e.query()", True), *FULL)),
)
EVENT_SYNCHRONIZED: tuple[Row, ...] = (
    (f"{BEGIN}{IN_S}e = s.record_event()\ne.synchronize()", (("e.query()", True), *FULL)),
    (f"{BEGIN}{IN_S}e = m.Event(enable_timing=True)\ne.record(s)\ne.synchronize()", (("e.query()", True), *FULL)),
)
SELECTED: tuple[Row, ...] = (
    (
        f"{BEGIN}with m.stream(s):\n    inside = m.current_stream()\n",
        (("inside == s", True), ("m.current_stream() == main", True)),
    ),
    (
        (
            f"{BEGIN}with m.stream(s):\n    with m.stream(t):\n        inside = m.current_stream()\n"
            f"    outside = m.current_stream()"
        ),
        (("inside == t", True), ("outside == s", True), ("m.current_stream() == main", True)),
    ),
    (
        f"{BEGIN}try:\n    with m.stream(s):\n        raise KeyError\nexcept KeyError:\n    pass",
        (("m.current_stream() == main", True),),
    ),
    (
        f"{BEGIN}with m.stream(None):\n    inside = m.current_stream()",
        (("inside == main", True), ("m.current_stream() == main", True)),
    ),
    (BEGIN, (("s == t", False), ("s == main", False), ("str(s.device)", "HERE"), ("s.query()", True))),
)
STREAMS_OF_DEVICES: tuple[Row, ...] = (
    ("s = m.Stream(there)", (("str(s.device)", "THERE"), ("m.current_stream(there) == s", False))),
    (
        (
            "with m.device(there):\n    s = m.Stream()\nbefore = m.current_device()\n"
            "with m.stream(s):\n    inside = m.current_device()\n"
            "    found = m.current_stream(there) == s"
        ),
        (("inside", "THERE.index"), ("found", True), ("m.current_device() == before", True)),
    ),
)
TIMED = "a = torch.zeros(1000, device=here)\nb, e = m.Event(enable_timing=True), m.Event(enable_timing=True)\n"
TIMES: tuple[Row, ...] = (
    (
        f"{TIMED}b.record()\na.add_(1)\ne.record()\nm.synchronize()",
        (("b.elapsed_time(e) >= 0", True), ("type(b.elapsed_time(e)).__name__", "float"), ("e.query()", True)),
    ),
    (f"{TIMED}b.record()\ne.record()\ne.synchronize()", (("b.elapsed_time(e) >= 0", True),)),
    (
        (
            f"{TIMED}b.record()\nfor _ in range(20):\n    a.mul_(2)\ne.record()\n"
            f"last = m.Event(enable_timing=True)\nlast.record()\n"
            "m.synchronize()"
        ),
        (("b.elapsed_time(last) >= b.elapsed_time(e)", True), ("e.elapsed_time(last) >= 0", True)),
    ),
)
UNTIMED: tuple[Row, ...] = tuple(
    (
        f"b, e = m.Event({first}), m.Event({second})\nb.record()\ne.record()\nm.synchronize()",
        (("b.elapsed_time(e)", RAISED),),
    )
    for first, second in (("", ""), ("enable_timing=True", ""), ("", "enable_timing=True"), ("enable_timing=False", ""))
)
# `a` is used in `s`, and its memory asked for again at once
REUSED: tuple[Row, ...] = tuple(
    (
        (
            f"{BEGIN}found = torch.zeros({n}, device=here)\n"
            f"a = torch.full(({n},), 3.0, device=here)\ns.wait_stream(main)\n"
            f"with m.stream(s):\n    for _ in range(30):\n        found.add_(1)\n    found.add_(a)\n"
            f"a.record_stream(s)\ndel a\n"
            f"new = [torch.full(({n},), 7.0, device=here) for _ in range(3)]\nmain.wait_stream(s)"
        ),
        (("found.unique().tolist()", [33.0]), ("new[0].unique().tolist()", [7.0])),
    )
    for n in (1000, 300_000, 2_000_000)
)
BACKWARD: tuple[Row, ...] = (
    (
        (
            "m.set_device(here)\nmain, s = m.current_stream(), m.Stream()\n"
            "x = torch.arange(4.0, device=here).requires_grad_()\n"
            "s.wait_stream(main)\nwith m.stream(s):\n    loss = (x * x).sum()\nwith m.stream(s):\n"
            "    loss.backward()\n    g = x.grad.tolist()"
        ),
        (("g", [0.0, 2.0, 4.0, 6.0]),),
    ),
    (
        (
            "m.set_device(here)\nmain, s = m.current_stream(), m.Stream()\n"
            "x = torch.ones(4, device=here).requires_grad_()\n"
            "s.wait_stream(main)\nwith m.stream(s):\n    loss = (x * 3).sum()\nmain.wait_stream(s)\nloss.backward()"
        ),
        (("x.grad.tolist()", [3.0] * 4),),
    ),
    (
        (
            "m.set_device(here)\nmain, s = m.current_stream(), m.Stream()\n"
            "x = torch.ones(4, device=here).requires_grad_()\n"
            "with m.stream(s):\n    s.wait_stream(main)\n    y = x * 3\n"
            "    seed = torch.full((4,), 2.0, device=here)\n    y.backward(seed)\n"
            "main.wait_stream(s)"
        ),
        (("x.grad.tolist()", [6.0] * 4),),
    ),
)
# What was asked for is done in order, whatever the host does meanwhile
INVISIBLE: tuple[Row, ...] = (
    (
        (
            "a = torch.zeros(100_000, device=here)\nseen = []\nfor n in range(40):\n    a.add_(1)\n"
            "    if n % 10 == 9:\n"
            "        seen.append(a[-1].item())"
        ),
        (("seen", [10.0, 20.0, 30.0, 40.0]),),
    ),
    (
        "a = torch.zeros(100_000, device=here)\nfor n in range(40):\n    a.add_(1)\nb = a.cpu()\na.zero_()",
        (("b.unique().tolist()", [40.0]), ("a.unique().tolist()", [0.0])),
    ),
    ("a = torch.zeros(100_000)\nb = a.to(here)\na.add_(5)\nc = b + 1", (("c.unique().tolist()", [1.0]),)),
    (
        "a = torch.ones(100_000, device=here)\nb = torch.empty(100_000)\nb.copy_(a)\na.fill_(3)",
        (("b.unique().tolist()", [1.0]),),
    ),
    (
        "a = torch.ones(300, 300, device=here)\nfor _ in range(5):\n    a = a @ a / 300",
        (("a.unique().tolist()", [1.0]),),
    ),
    (
        "a = torch.ones(1000, device=here)\nb = a.tolist()\na.add_(1)\nc = bool((a == 2).all())",
        (("b", [1.0] * 1000), ("c", True)),
    ),
)

queues_in_order = told_by(IN_ORDER)
streams_waited_for = told_by(BY_STREAM)
events_waited_for = told_by(BY_EVENT)
devices_synchronized = told_by(SYNCHRONIZED)
streams_synchronized = told_by(STREAM_SYNCHRONIZED)
events_synchronized = told_by(EVENT_SYNCHRONIZED)
streams_selected = told_by(SELECTED)
streams_of_devices = told_by(STREAMS_OF_DEVICES)
events_timed = told_by(TIMES)
events_untimed = told_by(UNTIMED)
memory_in_use = told_by(REUSED)
backward_in_streams = told_by(BACKWARD)
queued_unseen = told_by(INVISIBLE)
