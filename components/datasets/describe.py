"""What `describe.py` prints of a data set, and the files it writes for the user to correct."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.datasets import duplicates, mask_values
from components.datasets.survey import Photo, Survey, median_size
from components.example_gen.splits import to_make
from schema.dataset_spec import DatasetSpec, Label, Mask

_SPLITS = ("train", "eval", "test", "")
_FEW = 5
_MOST_ROWS = 40
_EXAMPLES = 4
_LOPSIDED = 10
"""The commonest class has so many times the photos of the rarest: worth a word."""


@dataclasses.dataclass(frozen=True)
class Copies:
    """Photos that are there more than once, as groups of indices into the usable ones."""

    exact: list[list[int]]
    near: list[list[int]]
    """Those that are exact among them."""

    @classmethod
    def of(cls, photos: Sequence[Photo]) -> Copies:
        return cls(
            duplicates.exact([photo.digest for photo in photos]),
            duplicates.near([photo.look for photo in photos], [photo.size[0] / photo.size[1] for photo in photos]),
        )


def corrected(spec: DatasetSpec, survey: Survey) -> DatasetSpec:
    """A derived description whose mask follows from all masks, not from a sample of them."""
    if spec.mask is None or not survey.values.pixels:
        return spec
    return dataclasses.replace(spec, mask=mask_values.derive(survey.values, spec.mask.optional))


def check(spec: DatasetSpec, survey: Survey) -> None:
    """Looks whether there is anything to tell of.

    Raises:
        ValueError: nothing can be learned from the records; the message says why.
    """
    photos = survey.usable()
    if not photos:
        raise ValueError(f"none of the {_count(len(survey.photos), 'photo')} can be used: {_faults(survey.photos)}")
    drawn = spec.mask and any(photo.mask and mask_values.foreground_pixels(photo.mask, spec.mask) for photo in photos)
    if spec.mask and survey.objects and not drawn:
        raise ValueError(
            f"none of {_count(survey.objects, 'annotation')} has a pixel of {_names(spec.mask.classes)}: look whether "
            "they have outlines (segmentation) in photos that can be used, and whether they are crowds (iscrowd)"
        )


def tell(console: Console, place: str, spec: DatasetSpec, file: str, survey: Survey, copies: Copies) -> None:
    """Prints everything but what to do next, of data in a place and its description in a file."""
    photos = survey.usable()
    splits = [split for split in _SPLITS if any(photo.split == split for photo in photos)]
    console.print(Text(f"{spec.title}: {_count(len(survey.photos), 'photo')} in {place}", style="bold"), soft_wrap=True)
    console.print(_kinds(spec, splits))
    for label in spec.labels:
        console.print(_classes(spec, label.name, photos, splits))
    console.print(_pictures(photos))
    if spec.mask:
        console.print(_masks(spec.mask, survey.values, photos))
    for line in _findings(spec, file, survey, photos, copies, splits):
        console.print(Text("! ", style="yellow").append(line, style="default"))


def _kinds(spec: DatasetSpec, splits: Sequence[str]) -> Text:
    heads = {
        "both": "a class and a mask: task both",
        "classification": "a class and no mask: task classification",
        "segmentation": "a mask and no class: task segmentation",
    }
    given = ", ".join(split for split in splits if split)
    made = ", ".join(f"{name} {share:.0%}" for name, share in sorted(_to_make(spec, splits).items()))
    rule = f"{f'Splits given: {given}' if given else 'No splits given'}{f': a hash will hold out {made}' * bool(made)}."
    return Text(f"Each has {heads[spec.task]}. {rule}\n")


def _classes(spec: DatasetSpec, name: str, photos: Sequence[Photo], splits: Sequence[str]) -> Table:
    """Photos of each class of a label, by split, and what of them is foreground."""
    label = spec.label(name)
    table = Table(
        title=Text(f"{name}: {_count(len(label.classes), 'class')}"), box=rich.box.SIMPLE, title_justify="left"
    )
    table.add_column("class", overflow="fold", max_width=44)
    for split in splits:
        table.add_column(split or "photos", justify="right")
    table.add_column("share", justify="right")
    if spec.mask:
        table.add_column("of it masked", justify="right")
    members: dict[int, list[Photo]] = collections.defaultdict(list)
    for photo in photos:
        index = _class_of(photo, label)
        members[-1 if index is None else index].append(photo)
    order = sorted(range(len(label.classes)), key=lambda index: (-len(members[index]), label.classes[index]))
    shown = order if len(order) <= _MOST_ROWS else [*order[: _MOST_ROWS // 2], *order[-_MOST_ROWS // 2 :]]
    for place, index in enumerate([*shown, *([-1] if members[-1] else [])]):
        if len(shown) < len(order) and place == _MOST_ROWS // 2:
            table.add_row(Text(f"… {len(order) - len(shown)} classes between"))
        counts = collections.Counter(photo.split for photo in members[index])
        cells = [f"{counts[split]:,}" for split in splits]
        cells.append(f"{len(members[index]) / len(photos):.1%}")
        if spec.mask:
            cells.append(_masked(members[index], spec.mask))
        table.add_row(Text(label.classes[index] if index >= 0 else "(unknown)"), *cells)
    return table


def _masked(photos: Sequence[Photo], mask: Mask) -> str:
    shares = [
        mask_values.foreground_pixels(photo.mask, mask) / sum(photo.mask.pixels.values())
        for photo in photos
        if photo.mask
    ]
    return f"{statistics.fmean(shares):.1%}" if shares else "no masks"


def _pictures(photos: Sequence[Photo]) -> Table:
    """Formats and sizes."""
    table = Table(title="Photos", box=rich.box.SIMPLE, title_justify="left")
    table.add_column("format")
    for name in ("photos", "smallest", "median", "largest"):
        table.add_column(name, justify="right")
    forms: dict[str, list[Photo]] = collections.defaultdict(list)
    for photo in photos:
        forms[photo.form].append(photo)
    for form, some in sorted(forms.items(), key=lambda item: -len(item[1])):
        sizes = sorted((photo.size for photo in some), key=lambda size: size[0] * size[1])
        three = (sizes[0], median_size(some), sizes[-1])
        table.add_row(Text(form), f"{len(some):,}", *(f"{width} x {height}" for height, width in three))
    return table


def _masks(mask: Mask, values: mask_values.Values, photos: Sequence[Photo]) -> Table:
    """What values the masks hold, and what they are taken for."""
    masks = [photo.mask for photo in photos if photo.mask]
    table = Table(title=f"Masks of {_count(len(masks), 'photo')}", box=rich.box.SIMPLE, title_justify="left")
    table.add_column("value", overflow="fold", max_width=24)
    table.add_column("stands for", overflow="fold", max_width=30)
    table.add_column("pixels", justify="right")
    table.add_column("in masks", justify="right")
    total = max(1, sum(values.pixels.values()))
    rows = [("background", mask.background), *zip(mask.classes, mask.values, strict=True), ("unknown", mask.ignored)]
    for name, numbers in rows:
        if numbers:
            table.add_row(*_value_row(", ".join(map(str, numbers)), name, set(numbers), values, masks, total))
    named = {number for _, numbers in rows for number in numbers}
    others = sorted(set(values.pixels) - named)
    if others:
        meaning = "the nearest of these" if mask.between == "nearest" else "nothing: refused"
        span = f"{others[0]} to {others[-1]}" if len(others) > 4 else ", ".join(map(str, others))
        table.add_row(*_value_row(span, meaning, set(others), values, masks, total))
    return table


def _value_row(
    shown: str,
    name: str,
    numbers: set[int],
    values: mask_values.Values,
    masks: Sequence[mask_values.Values],
    total: int,
) -> Iterator[Text]:
    pixels = sum(values.pixels[number] for number in numbers) / total
    holding = sum(any(number in mask.pixels for number in numbers) for mask in masks)
    yield from map(Text, (shown, name, f"{pixels:.2%}", f"{holding:,}"))


def _findings(
    spec: DatasetSpec, file: str, survey: Survey, photos: Sequence[Photo], copies: Copies, splits: Sequence[str]
) -> Iterator[str]:
    """What a user should look at, a sentence or two each."""
    faulty = [photo for photo in survey.photos if photo.fault]
    if faulty:
        yield f"{_count(len(faulty), 'photo')} cannot be used: {_faults(faulty)}"
    yield from _about_labels(spec, file, photos, splits)
    if spec.mask:
        yield from _about_masks(spec, file, spec.mask, photos)
    if survey.crowds:
        yield (
            f"{survey.crowds:,} of {_count(survey.objects, 'object')} are crowds (iscrowd: 1), unknown pixels and no "
            "class of their photo; write iscrowd: 0 where they are single objects."
        )
    yield from _about_groups(photos)
    yield from _about_copies(spec, photos, copies)
    turned = sum(photo.orientation != 1 for photo in photos)
    if turned:
        yield f"{_count(turned, 'photo')} will be turned upright, as EXIF says."
    repairs = [[repair for repair in photo.repairs if repair != "orientation"] for photo in photos]
    if any(repairs):
        counts = collections.Counter(itertools.chain.from_iterable(repairs))
        what = ", ".join(f"{repair} ({count:,})" for repair, count in counts.most_common())
        yield f"{_count(sum(map(bool, repairs)), 'photo')} will be mended: {what}."
    if survey.left_out:
        files = ", ".join(f"{count} {what}" for what, count in survey.left_out.most_common(8))
        shown = f": {_names(survey.left_out_pictures)}" if survey.left_out_pictures else ""
        yield f"Files that are left out: {files}{shown}."
    if survey.left_out_splits:
        splits_left_out = ", ".join(f"{split} ({count:,})" for split, count in survey.left_out_splits.items())
        yield f"Splits that are left out, since none of ours is called so: {splits_left_out}."


def _class_of(photo: Photo, label: Label) -> int | None:
    """The photo's class; of a coarser label it may follow from the finer one."""
    if label.of in photo.labels:
        return label.parents[photo.labels[label.of]]
    return photo.labels.get(label.name)


