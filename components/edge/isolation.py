"""Runs a model's file in a process of its own, so that an engine that crashes ends that process and no other."""

from __future__ import annotations

import pathlib
import pickle
import signal
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.edge import engine

Answers = dict[str, NDArray[np.float32]]


class EngineError(RuntimeError):
    """The engine could not answer; one sentence."""


class Timed(NamedTuple):
    """Answers, and the seconds that the engine took for them."""

    answers: Answers
    seconds: float


class Engine:
    """A process that answers pixels by one file, until the `with` block ends."""

    def __init__(self, file: pathlib.Path) -> None:
        # A pipe that nobody reads would fill, and stop an engine that warns a lot.
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        # By its path: the process needs nothing of this one's packages.
        self._process = subprocess.Popen(
            [sys.executable, engine.__file__, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
        )

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._printed.close()

    def run(self, pixels: NDArray[np.uint8]) -> Timed:
        """Answers pixels [B, S, S, 3].

        Raises:
            EngineError: the process ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            pickle.dump(pixels, self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            return Timed(*pickle.load(self._process.stdout))
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise EngineError(self._end()) from error

    def _end(self) -> str:
        self._process.kill()
        self._process.communicate()
        status = self._process.returncode
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").strip().splitlines()
        if status < 0 and status != -signal.SIGKILL:
            return f"its engine crashed ({signal.Signals(-status).name})"
        return f"its engine failed: {lines[-1] if lines else f'status {status}'}"
