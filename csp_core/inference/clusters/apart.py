"""Layouts by UMAP in a child process, which ends when nobody wants the layout any more.

Nothing else ends UMAP while it works, for up to a minute, and the library below it ends the process
where two threads are in it. The child is ``python -m csp_core.inference.clusters.apart``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import IO

from safetensors.torch import load, save
from torch import Tensor

from csp_core.child import end_child, start_child
from csp_core.errors import ConfigError, CspError
from csp_core.inference.clusters.groups import check_seed
from csp_core.inference.clusters.projection import project
from csp_core.inference.clusters.vectors import check_finite

DONE, REFUSED = b"\1", b"\0"
# How often it is asked whether a layout is still wanted, seconds.
TICK = 0.1


class Layouts:
    """One child process that lays vectors out, started when first needed, one layout at a time.

    It stays, as importing and compiling take longer than laying out some thousand vectors.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    @property
    def started(self) -> bool:
        """Whether the child is there, so that a layout waits for no import."""
        return self._process is not None and self._process.poll() is None

    def umap(
        self,
        vectors: Tensor,
        *,
        dims: int = 2,
        seed: int = 0,
        left: Callable[[], bool] = lambda: False,
    ) -> Tensor:
        """Lay vectors out, to the bit as ``project`` does.

        Args:
            vectors: ``(N, D)``.
            dims: As for ``project``.
            seed: The seed.
            left: Tells whether nobody wants the layout any more; then the child is ended.

        Returns:
            ``(N, dims)`` float32.

        Raises:
            CancelledError: If nobody wants it any more.
            ConfigError: If a number is none, there are too few vectors, or the child ended.
            BadRecordError: If a vector is not finite.
        """
        check_finite(vectors, "the sample")
        check_seed(seed)
        while not self._turn.acquire(timeout=TICK):
            if left():
                raise CancelledError
        try:
            return self._ask(vectors.detach().float().cpu().contiguous(), dims, seed, left)
        finally:
            self._turn.release()

    def _ask(self, vectors: Tensor, dims: int, seed: int, left: Callable[[], bool]) -> Tensor:
        process, done = self._running(), threading.Event()
        ended: list[bool] = []

        def watch() -> None:
            while not done.wait(TICK):
                if left():
                    ended.append(True)
                    process.kill()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            assert process.stdin and process.stdout
            _send(process.stdin, struct.pack("<qq", dims, seed) + save({"vectors": vectors}))
            answer = _receive(process.stdout)
        except (EOFError, OSError) as error:
            self.end()
            if ended:
                raise CancelledError from error
            raise ConfigError(
                "The process that lays places out has ended, perhaps for want of memory; take"
                " fewer places, or PCA."
            ) from error
        finally:
            done.set()
            watcher.join()
        if ended:  # as the answer came
            self.end()
        if answer[:1] == REFUSED:
            raise ConfigError(answer[1:].decode())
        return load(answer[1:])["plane"]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = start_child("csp_core.inference.clusters.apart")
        return self._process

    def end(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        end_child(process)


LAYOUTS = Layouts()
atexit.register(LAYOUTS.end)


def _send(stream: IO[bytes], content: bytes) -> None:
    stream.write(struct.pack("<Q", len(content)))
    stream.write(content)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes:
    (length,) = struct.unpack("<Q", _exactly(stream, 8))
    return _exactly(stream, length)


def _exactly(stream: IO[bytes], length: int) -> bytes:
    # A buffered stream gives less than is asked for at its end alone.
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found


def main() -> None:
    """Lay out what is asked for until the parent ends."""
    import signal

    # Ctrl+C reaches all that runs in a terminal; the parent, which ends by it, ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints shall not stand between the answers.
    sys.stdout = sys.stderr
    with contextlib.suppress(AttributeError, OSError):
        os.nice(5)  # clicks go first
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task = _receive(tasks)
            dims, seed = struct.unpack("<qq", task[:16])
            try:
                plane, _ = project(load(task[16:])["vectors"], method="umap", dims=dims, seed=seed)
                _send(answers, DONE + save({"plane": plane.contiguous()}))
            except CspError as error:
                _send(answers, REFUSED + str(error).encode())


if __name__ == "__main__":
    main()
