"""Ctrl-C and SIGTERM end the process in order, and in time, whatever its threads are at."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

_GRACE_SECONDS = 10.0
"""For what the interrupted code still has to put in order."""


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread; a KeyboardInterrupt, so that no `except Exception` of a library takes it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number
        """The process's exit status, as shells give it."""


def watch() -> None:
    """From now on SIGINT and SIGTERM raise `Interrupted` in the main thread, or end the process soon all the same.

    An exception alone may be lost: Python drops one that is raised within a weakref's callback or a `__del__`, and
    raises none while the main thread waits in C++ code. So a thread listens too, and ends what has not ended in time.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=[reader], daemon=True, name="interrupts").start()

    def in_child() -> None:
        # A forked worker is ended by SIGTERM as a matter of course, and shares the pipe.
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)

    os.register_at_fork(after_in_child=in_child)


def end_with(main: Callable[[], int]) -> NoReturn:
    """Runs `main` and ends the process with the status that it returns, 1 where it raises; `--help` and the like pass.

    It ends at once: threads of Beam and TensorFlow that still live would keep the process, or crash as it ends.
    """
    try:
        status = main()
    except Interrupted as interrupt:  # before it had begun, or after it had ended
        status = interrupt.status
    except Exception:  # such as a terminal that is gone
        with contextlib.suppress(OSError):
            traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk under the log
            stream.flush()
    os._exit(status)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)


def _end_in_time(reader: int) -> NoReturn:
    while (number := os.read(reader, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
        pass
    # Ends early where the process does.
    threading.Event().wait(_GRACE_SECONDS)
    os._exit(128 + number)
