"""A made-up accelerator: a back end of PrivateUse1 in Python, of two devices, to try the suite on.

``pytest --plugin conformance.selftest.accelerator --device fake:0`` runs any area on it. Its tensors are tensors of
torch whose memory the host cannot read (``CONFORMANCE_FAKE_GUARDED=1`` has the system see to that: who reads it all
the same, dies). Every operation is that of the CPU. Work of a stream of one's own that writes in place waits until
somebody waits for it, so that what is not waited for is not there. Backward
runs on the first device only. It needs torch 2.13, whose wheel lets a back end be
written in Python. ``faults`` are its own breaks, for falsifiers.
"""

from conformance.selftest.accelerator import kernels as kernels
from conformance.selftest.accelerator.device import FAULTS as FAULTS
