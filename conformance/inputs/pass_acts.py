"""Pass acts: what is done with two leaves and an incoming gradient, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/autograd.html
"""

from __future__ import annotations

from textwrap import indent
from typing import Any

ROOT = "y = {use} - other\n"
SAVED = "y = ({use}) * other\n"
RESET = """\
x, other = torch.nn.Parameter(x.detach()), torch.nn.Parameter(other.detach())
y = {use} - other
{run}
{set}made = {form!r}
if made.startswith('frozen'):
    other.requires_grad_(False)
if made in ('module', 'child', 'frozen module'):
    owner, inner = torch.nn.Module(), torch.nn.Module()
    owner.add_module('inner', inner)
    owner.register_parameter('p0', x)
    (inner if made == 'child' else owner).register_parameter('p1', other)
elif made == 'three groups':
    owner = torch.optim.SGD([{'params': [p]} for p in (x, torch.nn.Parameter(torch.ones(2)), other)], lr=1.0)
else:
    owner = (torch.optim.Adam if made == 'Adam' else torch.optim.SGD)([x, other], lr=1.0)
owner.zero_grad({how})
print(x.grad, other.grad)"""
KNOWN = "x.grad, other.grad = torch.full_like(x, float('nan')), torch.full_like(other, float('-inf'))\ngiven = x.grad\n"
ROOTS = """\
y = {use} - other
one = torch.zeros((), requires_grad=True) * 1.0
roots = {'apart': [other * 2, y], 'nested': [y, y * 3], 'mixed': [one, y], 'three': [other * 2, y, x * 3]}
roots = roots.get({form!r}, [y, y])
seeds = [v, 3 * v] if 'two' in {form!r} else [None if root is one else v for root in roots]
print(torch.autograd.grad(roots, [x, other], seeds))"""
UNUSED = """\
y = {use} - other
unused, one = torch.ones((3, 2), dtype=x.dtype).requires_grad_(), torch.ones((), dtype=x.dtype).requires_grad_()
inputs = {'alone': [unused], 'first': [unused, x, other], 'elsewhere': [x, unused, other], 'scalar': [x, one, other]}
inputs = inputs.get({form!r}, [x, other, unused])
torch.cos(unused)
print(torch.autograd.grad(y, inputs, v{options}))"""
CHOSEN = """\
if {form!r}.endswith('set'):
    x.grad, other.grad = torch.ones_like(x), torch.ones_like(other)
more = [torch.ones_like(x).requires_grad_() for _ in range(2 * ('three' in {form!r}))]
inputs = {'tens': x, 'list': [x, *more], 'tupl': (x, *more)}[{form!r}[:4]]
y = {use} - other + sum(3 * each for each in more)
print(torch.autograd.grad(y, inputs, v), x.grad, other.grad, [each.grad for each in more])"""
CHOSEN_BACKWARD = CHOSEN.replace("print(torch.autograd.grad(y, inputs, v), ", "{open}, inputs=inputs)\nprint(")
INNER = """\
inner = {use}
view = inner.view_as(inner)
y = view * 3 - other
inputs = {'result': [inner], 'view': [view], 'both': [inner, view], 'with a leaf': [inner, other]}[{form!r}]
inputs = [x, *inputs, inputs[0]]
print(torch.autograd.grad(y, inputs[::{step}], v))"""
EDGE = """\
y = {use} - other
edge = torch.autograd.graph.get_gradient_edge(y)
print(torch.autograd.grad(edge, [x, other], v, retain_graph=True))
torch.autograd.backward(edge, v)
print(x.grad, other.grad)"""
THREADS = """\
import threading
def in_a_thread(*acts):
    def guarded(act):
        try:
            act()
        except RuntimeError as error:
            print(error)
    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""
OPTIONS = """\
create, retain = {form}
options = {'create_graph': create} | ({} if retain is None else {'retain_graph': retain})
"""
WRONG = """\
plain, shape = v.detach().clone(), tuple(x.shape)
wrong = {
    'a number': 0.0, 'an array': np.zeros(shape), 'longer': plain.new_zeros((*shape[:-1], shape[-1] + 1)),
    'broadcasting': plain.new_zeros((1,) * (len(shape) + 1)), 'unsqueezed': plain.new_zeros((*shape, 1)),
    'another type': torch.zeros(shape, dtype=torch.float32 if x.dtype != torch.float32 else torch.float64),
    'another device': torch.zeros(shape, dtype=x.dtype, device='meta'),
}[{form!r}]
try:
    x.grad = wrong
except (RuntimeError, TypeError) as error:
    print(error)