def _lacking(counts: str, what: str, optional: bool, other: str, file: str) -> str:
    """What becomes of photos that lack a label or a mask.

    Args:
        counts: how many of how many do.
        what: they lack.
        optional: the description allows it.
        other: what they may count for; empty: there is nothing else.
        file: holds the description.
    """
    said = f"{counts} photos have no {what}"
    if optional:
        return f"{said}: they count for {other} alone." if other else f"{said}: they count for nothing."
    allow = f", or write {what}: {{classes: …, optional: true}} in {file}" if other else ""
    return f"{said}: ingestion refuses them. Give them one, take them out{allow}."


def _about_labels(spec: DatasetSpec, file: str, photos: Sequence[Photo], splits: Sequence[str]) -> Iterator[str]:
    for label in spec.labels:
        counts = collections.Counter(index for photo in photos if (index := _class_of(photo, label)) is not None)
        by_name = {name: counts[index] for index, name in enumerate(label.classes)}
        few = [f"{name} ({count})" for name, count in by_name.items() if count < _FEW]
        if few:
            yield f"{label.name} has classes of fewer than {_FEW} photos, too few to learn or to judge: {_names(few)}."
        known = counts.total()
        if known < len(photos):
            other = "the masks" if spec.mask else "other labels" if sum(not one.of for one in spec.labels) > 1 else ""
            yield _lacking(f"{len(photos) - known} of {len(photos)}", label.name, label.optional, other, file)
        most, least = max(by_name.values()), max(1, min(by_name.values()))
        if known and (most > _LOPSIDED * least or most > 0.8 * known) and len(by_name) > 1:
            name = max(by_name, key=by_name.__getitem__)
            yield (
                f"{label.name} is unbalanced: always saying {name} is right in {most / known:.1%}, and the commonest "
                f"class has {most / least:.0f} times the photos of the rarest. Judge by macro F1."
            )
        for split in filter(None, splits):
            there = {_class_of(photo, label) for photo in photos if photo.split == split}
            lacking = [name for index, name in enumerate(label.classes) if index not in there]
            if lacking:
                yield f"Split {split} has no photo of {label.name} {_names(lacking)}."


