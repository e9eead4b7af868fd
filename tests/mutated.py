"""Photos as an attacker, a broken disk or a bad connection makes them: mutated, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def mutated(seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """`count` photos, each one of `seeds` with one or two changes."""
    generator = np.random.default_rng(0)
    for _ in range(count):
        photo = bytearray(seeds[int(generator.integers(len(seeds)))])
        for _ in range(generator.integers(1, 3)):
            _MUTATIONS[generator.integers(len(_MUTATIONS))](photo, generator, seeds)
        yield bytes(photo)


def _position(photo: bytearray, generator: np.random.Generator) -> int:
    """Half of the time in the header, where a change weighs most."""
    end = min(len(photo), 64) if generator.random() < 0.5 else len(photo)
    return int(generator.integers(max(end, 1)))


def _set_bytes(photo: bytearray, generator: np.random.Generator, seeds: Sequence[bytes]) -> None:
    for _ in range(generator.integers(1, 4)):
        if photo:
            photo[_position(photo, generator)] = generator.integers(256)


def _set_number(photo: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """A length or a size at the edge of what fits."""
    at, width = _position(photo, generator), int(generator.choice([1, 2, 4]))
    value = int(generator.choice([0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1]))
    order = "little" if generator.random() < 0.5 else "big"
    photo[at : at + width] = value.to_bytes(width, order)  # type: ignore[arg-type]


def _cut(photo: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    del photo[_position(photo, generator) :]


def _leave_out(photo: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    at = _position(photo, generator)
    del photo[at : at + int(generator.integers(1, 200))]


def _repeat(photo: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    at = _position(photo, generator)
    photo[at:at] = photo[at : at + int(generator.integers(1, 200))] * int(generator.integers(1, 20))


def _splice(photo: bytearray, generator: np.random.Generator, seeds: Sequence[bytes]) -> None:
    """Goes on as another photo, perhaps of another format."""
    other = seeds[int(generator.integers(len(seeds)))]
    photo[_position(photo, generator) :] = other[_position(bytearray(other), generator) :]


_MUTATIONS = (_set_bytes, _set_number, _cut, _leave_out, _repeat, _splice)
