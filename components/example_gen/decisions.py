"""What becomes of each record, decided over all of them at once: whether it may stay, and in which split.

The records are rows of a table here, some dozens of bytes each: names, numbers and digests, no photo.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.datasets.source import RawRecord
from components.example_gen import records, splits, summary
from schema import record
from schema.dataset_spec import DatasetSpec, Splits

_LOOKS = pa.schema(
    {
        "shard": pa.int32(),
        "position": pa.int32(),
        "file_name": pa.string(),
        "split": pa.int8(),  # of `record.SPLITS`; `train` where the source says nothing
        "class": pa.int32(),  # of the first label, -1 where it is unknown
        # Hashes of 64 bits: of a million names or photos two are mistaken for one with a chance of 3e-8.
        "name": pa.uint64(),
        "photo": pa.uint64(),
        "group": pa.uint64(),  # null where the record has none
    }
)


class Decision(NamedTuple):
    """What becomes of a record, where that is not what its source says."""

    position: int
    split: str
    refused: records.Refused | None


class Decided(NamedTuple):
    """What becomes of all records."""

    of_shards: dict[int, list[Decision]]
    counts: collections.Counter[summary.Key]
    """The records that were read, copies of photos within a split, and groups in several splits."""


def given_split(raw: RawRecord) -> str:
    """The split that a record's source gives it."""
    return raw.split or record.TRAIN


def looks(shard: int, raws: Iterable[tuple[int, RawRecord]], spec: DatasetSpec) -> bytes:
    """The rows of a shard's usable records, each with its position in the shard: an Arrow stream, compressed."""
    rows = pa.RecordBatch.from_pylist([_look(shard, position, raw, spec) for position, raw in raws], _LOOKS)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, _LOOKS, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write(rows)
    return stream.getvalue().to_pybytes()


def _look(shard: int, position: int, raw: RawRecord, spec: DatasetSpec) -> dict[str, Any]:
    return {
        "shard": shard,
        "position": position,
        "file_name": raw.file_name,
        "split": record.SPLITS.index(given_split(raw)),
        "class": raw.labels.get(spec.labels[0].name, -1) if spec.labels else -1,
        "name": splits.digest(raw.file_name.encode()),
        "photo": splits.digest(raw.image),
        "group": splits.digest(raw.group.encode("utf-8", "surrogateescape")) if raw.group else None,
    }


def decide(streams: Iterable[bytes], shares: Splits) -> Decided:
    """Decides over all records of a data set.

    Of the records with one name the first stays, one of the held-out splits before others. What the source puts into
    `eval` or `test` stays there; the rest is cut into the splits that the source lacks, class by class and no group
    divided. Of the copies of one photo only those in the split that is held out the most stay.

    Args:
        streams: of `looks`, in any order.
        shares: of the splits to make.
    """
    table = pa.Table.from_batches((batch for stream in streams for batch in pa.ipc.open_stream(stream)), _LOOKS)
    names, all_rows = table["file_name"], table.drop_columns("file_name").to_pandas(split_blocks=True)
    # Without a group, copies of a photo stay together.
    all_rows["group"] = pc.coalesce(table["group"], table["photo"]).to_numpy()
    refused: dict[int, records.Refused] = {}
    for row, first in _repeated(all_rows, "name"):
        split = record.SPLITS[all_rows.split[first]]
        refused[row] = records.Refused("file name", f"another record, in split {split}, has its file name")
    rows = all_rows.drop(index=list(refused))
    rows["split"] = _assigned(rows, shares)
    now = all_rows.split.copy()
    now.update(rows.split)
    counts = collections.Counter({(record.SPLITS[split], "read", ""): n for split, n in now.value_counts().items()})
    for row, first in _repeated(rows, "photo"):
        split, of = record.SPLITS[now[row]], record.SPLITS[now[first]]
        if split == of:
            counts[split, "duplicates", ""] += 1
        else:
            refused[row] = records.Refused(summary.DUPLICATE, f"its photo is that of {names[first]} in {of}")
    of_shards = collections.defaultdict(list)
    for row in sorted({*refused, *now.index[now != all_rows.split]}):
        decision = Decision(int(all_rows.position[row]), record.SPLITS[now[row]], refused.get(row))
        of_shards[int(all_rows.shard[row])].append(decision)
    stays = table["group"].is_valid().to_numpy() & ~all_rows.index.isin(list(refused))
    counts.update(_divided(all_rows.assign(split=now)[stays], names))
    return Decided(of_shards, counts)


def _divided(rows: pd.DataFrame, names: pa.ChunkedArray) -> dict[summary.Key, int]:
    """How many groups the source puts into several splits, and a key that names photos of each of the first."""
    pairs = rows[["group", "split"]].drop_duplicates()
    groups = pairs.group[pairs.duplicated("group")].unique()
    if not len(groups):
        return {}
    counts = {("", "divided_groups", ""): len(groups)}
    of_groups = rows[rows.group.isin(groups)].sort_values(["shard", "position"]).drop_duplicates(["group", "split"])
    for _, of_group in itertools.islice(of_groups.groupby("group", sort=False), summary.NAMED):
        photos = [f"{names[row]} in {record.SPLITS[split]}" for row, split in of_group.split.sort_values().items()]
        counts["", "divided_groups", " and ".join(photos)] = 1
    return counts


def _repeated(rows: pd.DataFrame, column: str) -> Iterator[tuple[int, int]]:
    """The rows whose value another row before them has, the most held out first, each with the first such row."""
    # `record.SPLITS` ends with what is held out the most.
    rows = rows[["split", column]].iloc[np.lexsort([rows.position, rows.shard, -rows.split])]
    first = rows.index.to_series().groupby(rows[column]).transform("first")
    repeated = first[rows.duplicated(column)]
    yield from zip(repeated.index.tolist(), repeated.tolist(), strict=True)


def _assigned(rows: pd.DataFrame, shares: Splits) -> pd.Series:
    """The split of each row: given ones stay, the rest is cut into those that are missing."""
    made, assigned = rows.split.copy(), rows.split
    missing = splits.to_make(frozenset(record.SPLITS[split] for split in assigned.unique()), shares)
    if not missing:
        return made
    classes = rows.value_counts(["group", "class"]).rename("examples").reset_index()
    # Of a group that has several classes the commonest counts.
    classes = classes.sort_values(["examples", "class"], ascending=[False, True]).drop_duplicates("group")
    pool = rows[rows.split == record.SPLITS.index(record.TRAIN)]
    units = pool.groupby("group").name.agg(["min", "size"])
    units["split"] = 0
    for _, of_class in units.groupby(classes.set_index("group")["class"].reindex(units.index)):
        cut = splits.assign([splits.Unit(*unit) for unit in of_class[["min", "size"]].itertuples(index=False)], missing)
        units.loc[of_class.index, "split"] = [record.SPLITS.index(split) for split in cut]
    made[pool.index] = pool.group.map(units.split).astype(made.dtype)
    return made
