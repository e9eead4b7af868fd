"""Two models on the same examples: how much better is one, and is it certain?

Models that see the same examples err on many of the same ones, so the difference of their figures is known far better
than either figure: only examples on which they differ speak. Classes are judged by the exact sign test, which for right
and wrong answers is McNemar's (McNemar 1947, https://doi.org/10.1007/BF02295996), and, for it knows no margin, by the
score test of paired shares (Tango 1998, see `_score`), which gives the interval, too; the mask's F1 by the paired
bootstrap over examples (Efron and Tibshirani, An Introduction to the Bootstrap, 1993). The bootstrap takes few examples
for all there are, so the mask's F1 must be worse by their permutation test (chapter 15), too: more than if each photo's
two answers were dealt out by a coin. Of many slices some look worse by chance; Holm's procedure (1979,
https://www.jstor.org/stable/4615733) keeps the chance of one false alarm among them at 5 %.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from components.comparison.results import SIGNIFICANT, Difference
from components.metrics.results import OVERALL

_RESAMPLES = 10_000
_SEED = 20
_CHUNK = 2**22
"""Weights of the bootstrap that are in memory at a time."""
_FEWEST = 6
"""With fewer examples, all of them worse has a chance of more than 5 % on two sides: nothing bounds the difference."""
_ROUNDING = 1e-12
"""The very photos that a difference was found on may have another one in the last digit, summed otherwise."""

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Answers:
    """One model's, of N examples."""

    right: Array | None
    """float [N]: whether the class is the true one, NaN where that is unknown; None without a class head."""
    pixels: Array | None
    """int64 [N, C, C]: confusion matrix of each example's pixels, background first; None without a mask head."""

    def of(self, members: Array | slice) -> Answers:
        """Those on some of the examples."""
        right, pixels = (None if one is None else one[members] for one in (self.right, self.pixels))
        return Answers(right, pixels)

    def accuracy(self) -> float | None:
        """Of the examples whose class is known, in [0, 1]; None without any or without a class head."""
        if self.right is None or np.isnan(self.right).all():
            return None
        return float(np.nanmean(self.right))

    def mask_f1(self) -> float | None:
        """Over all pixels that are known, in [0, 1]; None where none is truly foreground, or without a mask head."""
        if self.pixels is None or not self.pixels[:, 1:].any():
            return None
        return float(_f1(_counts(self.pixels).sum(axis=0)))


def compare(candidate: Answers, other: Answers, slices: Mapping[str, Array], margin: float) -> tuple[Difference, ...]:
    """Every figure of the heads on every slice.

    Args:
      candidate: The model in question.
      other: What it is held against, on the same examples in the same order.
      slices: Indices of each slice's examples by its name, `OVERALL` among them.
      margin: How much worse is still not worse, in [0, 1].

    Returns:
      Differences whose `p_worse` is corrected for their number: those of all examples by themselves, for they have the
      power to see little, and those of the slices.
    """
    resamples = max(_RESAMPLES, 40 * len(slices))  # or the correction would ask for more than resampling can tell
    found: list[Difference] = []
    for name, members in slices.items():
        if candidate.right is not None and other.right is not None:
            found += _share("accuracy", name, candidate.right[members], other.right[members], margin)
        if candidate.pixels is not None and other.pixels is not None:
            masks = candidate.pixels[members], other.pixels[members]
            if masks[0][:, 1:].any() and masks[1][:, 1:].any():
                found += _mask_f1(name, *masks, margin, resamples)
            else:  # Nothing to be found, so that only finding nothing is right.
                found += _share("share of empty masks", name, _found_empty(masks[0]), _found_empty(masks[1]), margin)
    overall = [difference for difference in found if difference.slice == OVERALL]
    return (*_corrected(overall), *_corrected([one for one in found if one.slice != OVERALL]))


def refusals(differences: Sequence[Difference], margin: float) -> tuple[str, ...]:
    """A sentence for each figure that is worse beyond the margin with 95 % confidence."""
    return tuple(
        f"{one.figure}{'' if one.slice == OVERALL else f' of {one.slice}'} is {one.candidate:.4f}, "
        f"{one.other - one.candidate:.4f} (95 %: {-one.upper:.4f} to {-one.lower:.4f}) below the serving model's "
        f"{one.other:.4f} on the same {one.examples:,} examples: at most {margin:g} is allowed"
        for one in differences
        if one.p_worse < SIGNIFICANT
    )


def _found_empty(pixels: Array) -> Array:
    """float [N]: whether no pixel is marked, NaN where none is known."""
    return np.where(pixels.any(axis=(1, 2)), ~pixels[:, :, 1:].any(axis=(1, 2)), np.nan)


def _share(figure: str, name: str, candidate: Array, other: Array, margin: float) -> Iterator[Difference]:
    """Of right answers, float [N], NaN where the truth is unknown."""
    known = ~(np.isnan(candidate) | np.isnan(other))
    examples = int(known.sum())
    if not examples:
        return
    candidate, other = candidate[known], other[known]
    won, lost = int((candidate > other).sum()), int((candidate < other).sum())
    # Who is worse by more than the margin is worse: of few examples the exact test says how much they can tell.
    at_all = stats.binomtest(lost, won + lost, alternative="greater").pvalue if won + lost else 1.0
    p_worse = max(float(at_all), float(stats.norm.cdf(_score(won, lost, examples, -margin))))
    lower, upper = _score_interval(won, lost, examples)
    yield Difference(figure, name, examples, float(candidate.mean()), float(other.mean()), lower, upper, p_worse)