def _about_masks(spec: DatasetSpec, file: str, mask: Mask, photos: Sequence[Photo]) -> Iterator[str]:
    masked = [photo for photo in photos if photo.mask]
    empty = [photo for photo in masked if photo.mask and not mask_values.foreground_pixels(photo.mask, mask)]
    if empty:
        indices = [
            index for photo in empty for label in spec.labels[:1] if (index := _class_of(photo, label)) is not None
        ]
        of = collections.Counter(spec.labels[0].classes[index] for index in indices)
        where = ", ".join(f"{count} of {name}" for name, count in of.most_common(_EXAMPLES))
        yield f"{_count(len(empty), 'mask')} of {len(masked)} are empty{where and f': {where}'}."
    edges = [photo for photo in masked if photo.mask and mask_values.edge_pixels(photo.mask, mask)]
    if edges:
        pixels = sum(mask_values.edge_pixels(photo.mask, mask) for photo in edges if photo.mask)
        rule = "each becomes the nearest value that stands for something" if mask.between == "nearest" else "refused"
        yield (
            f"{_count(len(edges), 'mask')} of {len(masked)} hold values between ({pixels:,} pixels, smoothed edges): "
            f"{rule} (mask.between: {mask.between})."
        )
    if len(masked) < len(photos):
        other = "the classes" if spec.labels else ""
        yield _lacking(f"{len(photos) - len(masked)} of {len(photos)}", "mask", mask.optional, other, file)