print(x.grad)"""
POLICY = "torch.autograd.grad_mode.enforce_grad_layout_policy"
LAID_OUT = "print(x.stride(), x.grad.stride(), x.grad)"


def threaded(text: str) -> str:
    """The same in another thread, which prints what is raised."""
    return THREADS + "def go():\n" + indent(text, "    ") + "\nin_a_thread(go)"


def inner(case: Any) -> str:
    """Inputs in an order that the entry says."""
    return INNER.replace("{step}", "-1" if case.entry == "sequence" else "1")


def dictionary(case: Any) -> str:
    """Names in an order that the entry says."""
    names = ("weight", "bias") if case.entry == "method" else ("z", "a")
    return f"{ROOT}print(torch.autograd.grad(y, {{{names[0]!r}: x, {names[1]!r}: other}}, v))"


def zeroed(case: Any) -> str:
    """Gradients of NaN, or with a history, that are zeroed."""
    history = "x.grad = (torch.ones_like(x).requires_grad_() * 2)\n" if case.entry == "method" else ""
    return RESET.replace("{set}", KNOWN + history).replace("{how}", "set_to_none=False")


def gone_through_twice(case: Any) -> str:
    """Two passes from a root, or from the roots of two graphs where the entry takes a sequence."""
    if case.entry != "sequence":
        return f"{SAVED}{OPTIONS}{{open}}, **options)\n{{run}}\nprint(x.grad, other.grad)"
    twice = "torch.autograd.backward([y, z], [v, v]"
    return f"{SAVED}z = ({{use}}) * other\n{OPTIONS}{twice}, **options)\n{twice})\nprint(x.grad, other.grad)"


PASS_ACTS: dict[str, Any] = {
    "root-without-grad-is-refused": "y = x.detach() - other.detach()\n{run}  # raises",
    "gradient-edge-serves-as-a-root": EDGE,
    "each-root-needs-its-gradient": f"{ROOT}torch.autograd.backward([y, y * 2], [v])  # raises",
    "surplus-gradients-are-refused": f"{ROOT}torch.autograd.backward([y], [v, v])  # raises",
    "grads-of-leaves-are-apart": "for _ in range({form}):\n    y = {use} - other\n    {run}\n"
    "print([t.untyped_storage().data_ptr() for t in (x.grad, other.grad, x, other)])",
    "incoming-gradient-is-left-alone": "before = v.clone()\nfor _ in range({form}):\n    y = {use} - other\n    {run}\n"
    "print(before, v, [t.untyped_storage().data_ptr() for t in (x.grad, other.grad, v)])",
    "graph-is-freed": f"{SAVED}{{run}}\n{{run}}  # raises",
    "graph-is-retained-as-create-graph-says": gone_through_twice,
    "grad-retains-the-graph-as-create-graph-says": f"{SAVED}{OPTIONS}torch.autograd.grad(y, [x, other], v, **options)\n"
    "print(torch.autograd.grad(y, [x, other], v))",
    "gradients-have-a-history-as-create-graph-says": f"{SAVED}{OPTIONS}"
    "found = torch.autograd.grad(y, [x, other], v, **options)\n"
    f"{SAVED}{{open}}, **options)\nprint([(t.requires_grad, t.grad_fn) for t in (x.grad, *found)])",
    "empty-inputs-are-refused": f"{ROOT}for act in (lambda: y.backward(v, inputs=[]), lambda: y.backward(v, inputs=()),"
    "\n            lambda: torch.autograd.grad(y, [], v), lambda: torch.autograd.grad(y, (), v)):\n"
    "    try:\n        print(act())\n    except (RuntimeError, ValueError) as error:\n        print(error)",
    "inputs-may-be-a-dict": f"{ROOT}{{open}}, inputs={{'weight': x}})\nprint(x.grad, other.grad)\n"
    f"{ROOT}{{open}}, inputs={{'b': other, 'a': x}})\nprint(x.grad, other.grad)",
    "grad-leaves-grad-alone": CHOSEN,
    "grad-returns-a-gradient-for-each-input": inner,
    "grad-sums-over-its-outputs": ROOTS,
    "grad-by-itself-is-the-incoming-gradient": ROOT
    + "print(torch.autograd.grad(y, y, v), torch.autograd.grad(x, x, v))",
    "grad-outputs-may-be-left-out": "y = {use}\n"
    "for options in ({}, {'grad_outputs': None}, {'grad_outputs': [None]}):\n"
    "    print(torch.autograd.grad([y], [x], retain_graph=True, **options))\n"
    "for options in ({}, {'grad_outputs': [None, torch.full_like(y, 3)]}):\n"
    "    print(torch.autograd.grad([y, y], [x], retain_graph=True, **options))",
    "unused-inputs-are-refused": UNUSED.replace("{options}", ""),
    "allow-unused-gives-none": UNUSED.replace("{options}", ", allow_unused=True"),
    "materialize-grads-gives-zeros": UNUSED.replace("{options}", ", materialize_grads=True"),
    "materialize-grads-needs-allow-unused": UNUSED.replace("{options}", ", allow_unused=False, materialize_grads=True"),
    "only-inputs-is-ignored": f"{ROOT}print(torch.autograd.grad(y, x, v, only_inputs=False))\n"
    f"print(x.grad, other.grad)",
    "grad-by-a-dict-is-a-dict": dictionary,
    "inputs-without-grad-are-refused": f"{ROOT}"
    "print(torch.autograd.grad(y, [x, other.detach()], v, allow_unused=True))  # raises",
    "layout-policy-is-of-its-context": f"with {POLICY}(False):\n    y = {{use}} - other\n    {{run}}\n{LAID_OUT}\n"
    f"x.grad = None\n{ROOT}{{run}}\n{LAID_OUT}",
    "decorating-changes-no-layout-policy": f"@{POLICY}(False)\ndef decorated(y):\n    {{run}}\n{ROOT}{{run}}\n"
    f"{LAID_OUT}\ndecorated({{use}} - other)\nx.grad = None\n{ROOT}{{run}}\n{LAID_OUT}",
    "first-grad-has-the-strides-of-a-dense-leaf": f"{ROOT}{{run}}\n{LAID_OUT}",
    "first-grad-of-another-leaf-is-row-major": f"{ROOT}{{run}}\n{LAID_OUT}",
    "accumulation-keeps-the-grad-object": f"x.grad = given = torch.ones_like(x) * 2\n{ROOT}{{run}}\n"
    "print(x.grad is given, x.grad)",
    "create-graph-replaces-the-grad": f"x.grad = given = torch.ones_like(x) * 2\n{ROOT}{{open}}, create_graph=True)\n"
    "print(x.grad is given, given, x.grad)",
    "create-graph-tries-to-keep-the-strides": "x.grad = given = torch.ones_like(x) * 2\n"
    f"{ROOT}{{open}}, create_graph=True)\nprint(given.stride(), x.grad.stride())",
    "zero-grad-drops-the-gradients": RESET.replace("{set}", "").replace("{how}", "set_to_none=True"),
    "dropped-gradients-stay-none": RESET.replace("{set}", "").replace("{how}", "set_to_none=True")
    + "\ny = {use}\n{run}\nprint(x.grad, other.grad)",
    "zero-grad-leaves-zeros": zeroed,
    "zero-grad-zeroes-in-place": RESET.replace("{set}", KNOWN).replace("{how}", "set_to_none=False")
    + "\nprint(x.grad is given)",
    "zero-grad-drops-by-default": RESET.replace("{set}", "").replace("{how}", ""),
    "zero-grad-zeroes-by-default": RESET.replace("{set}", "").replace("{how}", ""),
    "zero-grad-resets-its-own-parameters-only": RESET.replace("{set}", "")
    .replace("register_parameter('p1', other)", "register_buffer('p1', torch.ones(1))")
    .replace("(2)), other)", "(2)))")
    .replace("([x, other]", "([x]")
    .replace("{how}", ""),
    "assigned-grad-is-the-grad": "x.grad = given = torch.ones_like(x) * 2\nprint(x.grad is given)\nx.grad = None\n"
    f"{ROOT}{{run}}\nprint(x.grad)",
    "assigned-grad-must-match": WRONG,
    "backward-runs-in-threads": THREADS + "pairs = [(x.detach().clone().requires_grad_(), "
    "other.detach().clone().requires_grad_()) for _ in range({form})]\ndef train(x, other):\n    y = {use} - other\n"
    "    {run}\nin_a_thread(*[lambda pair=pair: train(*pair) for pair in pairs])\n"
    "print([(x.grad, other.grad) for x, other in pairs])",
    "threads-accumulate-into-one-leaf": THREADS + "def train():\n    y = {use} - other\n    {run}\n"
    "for _ in range({form}):\n    in_a_thread(train)\n    print(x.grad, other.grad)",
    "grad-in-threads-is-deterministic": THREADS + "found = []\n"
    "in_a_thread(*[lambda: found.append(torch.autograd.grad({use} - other, [x, other], v))] * {form})\nprint(found)",
    "freed-shared-graph-is-refused-in-another-thread": THREADS
    + f"{SAVED}shared = y\ndef go(y):\n    {{run}}\nin_a_thread(lambda: go(shared * 2))\n"
    "in_a_thread(lambda: go(shared * 3))  # prints an error\nprint(x.grad, other.grad)",
    "retained-shared-graph-serves-threads": THREADS
    + f"{SAVED}shared = y\ndef go(y):\n    {{open}}, retain_graph=True)\n"
    "for _ in range({form}):\n    in_a_thread(lambda: go(shared.clone()))\n    print(x.grad, other.grad)",
    "inputs-count-in-every-thread": threaded(CHOSEN_BACKWARD),
    "unused-inputs-count-in-every-thread": threaded(UNUSED.replace("{options}", ", allow_unused=True")),
    "graph-options-count-in-every-thread": threaded(
        f"{SAVED}{OPTIONS}print(torch.autograd.grad(({{use}}) * other, [x, other], v, **options))\n"
        "{open}, **options)\nprint(x.grad)\n{run}\nprint(x.grad, other.grad)"
    ),
    "backward-without-multithreading-stays-in-its-thread": "import threading\n" + ROOT
    + "y.register_hook(lambda g: print(threading.get_ident()))\n"
    "with torch.autograd.grad_mode.set_multithreading_enabled(False):\n    {run}\n"
    "print(threading.get_ident(), x.grad, other.grad)",
}  # fmt: skip