def _score(won: int, lost: int, examples: int, difference: float) -> float:
    """Standard deviations by which the share won less the share lost lies above `difference`, were that the true one.

    Source: Tango 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
    """
    above = won - lost - examples * difference
    rest = difference * (1 - difference)
    b = (2 * examples - won + lost) * difference - won - lost
    share_lost = (math.sqrt(b * b + 8 * examples * lost * rest) - b) / (4 * examples)  # the likeliest
    variance = examples * (2 * share_lost + rest)
    return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above) if above else 0.0


def _score_interval(won: int, lost: int, examples: int) -> tuple[float, float]:
    """The differences that this score does not reject at 5 %."""
    found, far = (won - lost) / examples, float(stats.norm.ppf(1 - SIGNIFICANT / 2))

    def bound(end: float, score: float) -> float:
        def beyond(difference: float) -> float:
            return _score(won, lost, examples, difference) - score

        nearly = end * (1 - 1e-9)  # at 1 the variance is 0
        return end if beyond(found) * beyond(nearly) > 0 else float(optimize.brentq(beyond, found, nearly))

    return bound(-1.0, far), bound(1.0, -far)


def _mask_f1(name: str, candidate: Array, other: Array, margin: float, resamples: int) -> Iterator[Difference]:
    known = candidate.any(axis=(1, 2)) & other.any(axis=(1, 2))
    examples = int(known.sum())
    if not examples:
        return
    # Masks may be of two sizes; an F1 has none, but a photo that changes sides must weigh the same on both.
    counts = _counts(candidate[known]), _counts(other[known]) * (candidate[known].sum() / other[known].sum())
    mine, others = (float(_f1(of_model.sum(axis=0))) for of_model in counts)
    resampled = _resampled(counts, resamples)
    lower, upper = np.quantile(resampled, [SIGNIFICANT / 2, 1 - SIGNIFICANT / 2])
    if examples < _FEWEST:
        lower, upper = -1.0, 1.0
    # Few photos that are all worse are so in every resample, too. What they can tell is what swapping them tells.
    within, as_bad = resampled >= -margin, _swapped(counts, resamples) <= mine - others + _ROUNDING
    p_worse = max((np.count_nonzero(found) + 1) / (resamples + 1) for found in (within, as_bad))
    yield Difference("mask F1", name, examples, mine, others, float(lower), float(upper), p_worse)


def _resampled(counts: tuple[Array, Array], resamples: int) -> Array:
    """float64 [resamples]: the difference of both models' F1 on examples drawn with replacement."""
    rng = np.random.default_rng(_SEED)
    examples = len(counts[0])
    differences = []
    for size in _chunks(resamples, examples):
        weights = _times_drawn(rng, size, examples)
        mine, others = (_f1(np.tensordot(weights, of_model, axes=1)) for of_model in counts)
        differences.append(mine - others)
    return np.concatenate(differences)


def _swapped(counts: tuple[Array, Array], resamples: int) -> Array:
    """float64 [resamples]: the same difference where each example's answers change sides or not, by a coin."""
    rng = np.random.default_rng(_SEED)
    both = (counts[0] + counts[1]).sum(axis=0)
    differences = []
    for size in _chunks(resamples, len(counts[0])):
        stays = rng.integers(2, size=(size, len(counts[0]))).astype(np.float64)
        mine = counts[1].sum(axis=0) + np.tensordot(stays, counts[0] - counts[1], axes=1)
        differences.append(_f1(mine) - _f1(both - mine))
    return np.concatenate(differences)


def _chunks(resamples: int, examples: int) -> Iterator[int]:
    """Sizes of parts whose weights fit into memory."""
    most = max(_CHUNK // examples, 1)
    yield from (min(most, resamples - start) for start in range(0, resamples, most))


def _times_drawn(rng: np.random.Generator, resamples: int, examples: int) -> Array:
    """float64 [resamples, examples]: how often each example is in each resample."""
    drawn = rng.integers(examples, size=(resamples, examples)) + examples * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * examples).reshape(drawn.shape).astype(np.float64)


def _counts(pixels: Array) -> Array:
    """float64 [N, 2, K]: of each foreground class 2 TP and 2 TP + FP + FN, all that its F1 needs."""
    hits = 2 * np.diagonal(pixels, axis1=1, axis2=2)
    marked = pixels.sum(axis=1) + pixels.sum(axis=2)
    return np.stack([hits, marked], axis=1)[..., 1:].astype(np.float64)


def _f1(counts: Array) -> Array:
    """[..., 2, K] -> [...]: the mean of the classes that occur, as `segmentation.PixelF1`."""
    hits, marked = counts[..., 0, :], counts[..., 1, :]
    of_classes = np.divide(hits, marked, out=np.zeros_like(hits), where=marked > 0)
    return np.asarray(of_classes.sum(axis=-1) / np.maximum((marked > 0).sum(axis=-1), 1))


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    """With Holm's p-values, in the same order."""
    order = sorted(range(len(differences)), key=lambda index: differences[index].p_worse)
    corrected, largest = list(differences), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * differences[index].p_worse))
        corrected[index] = dataclasses.replace(differences[index], p_worse=largest)
    return corrected