def _about_groups(photos: Sequence[Photo]) -> Iterator[str]:
    members: dict[str, list[int]] = collections.defaultdict(list)
    for index, photo in enumerate(photos):
        members[photo.group].append(index)
    members.pop("", None)
    if divided := duplicates.across(members.values(), [photo.split or "train" for photo in photos]):
        example = _names([photos[index].name for index in divided[0]])
        yield (
            f"{_count(len(divided), 'group')} of the data's own stand in several splits, such as {example}: figures "
            "flatter; give each group one split."
        )


def _about_copies(spec: DatasetSpec, photos: Sequence[Photo], copies: Copies) -> Iterator[str]:
    splits = [photo.split for photo in photos]
    classes = [tuple(sorted(photo.labels.items())) for photo in photos]
    for what, groups in (("the same, byte by byte", copies.exact), ("nearly the same", copies.near)):
        if not groups:
            continue
        count = sum(map(len, groups))
        example = _names([photos[index].name for index in groups[0]])
        yield f"{count} photos are {what}, in {_count(len(groups), 'group')}, such as {example}."
        for other, of in (("splits", splits), ("classes", classes)):
            mixed = duplicates.across(groups, of)
            if mixed:
                example = _names([photos[index].name for index in mixed[0]])
                yield f"{_count(len(mixed), 'group')} of these stand in several {other}, such as {example}."
    if _to_make(spec, splits) and any(_may_part(photos[index] for index in group) for group in copies.near):
        yield "A hash may put these into train and test, and figures would flatter: --groups FILE keeps them together."


def _may_part(alike: Iterable[Photo]) -> bool:
    """Whether a hash may put some of them into one split and some into another: it keeps groups and copies whole."""
    return len({photo.group or photo.digest for photo in alike}) > 1


def _to_make(spec: DatasetSpec, splits: Sequence[str]) -> dict[str, float]:
    """The shares of the splits that ingestion will make, by a hash."""
    return to_make(frozenset(filter(None, splits)), spec.splits)


def groups_table(photos: Sequence[Photo], copies: Copies, start: str = ".") -> str:
    """A metadata.csv that gives photos which are nearly the same one group.

    Args:
        photos: that can be used.
        copies: among them.
        start: the photos' folder, from the folder of the file; `.` where that is another one.

    Raises:
        ValueError: it cannot name one of them.
    """
    unnamed = [photo.name for photo in photos if "\\" in photo.name]  # a slash, in a table of Windows
    if unnamed:
        raise ValueError(f"--groups writes a metadata file, which cannot name {_names(unnamed)}: rename it")
    group = {index: f"alike {number}" for number, members in enumerate(copies.near, 1) for index in members}
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["file_name", "split", "group"])
    # Readers of tables strip cells, and a path may begin with a space.
    writer.writerows([f"{start}/{photo.name}", photo.split, group.get(index, "")] for index, photo in enumerate(photos))
    return file.getvalue()


def _faults(photos: Sequence[Photo]) -> str:
    return "; ".join(f"{photo.name}: {photo.fault}" for photo in photos[:_EXAMPLES]) + _more(photos)


def _names(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_EXAMPLES]) + _more(names)


def _more(some: Sequence[object]) -> str:
    return f" and {len(some) - _EXAMPLES} more" if len(some) > _EXAMPLES else ""


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"
