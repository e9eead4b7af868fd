"""Why something failed, in one sentence: the project's own error first, what caused it after it.

An error is the project's own where the project's code raised it, which its traceback shows. That holds for every
error that is raised anywhere here, whatever its class. Beam hands on a worker's traceback as text, so texts are read
in the same way.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import NamedTuple

PACKAGES = ("components", "pipeline", "schema", "serving", "trainer_module")
"""Whose code runs in a pipeline."""

_OWN_FILE = re.compile(rf"(?:^|(?<!/tests)/)(?:{'|'.join(PACKAGES)})/(?:\w+/)*\w+\.py$")
_FRAME = re.compile(r'  File "(.+)", line \d+, in ')
_TRACEBACK = "Traceback (most recent call last):"
_LINKS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)

_TENSORFLOW_NOISE = re.compile(
    r"Graph execution error:$|Detected at node .*|<stack traces unavailable>$|File \".*|Caused by op .*"
    r"|\(\d+\) \w+:\s*$|\d+ root error\(s\) found\.$|Error:? in user code:?$|\[\[.*|\d+ (?:successful|derived) .*"
)
_LONGEST = 1000
"""Characters of a sentence: some libraries put whole files into one."""


class ComponentError(RuntimeError):
    """A component failed; its name is the message, the error it raised the cause."""


class _Error(NamedTuple):
    name: str
    text: str
    own: bool


def sentence(error: BaseException) -> str:
    """The outermost error that the project raised, and in brackets its first cause; without one, the first cause.

    Args:
        error: what was caught; an error that only names a component is left out by giving its cause.
    """
    chain = list(_chain(error))
    own = next((link for link in chain if link.own), None)
    first = chain[-1]
    if own is None or own is first:
        return _said(first)
    reason = _said(first)
    return _said(own) if not first.text or first.text in own.text else f"{_said(own)} ({reason})"


def _said(error: _Error) -> str:
    said = f"{error.name}: {error.text}" if error.text else error.name
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} …"


def _chain(error: BaseException) -> Iterator[_Error]:
    """From the outermost error to its first cause."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if _TRACEBACK in text:
            yield from _parsed(text)
        else:
            frames = traceback.extract_tb(seen.__traceback__)
            own = bool(frames) and _OWN_FILE.search(frames[-1].filename) is not None
            yield _Error(type(seen).__name__, _reason(text), own)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _parsed(text: str) -> Iterator[_Error]:
    """The chain in a printed traceback, which begins with the first cause."""
    # A worker's traceback may itself be the message of the error that another one printed.
    blocks = re.split("|".join(map(re.escape, (*_LINKS, _TRACEBACK))), text)
    for block in reversed([block for block in blocks if block.strip()]):
        files: list[str] = []
        message: list[str] = []
        for line in block.strip("\n").splitlines():
            if frame := _FRAME.match(line):
                files, message = [*files, frame[1]], []
            elif not line.startswith("    "):
                message.append(line)
        if not files:
            continue
        name, _, said = "\n".join(message).strip().partition(":")
        yield _Error(name.rpartition(".")[2], _reason(said), _OWN_FILE.search(files[-1]) is not None)


def _reason(text: str) -> str:
    """A message as one line, without what Beam and TensorFlow put around the reason."""
    text = re.sub(r"\s*\[while running .*?(?:\]|$)", "", text)
    text = re.sub(r"\{\{function_node [^}]*\}\}\s*", "", text)
    text = re.sub(r"\s*\[Op:\w+\].*", "", text, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not _TENSORFLOW_NOISE.match(line)]
    return " ".join(told or lines)
