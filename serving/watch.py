"""Are photos of today like those that the model was judged on? `python -m serving.watch PHOTOS… [--model DIR]`.

A version carries what its model said of photos of split test (`assets.extra/reference.json`): how much each is like the
training's photos, how sure the model was of its class, how much of the picture the mask covered. The same is asked of
the photos given, and the two-sample test of Kolmogorov and Smirnov says whether they can be of one distribution: all of
them, and window by window in the order of their files' times. Bonferroni's correction for the number of tests keeps the
chance of a false alarm below `--alpha`. No truth is needed, so what is seen is that the photos changed, not that the
answers are wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from serving.models import Answer, Description

REFERENCE_FILE = os.path.join("assets.extra", "reference.json")
"""In a version: lists of numbers by measure."""

MEASURES = {
    "known": "likeness to the training's photos",
    "confidence": "probability of the named class",
    "mask_area": "share of the picture in the mask",
}

FEWEST = 20
"""With fewer photos no difference but the largest would show."""

UNREAD = 0.1
"""Share of the photos that may be unreadable; of more, nothing is said by those that can be read."""


class Seen(NamedTuple):
    """What a model says of one photo."""

    path: str
    time: float
    """Of the file's last change, in seconds since 1970."""
    figures: Mapping[str, float]
    """By measure, in [0, 1]."""


class Difference(NamedTuple):
    """One measure on some of the photos, against the reference."""

    measure: str
    reference: float
    """Median."""
    found: float
    """Median."""
    p: float
    """Chance of such a difference if nothing had changed, corrected for the number of tests."""


class Seeing:
    """Takes answers in the place of `results.Writer`, and keeps what is compared."""

    def __init__(self, description: Description) -> None:
        self._several_classes = len(description.mask_classes) > 1
        self.photos: list[Seen] = []

    def write(self, path: str, _data: bytes, answer: Answer) -> Answer:
        if not answer.error:
            try:
                time = os.stat(path).st_mtime
            except OSError as error:
                return answer._replace(error=f"the file is gone since it was read: {error.strerror}")
            figures = {"known": answer.known}
            if answer.scores:
                figures["confidence"] = answer.scores[0]
            if answer.mask_png:
                figures["mask_area"] = _area(answer.mask_png, self._several_classes)
            self.photos.append(Seen(path, time, figures))
        return answer


def _area(mask_png: bytes, several_classes: bool) -> float:
    """The share of its pixels that are foreground."""
    import numpy as np
    from PIL import Image

    levels = np.asarray(Image.open(io.BytesIO(mask_png)))
    return float((levels > (0 if several_classes else 127)).mean())


