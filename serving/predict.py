"""Answers photos by a pushed model: `python -m serving.predict PHOTOS… [--model DIR] --out DIR`, see `--help`."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from serving.models import Answer, Model
    from serving.reading import Photo
    from serving.results import Writer

BATCH = 32
"""Photos that the model answers at a time; more are no faster."""

_BEHIND = 2
"""Batches that may wait to be written."""
_SHOWN_ERRORS = 5


class Sink(Protocol):
    """Takes answers, as `results.Writer` does."""

    def write(self, path: str, data: bytes, answer: Answer, /) -> Answer:
        """Takes one photo's; returns it, with an `error` where it could not."""


@dataclasses.dataclass
class Outcome:
    """What became of the photos."""

    photos: int = 0
    errors: int = 0
    """Photos without an answer, or without an overlay that was asked for."""
    first_errors: list[str] = dataclasses.field(default_factory=list)

    def add(self, results: Iterable[tuple[str, Answer]]) -> None:
        for path, answer in results:
            self.photos += 1
            self.errors += bool(answer.error)
            if answer.error and self.errors <= _SHOWN_ERRORS:
                self.first_errors.append(f"{path}: {answer.error}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every photo was answered, 1 if some were not, 2 if nothing was done, 130 if interrupted."""
    flags = _flags(arguments)
    writing: Writer | None = None
    try:
        # After the flags: --help should not wait for TensorFlow.
        from rich.console import Console

        from serving import listing, models, results

        console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
        files = listing.count(flags.photos, outside=flags.out)
        if not files.photos:
            raise ValueError(f"there is no photo in {' '.join(flags.photos)}")
        path = models.find(flags.model)
        console.print(f"Model    {path}")
        model = models.open_model(path)
        root = listing.root(flags.photos)
        writing = results.Writer(flags.out, model.description, root, flags.overlays)
        with writing as writer:
            photos = _shown(console, listing.photos(flags.photos, outside=flags.out), files.photos)
            outcome = predict(model, photos, writer)
    except (ValueError, OSError, KeyboardInterrupt) as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        begun = writing is not None and writing.rows > 0
        where = f"; what was answered before stands in {flags.out}" if begun else ""
        print(f"predict: {'interrupted' if interrupted else error}{where}", file=sys.stderr)
        return 130 if interrupted else 1 if begun else 2
    console.print(f"Answered {outcome.photos - outcome.errors:,} of {outcome.photos:,} photos in {flags.out}")
    if files.others:
        console.print(f"Passed over, for their names are no photos': {files.others:,}")
    for line in outcome.first_errors:
        console.print(f"    {line}")
    if outcome.errors > _SHOWN_ERRORS:
        console.print(f"    … and {outcome.errors - _SHOWN_ERRORS:,} more: column `error` of {results.CSV_FILE}")
    return 1 if outcome.errors else 0


def predict(model: Model, paths: Iterable[str], writer: Sink, batch_size: int = BATCH) -> Outcome:
    """Answers photos in their order; reading goes ahead of the model and writing behind it, in threads of their own.

    Args:
        model: of `serving.models`.
        paths: of the photos, drawn from as they are needed.
        writer: takes the answers.
        batch_size: photos at a time.

    Raises:
        OSError: nothing can be written any more.
    """
    from serving import reading

    outcome = Outcome()
    with _interrupts() as heed, concurrent.futures.ThreadPoolExecutor(1) as thread:
        waiting: collections.deque[concurrent.futures.Future[list[tuple[str, Answer]]]] = collections.deque()
        for batch in reading.batches(paths, model.prepare, batch_size):
            heed()
            waiting.append(thread.submit(_write, writer, batch, _answers(model, batch)))
            if len(waiting) > _BEHIND:
                outcome.add(waiting.popleft().result())
        for written in waiting:
            outcome.add(written.result())
    return outcome


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises KeyboardInterrupt as ever; the function that is given raises it again where it was lost.

    Python drops one that meets a callback of a library or of its own garbage collector. It interrupts the main thread
    alone: in another one there is nothing to heed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    asked = False

    def interrupted(_number: int, _frame: object) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def heed() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield heed
    finally:
        signal.signal(signal.SIGINT, before)


def _write(writer: Sink, batch: Sequence[Photo], answers: Sequence[Answer]) -> list[tuple[str, Answer]]:
    pairs = zip(batch, answers, strict=True)
    return [(photo.path, writer.write(photo.path, photo.data, answer)) for photo, answer in pairs]


def _answers(model: Model, batch: Sequence[Photo]) -> list[Answer]:
    """An answer for each photo of a batch, of which the model sees those that were read."""
    from serving.models import Answer

    prepared = [photo.prepared for photo in batch if not photo.error]
    found = iter(model.answer(prepared) if prepared else [])
    return [Answer(photo.error) if photo.error else next(found) for photo in batch]


def _shown(console: Console, paths: Iterable[str], total: int) -> Iterator[str]:
    """The paths, with a progress bar that moves as they are drawn."""
    from rich import progress

    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("photos"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield from bar.track(paths, total=total)


def _flags(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m serving.predict", description="Answers photos by a model that the pipeline pushed."
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTOS", help="files, folders (to the bottom) and patterns such as '*/*.jpg'"
    )
    parser.add_argument(
        "--model",
        metavar="DIR",
        help="a version's folder, or a .tflite with its model.json beside it; left out: the newest in runs/*/serving",
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="where predictions.csv, predictions.jsonl and masks/ go"
    )
    parser.add_argument(
        "--overlays", action="store_true", help="also draw the masks over the photos, which takes its time"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
