"""Becomes a fork of the server of ``conformance.forkserver``, or a Python of its own where the server has none.

pytest-xdist runs this in the place of Python, with the address of the server before Python's own arguments. It hands
its standard streams over, and ends when the fork does. It imports next to nothing, since it is there for speed.
"""

import os
import signal
import socket
import struct
import sys


def ask(address: bytes, code: str) -> socket.socket | None:
    """The connection to a fork that runs ``code``, or None where there is none.

    It waits as long as the server imports: one that came too late would share the streams with a second process.
    """
    # a variable without a name can be inherited, and not set
    surroundings = (name + b"=" + value for name, value in os.environb.items() if name)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        body = b"\0".join([os.getcwdb(), code.encode(), *surroundings])
        connection.connect(address)
        socket.send_fds(connection, [struct.pack("q", len(body))], [0, 1, 2])
        connection.sendall(body)
        if connection.recv(1) == b"1":
            return connection
    except OSError:
        pass
    connection.close()
    return None


def wait(connection: socket.socket) -> int:
    """Wait for the end of the fork, letting go of what is its own; how it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    try:
        told = connection.recv(4)
    except OSError:
        told = b""
    return struct.unpack("i", told)[0] if len(told) == 4 else 1


def main(address: str, *arguments: str) -> int:
    """Take the address of the server and the arguments of a Python; the status of the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends it without a word; a Python takes it for the default
    fork = ask(bytes.fromhex(address), arguments[-1])
    if fork is None:
        os.execv(sys.executable, [sys.executable, *arguments])
    return wait(fork) & 0xFF


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))