def windows(photos: Sequence[Seen], size: int) -> list[list[Seen]]:
    """The photos in the order of their times, `size` at a time; what is left over joins the last window."""
    ordered = sorted(photos, key=lambda photo: (photo.time, photo.path))
    count = max(1, len(ordered) // size)
    return [ordered[k * size : None if k == count - 1 else (k + 1) * size] for k in range(count)]


def differences(reference: Mapping[str, Sequence[float]], groups: Sequence[Sequence[Seen]]) -> list[list[Difference]]:
    """Each measure of each group against the reference, corrected for the number of all of them."""
    import numpy as np
    from scipy import stats

    measures = [name for name in MEASURES if reference.get(name)]
    tests = len(measures) * len(groups)

    def difference(name: str, group: Sequence[Seen]) -> Difference:
        # As the reference is: a model that is sure is so of 0.9999x, which must be no other number here than there.
        found = [round(photo.figures[name], 4) for photo in group]
        p = stats.ks_2samp(reference[name], found).pvalue
        return Difference(name, float(np.median(reference[name])), float(np.median(found)), min(1.0, tests * float(p)))

    return [[difference(name, group) for name in measures] for group in groups]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if the photos are like the reference, 1 if not, 2 if nothing could be said, 130 if interrupted."""
    flags = _flags(arguments)
    # A file's name need not be text.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        lines, differ = watch(flags.photos, flags.model, flags.window, flags.alpha)
    except (ValueError, OSError) as error:
        print(f"watch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("watch: interrupted", file=sys.stderr)
        return 130
    print("\n".join(lines))
    return 1 if differ else 0


def watch(patterns: Sequence[str], version: str | None, window: int, alpha: float) -> tuple[list[str], bool]:
    """What there is to say of the photos, in lines, and whether they differ from the reference.

    Args:
        patterns: files, folders and patterns.
        version: a version's folder; None: the newest in runs/*/serving.
        window: photos of a window.
        alpha: chance of a false alarm.

    Raises:
        ValueError: there are too few photos, too many cannot be read, or the version has no reference.
    """
    from serving import listing, models, predict

    folder = models.find(version)
    model = models.open_model(folder)
    reference = read_reference(folder)
    seeing = Seeing(model.description)
    outcome = predict.predict(model, listing.photos(patterns), seeing)
    unread = f"could not be read: {outcome.errors:,}, such as {outcome.first_errors[0]}" if outcome.errors else ""
    if len(seeing.photos) < FEWEST:
        few = f"{len(seeing.photos)} photos could be read: give {FEWEST} or more, or chance decides"
        raise ValueError("; ".join(filter(None, (few, unread))))
    groups = [seeing.photos, *windows(seeing.photos, window)]
    overall, *by_window = differences(reference, groups)
    first, last = groups[1][0], groups[-1][-1]
    lines = [
        f"{len(seeing.photos):,} photos of {_time(first)} to {_time(last)}, against {len(reference['known']):,} "
        f"test photos of {folder}"
    ]
    lines += [
        f"    {MEASURES[one.measure]:34s} median {one.found:.3f}, was {one.reference:.3f}, p = {one.p:.2g}"
        for one in overall
    ]
    if unread:
        lines.append(f"    {unread}")
    for group, found in [*zip(groups[1:], by_window, strict=True), (groups[1], overall)]:
        changed = [one for one in found if one.p < alpha]
        if changed:
            words = ", ".join(f"{MEASURES[one.measure]} {one.found:.3f}, was {one.reference:.3f}" for one in changed)
            return [*lines, f"They differ since {_time(group[0])} ({group[0].path}): {words}"], True
    if outcome.errors > UNREAD * outcome.photos:
        raise ValueError(
            f"{len(seeing.photos):,} of {outcome.photos:,} photos are like the test photos, but more than {UNREAD:.0%} "
            + unread
        )
    return [*lines, "They are like the test photos."], False


def read_reference(folder: str) -> dict[str, list[float]]:
    """What the model of a version said of test photos.

    Raises:
        ValueError: the version has none.
    """
    path = os.path.join(folder, REFERENCE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: give a version that this pipeline pushed ({error})") from error
    kept = {name: found[name] for name in MEASURES if name in found} if isinstance(found, dict) else {}
    lists = [values if isinstance(values, list) else [None] for values in kept.values()]
    if not kept.get("known") or not all(isinstance(value, int | float) for values in lists for value in values):
        raise ValueError(f"{path} has no lists of numbers of test photos: give a version that this pipeline pushed")
    return kept


def _time(photo: Seen) -> str:
    try:
        return datetime.datetime.fromtimestamp(photo.time).isoformat(" ", "minutes")
    except (OSError, OverflowError, ValueError):  # of a year that no calendar has
        return f"{photo.time:.0f} s after 1970"


def _flags(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m serving.watch",
        description="Says whether photos are like those that a pushed model was judged on, and since when not.",
        epilog="Status: 0 they are, 1 they differ, 2 nothing could be said: fewer than "
        f"{FEWEST} of them, or less than {1 - UNREAD:.0%}, can be read, or the version has no reference.",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders (to the bottom) and patterns")
    parser.add_argument(
        "--model",
        metavar="DIR",
        help="a version's folder, or one of versions, of which the newest; left out: in runs/*/serving",
    )
    parser.add_argument(
        "--window", type=_count, default=100, metavar="N", help="photos that are compared together (100)"
    )
    parser.add_argument("--alpha", type=_share, default=0.01, help="chance of a false alarm (0.01)")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) >= FEWEST):
        raise argparse.ArgumentTypeError(f"{text}: give {FEWEST} or more")
    return int(text)


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < 1:
            return number
    raise argparse.ArgumentTypeError(f"{text}: give a number between 0 and 1")


if __name__ == "__main__":
    sys.exit(main())
