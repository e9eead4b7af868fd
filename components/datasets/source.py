"""The seam between a data set and the ExampleGens: what a source of records says of itself. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from schema.dataset_spec import DatasetSpec


class RawRecord(NamedTuple):
    """One example as its source holds it, nothing decoded, repaired or judged yet."""

    file_name: str
    """Unique in the data set; for a folder the path below it, with forward slashes."""
    image: bytes
    """The encoded photo, in any format."""
    mask: bytes | None
    """The encoded mask with the values of the spec's `Mask`; None where there is none."""
    labels: Mapping[str, int]
    """Index of the class, by label; one that the source does not know is missing, and so may be coarser labels."""
    split: str = ""
    """`train`, `eval` or `test` where the source gives it; empty: a hash decides."""
    group: str = ""
    """Examples of one group never stand in two splits; empty: it stands for itself."""
    fault: str = ""
    """What makes the record unusable already, in a sentence's end: it goes to quarantine."""


class Source(Protocol):
    """A data set. Objects are small and can be pickled: Beam's workers read shards by them."""

    def spec(self) -> DatasetSpec:
        """What labels, masks and slices are called; cheap, since runners ask while they build the pipeline.

        Raises:
            ValueError: the data cannot be found or contradicts itself; what was found instead, and what to do.
        """

    def key(self) -> str:
        """Changes whenever a record would: the cache key of everything made of the data. Content decides, not place.

        Raises:
            ValueError: as `spec`.
        """

    def prepare(self) -> None:
        """Makes the data readable where it is not: downloads, unpacks, draws; tells the logger `progress`.

        Raises:
            RuntimeError: it cannot; the message lists the ways to provide the data.
        """

    def shards(self) -> Iterator[Any]:
        """Parts of the data that workers read one by one, in a fixed order: small, pickled, listed lazily."""

    def read(self, shard: Any) -> Iterator[RawRecord]:
        """The records of one shard, in a fixed order, as a stream.

        Raises:
            ValueError: the shard itself is damaged (cut, emptied, a broken checksum); the message names it.
        """
