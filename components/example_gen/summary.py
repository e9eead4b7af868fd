"""What ingestion counted: `summary.json` beside the splits, the lines on the console, and when a run must stop.

    {"dataset": "oxford_iiit_pet",
     "splits": {"train": {"read": 3313, "examples": 3312, "labels": {"kind": {"crack": 90, ...}, ...},
                          "sizes": {"small": 1200, ...}, "without_mask": 0, "empty_masks": 0, "between_pixels": 0,
                          "masks_with_specks": 310, "speck_pixels": {"defect": 5210}, "repaired": {"orientation": 4},
                          "quarantined": {"photo": 1}, "left_out": 0, "duplicates": 2,
                          "missing_classes": {"kind": []}}, ...},
     "left_out_unmatched": ["train/beagle_8.jpg"],
     "divided_groups": {"count": 1, "such_as": ["beagle_1.jpg in train and beagle_2.jpg in test"]}}

`read` is `examples`, all of `quarantined`, and `left_out`: what `--data.leave-out` names. What its file names and no
record of that split has is `left_out_unmatched`. `duplicates` are copies of photos within the split, beyond the first.
`divided_groups` are those that the data itself puts into several splits.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tfx.dsl.io import fileio

from components.example_gen import quarantine, records
from schema import record
from schema.dataset_spec import DatasetSpec

SUMMARY_FILE = "summary.json"

DUPLICATE = "duplicate"
"""What a copy in another split is quarantined as: nothing is wrong with it, so it counts for no share."""

Key = tuple[str, str, str]
"""Split, what is counted, and which of it; empty are the first where it is of all splits, the last of one number."""

_progress = logging.getLogger("progress")
NAMED = 5
"""So many examples of something a message names."""
_NUMBERS = ("read", "examples", "without_mask", "empty_masks", "between_pixels", "masks_with_specks", "duplicates")
_GROUPS = ("sizes", "speck_pixels", "repaired", "quarantined")


def of_accepted(split: str, accepted: records.Accepted) -> Iterator[tuple[Key, int]]:
    """What one written example adds."""
    yield (split, "examples", ""), 1
    for label, name in accepted.labels.items():
        yield (split, f"label {label}", name), 1
    for repair in accepted.photo.repairs:
        yield (split, "repaired", repair), 1
    mask = accepted.mask
    if mask is None:
        return
    if not mask.known:
        yield (split, "without_mask", ""), 1
        return
    if mask.turned:
        yield (split, "repaired", "mask turned"), 1
    yield (split, "sizes", record.size_of(mask.share)), 1
    yield (split, "empty_masks", ""), int(mask.share == 0)
    yield (split, "between_pixels", ""), mask.between_pixels
    yield (split, "masks_with_specks", ""), int(bool(mask.speck_pixels))
    for name, pixels in mask.speck_pixels.items():
        yield (split, "speck_pixels", name), pixels


def collect(
    counts: Mapping[Key, int], spec: DatasetSpec, leave_out: Collection[tuple[str, str]] = ()
) -> dict[str, Any]:
    """The content of `summary.json`.

    Args:
        counts: what was counted.
        spec: of the data.
        leave_out: split and file name of the records to leave out.
    """
    splits: dict[str, dict[str, Any]] = {}
    unmatched: list[str] = []
    for split in record.SPLITS:
        made: dict[str, Any] = {name: counts.get((split, name, ""), 0) for name in _NUMBERS}
        made |= {name: _which(counts, split, name) for name in _GROUPS}
        made["labels"] = {label.name: _which(counts, split, f"label {label.name}") for label in spec.labels}
        made["missing_classes"] = {
            label.name: [name for name in label.classes if name not in made["labels"][label.name]]
            for label in spec.labels
        }
        left_out = _which(counts, split, "left_out")
        made["left_out"] = sum(left_out.values())
        unmatched += [f"{split}/{name}" for of, name in sorted(leave_out) if of == split and name not in left_out]
        splits[split] = made
    divided = _which(counts, "", "divided_groups")
    return {
        "dataset": spec.name,
        "splits": splits,
        "left_out_unmatched": unmatched,
        "divided_groups": {"count": divided.pop("", 0), "such_as": [*divided]},
    }


def _which(counts: Mapping[Key, int], split: str, what: str) -> dict[str, int]:
    return {key[2]: count for key, count in sorted(counts.items()) if key[:2] == (split, what) and count}


def write(summary: Mapping[str, Any], uri: str) -> None:
    with fileio.open(os.path.join(uri, SUMMARY_FILE), "w") as file:
        file.write(json.dumps(summary, indent=1, ensure_ascii=False))


def read(uri: str) -> dict[str, Any]:
    """The summary beside the examples in `uri`."""
    with fileio.open(os.path.join(uri, SUMMARY_FILE)) as file:
        return json.loads(file.read())


def of_report(uri: str) -> dict[str, Any]:
    """What `components.comparison.results.DataSummary` says of ingestion, by its fields; empty if it is unknown."""
    if not fileio.exists(os.path.join(uri, SUMMARY_FILE)):
        return {}
    made = read(uri)
    shown = {"quarantine": "quarantined", "repaired": "repaired", "duplicates": "duplicates", "left_out": "left_out"}
    shown |= {name: name for name in ("without_mask", "between_pixels", "speck_pixels")}
    of_splits = {name: {split: of[counted] for split, of in made["splits"].items()} for name, counted in shown.items()}
    unmatched, divided = tuple(made["left_out_unmatched"]), made["divided_groups"]["count"]
    return {**of_splits, "left_out_unmatched": unmatched, "divided_groups": divided}


def tell(summary: Mapping[str, Any], quarantine_uri: str) -> None:
    """Says on the console what was made, mended and put aside."""
    splits = summary["splits"]
    _progress.info("%s: %s", summary["dataset"], _per_split(splits, lambda of: f"{of['examples']:,}"))
    for what, sentence in (("repaired", "mended"), ("quarantined", "not used")):
        if any(of[what] for of in splits.values()):
            where = f"; see {os.path.join(quarantine_uri, quarantine.RECORDS_FILE)}" if what == "quarantined" else ""
            _progress.info("%s: %s%s", sentence, _per_split(splits, lambda of, what=what: _listed(of[what])), where)
    if any(of["left_out"] for of in splits.values()):
        _progress.info("left out (data.leave_out): %s", _per_split(splits, lambda of: of["left_out"] or ""))
    if unmatched := summary["left_out_unmatched"]:
        more = f" and {len(unmatched) - NAMED} more" if len(unmatched) > NAMED else ""
        _progress.warning("data.leave_out names what no split holds: %s%s", ", ".join(unmatched[:NAMED]), more)
    if count := summary["divided_groups"]["count"]:
        _progress.warning(
            "the data puts %d group%s into several splits, such as %s: figures flatter; give each group one split",
            *(count, "" if count == 1 else "s", "; ".join(summary["divided_groups"]["such_as"])),
        )
    if any(of["duplicates"] for of in splits.values()):
        _progress.info("the same photo again: %s", _per_split(splits, lambda of: of["duplicates"] or ""))
    for split, of in splits.items():
        for label, missing in of["missing_classes"].items():
            if missing and of["examples"]:
                more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
                _progress.info("no example in %s: %s %s%s", split, label, ", ".join(missing[:NAMED]), more)


def _per_split(splits: Mapping[str, Any], text: Any) -> str:
    return ", ".join(f"{split} {said}" for split, of in splits.items() if (said := text(of)))


def _listed(counts: Mapping[str, int]) -> str:
    return (
        f"{sum(counts.values())} ({', '.join(f'{what} {count}' for what, count in counts.items())})" if counts else ""
    )


def check(
    summary: Mapping[str, Any], rows: Sequence[quarantine.Row], max_quarantined: float, quarantine_uri: str
) -> None:
    """Stops the run where it must be.

    Args:
        summary: as `collect` makes it.
        rows: of the quarantine.
        max_quarantined: the largest share of a split's records that may be in quarantine, copies of photos aside; one
            record may be unless it is 0.
        quarantine_uri: where the quarantine lies.

    Raises:
        ValueError: a split has more in quarantine, or no example.
        RuntimeError: records were lost on the way.
    """
    for split, of in summary["splits"].items():
        quarantined = sum(of["quarantined"].values())
        if of["read"] != of["examples"] + quarantined + of["left_out"]:
            raise RuntimeError(
                f"{of['read']} records of split {split} were read, but {of['examples']} written, {quarantined} "
                f"quarantined and {of['left_out']} left out: the data changed meanwhile; run again"
            )
        bad = quarantined - of["quarantined"].get(DUPLICATE, 0)
        allowed = max(1, int(max_quarantined * of["read"])) if max_quarantined else 0
        if bad > allowed:
            named = [row for row in rows if row["split"] == split and row["what"] != DUPLICATE][:NAMED]
            raise ValueError(
                f"{bad} of the {of['read']} records of split {split} cannot be used, more than max_quarantined "
                f"{max_quarantined:g} allows; mend them or raise it. {quarantine_uri} holds them all, first of them "
                + "; ".join(f"{row['file_name']} in {row['shard']}: {row['reason']}" for row in named)
            )
    empty = [split for split, of in summary["splits"].items() if not of["examples"]]
    if empty:
        raise ValueError(
            f"{summary['dataset']} leaves split {empty[0]} empty: the data gives none, and its share in the data set's "
            "description (splits) is 0 or there are too few examples of each class"
        )
