"""Bridge acts: how arrays and tensors cross between NumPy and torch, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html
"""

from __future__ import annotations

from typing import Any

FROM_NUMPY = "found = torch.from_numpy(x)\nprint(found, found.dtype, found.shape, found.stride())\n"
SHARED = "print(found.untyped_storage().data_ptr(), x.__array_interface__['data'][0])"
NUMPY = "found = x.numpy()\nprint(found, found.dtype, found.shape, found.strides, found.flags.writeable)\n"
FORCED = "found = x.numpy(force=True)\nprint(found, found.dtype, found.strides)\n"
SAME = "print(found is x, found.data_ptr() == x.data_ptr(), found)"
BOTH = "for found in (x.NAME(), torch.NAME(x)):\n    print(found is x, found.data_ptr() == x.data_ptr(), found)"
FILE = """\
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'elements')
    {first}
    found = torch.from_file(path, shared={shared}, size=len(x), dtype=x.dtype)
    print(found, x)
    {then}
    del found
    print(open(path, 'rb').read()[:64], bytes(x.untyped_storage())[:64])"""
CONTENT = "open(path, 'wb').write(bytes(x.untyped_storage()))"
MOVED = (
    "alias = x.detach()\nfound = x.share_memory_()\nprint(found is x, x.is_shared(), alias.is_shared(), x, x.stride())"
)


def filed(shared: bool, content: bool = True, write: bool = True) -> str:
    """A tensor from a file."""
    text = FILE.replace("{first}", CONTENT if content else "pass").replace("{shared}", str(shared))
    return text.replace("{then}", "found.fill_(1)" if write else "pass")


BRIDGE_ACTS: dict[str, Any] = {
    "from-numpy-shares": FROM_NUMPY + SHARED,
    "from-numpy-keeps-values": FROM_NUMPY,
    "from-numpy-maps-types": FROM_NUMPY,
    "from-numpy-refuses-other-types": "torch.from_numpy(x)  # raises",
    "from-numpy-may-take-wide-unsigned": FROM_NUMPY + SHARED,
    "from-numpy-is-not-resizable": "found = torch.from_numpy(x)\nfound.resize_(found.numel() + 8)  # raises",
    "from-numpy-may-wrap-read-only": "x.flags.writeable = False\nfound = torch.from_numpy(x)\n"
    "print(found, x.flags.writeable)",
    "from-numpy-may-take-unaligned": FROM_NUMPY,
    "from-numpy-refuses-negative-strides": "torch.from_numpy(x)  # raises",
    "from-numpy-refuses-fractional-strides": "torch.from_numpy(x)  # raises",
    "from-numpy-refuses-foreign-byte-order": "torch.from_numpy(x)  # raises",
    "from-numpy-takes-arrays-only": "torch.from_numpy(x)  # raises",
    "numpy-shares": NUMPY + "print(x.data_ptr(), found.__array_interface__['data'][0])",
    "numpy-keeps-values": NUMPY,
    "numpy-refuses": "x.numpy()  # raises",
    "numpy-respects-negation": "x.numpy()  # raises",
    "numpy-may-take-what-requires-grad-under-no-grad": "with torch.no_grad():\n    print(x.numpy())",
    "numpy-force-keeps-values": FORCED,
    "numpy-force-shares-plain": FORCED + "print(found.__array_interface__['data'][0] == x.data_ptr())",
    "numpy-force-copies-lazy": FORCED + "print(x, x.is_conj(), x.is_neg())",
    "item-is-not-differentiable": "found = x.reshape(-1)[0].item() if x.numel() != 1 else x.item()\n"
    "print(type(found), x.requires_grad)",
    "tolist-nests": "print(x.tolist(), x)",
    "view-as-real-refuses-conjugated": "torch.view_as_real(x)  # raises",
    "view-as-real-refuses-real": "torch.view_as_real(x)  # raises",
    "view-as-real-shares": "found = torch.view_as_real(x)\nprint(found.data_ptr() == x.data_ptr(), found)",
    "conj-is-a-view": "for found in (x.conj(), torch.conj(x)):\n"
    "    print(found.is_conj(), x.is_conj(), found.data_ptr() == x.data_ptr(), found)",
    "conj-writes-through": "x.conj().fill_(1 + 2j)\nprint(x)",
    "conj-of-real-is-input": BOTH.replace("NAME", "conj"),
    "resolve-conj-returns-input": BOTH.replace("NAME", "resolve_conj"),
    "resolve-neg-returns-input": BOTH.replace("NAME", "resolve_neg"),
    "resolve-conj-materializes": "for found in (x.resolve_conj(), torch.resolve_conj(x)):\n"
    "    print(found, found.is_conj(), x)",
    "resolve-neg-materializes": "for found in (x.resolve_neg(), torch.resolve_neg(x)):\n"
    "    print(found, found.is_neg(), x)",
    "real-of-real-is-input": "found = torch.real(x)\nprint(x.real is x, found is x)",
    "imag-of-real-raises": "print(torch.imag(x))  # raises",
    "detach-shares": "found = x.detach()\nprint(found.data_ptr() == x.data_ptr(), found.stride(), x.stride())",
    "from-file-maps": filed(False, write=False),
    "from-file-shared-writes": filed(True),
    "from-file-private-writes": filed(False),
    "from-file-refuses-short-files": filed(False, write=False).replace("size=len(x)", "size=len(x) + 1"),
    "from-file-creates": filed(True, content=False),
    "share-memory-moves": MOVED,
    "share-memory-again-does-nothing": "x.share_memory_()\nbefore = x.untyped_storage().data_ptr()\n"
    "print(x.share_memory_() is x, x.untyped_storage().data_ptr() == before, x)",
    "is-shared-tells": "print(x.is_shared())",
}
