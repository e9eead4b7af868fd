from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_START = """
import gc, signal, sys, threading, time, weakref
from pipeline import interrupts

interrupts._GRACE_SECONDS = 1.0
interrupts.watch()

def ready():
    print("ready", flush=True)
"""

_ORDERLY = """
threading.Thread(target=time.sleep, args=[60]).start()

def main():
    try:
        ready()
        time.sleep(60)
    except KeyboardInterrupt as interrupt:
        print("in order", interrupt, flush=True)
        return interrupt.status

interrupts.end_with(main)
"""

_GONE = """
threading.Thread(target=time.sleep, args=[60]).start()

def main():
    raise BrokenPipeError("the terminal is gone")

interrupts.end_with(main)
"""

_SWALLOWED = """
class Thing:
    pass

def callback(_):
    ready()
    time.sleep(60)

thing = Thing()
watcher = weakref.ref(thing, callback)
del thing
time.sleep(60)
"""

_WORKER = """
import os
reader, writer = os.pipe()
child = os.fork()
if not child:
    os.write(writer, b"!")
    time.sleep(60)
    os._exit(0)
os.read(reader, 1)
os.kill(child, signal.SIGTERM)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
time.sleep(1.5)
print("still here", flush=True)
"""


def _run(code: str, number: signal.Signals | None) -> tuple[int, str]:
    with subprocess.Popen([sys.executable, "-c", _START + code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if number:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_code_in_order_and_no_thread_keeps_the_process(number: signal.Signals) -> None:
    assert _run(_ORDERLY, number) == (128 + number, f"in order {number.name}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_drops_in_a_weakrefs_callback_ends_the_process_all_the_same(
    number: signal.Signals,
) -> None:
    status, _ = _run(_SWALLOWED, number)
    assert status == 128 + number


def test_an_error_ends_the_process_too() -> None:
    assert _run(_GONE, None) == (1, "")


def test_a_forked_worker_that_is_ended_ends_itself_alone() -> None:
    assert _run(_WORKER, None) == (0, "still here\n")
