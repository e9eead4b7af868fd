"""The executor of `ExampleGen`: a source's shards, through Beam, become shards of `schema.record` records.

Beam's elements are shards: each is read as a stream twice, first for names, labels and hashes, from which follow the
splits and the copies, then to be converted. Each worker holds one record, and of its shard what was decided; so memory
does not grow with the data but for the names of one class, and the same data always makes the same files.

No record is lost: it is written, in quarantine, or left out because a person wants that, and all three are counted
against what was read. What is left out had its split before, so that the others keep theirs.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from tfx.components.example_gen import utils as example_gen_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import datasets
from components.datasets.source import Source
from components.example_gen import quarantine, records, splits, summary
from schema import record
from schema.dataset_spec import DatasetSpec


class Executor(base_beam_executor.BaseBeamExecutor):
    """Prepares the data if need be, then converts it."""

    def Do(
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits and `summary.json` into the output `examples`, and what cannot be used into `quarantine`.

        Raises:
          RuntimeError: The data is not there and cannot be prepared, or a shard is damaged (the message names it).
          ValueError: More than `max_quarantined` cannot be used, or a split is empty.
        """
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        aside = artifact_utils.get_single_instance(output_dict["quarantine"])
        spec = DatasetSpec.from_json(exec_properties["spec"])
        source = datasets.from_json(exec_properties["source"], spec)
        source.prepare()
        examples.splits = list(record.SPLITS)
        examples.set_string_custom_property(example_gen_utils.PAYLOAD_FORMAT_PROPERTY_NAME, "FORMAT_TF_EXAMPLE")
        for split in record.SPLITS:
            fileio.makedirs(_split_dir(examples.uri, split))
        quarantine.prepare(aside.uri)
        leave_out = frozenset((split, name) for split, name in json.loads(exec_properties["leave_out"]))
        rules = records.Rules(spec, exec_properties["min_speck"], exec_properties["max_pixels"], leave_out)
        with self._make_beam_pipeline() as pipeline:
            _convert(pipeline, source, rules, examples.uri, aside.uri)
        made = summary.read(examples.uri)
        summary.tell(made, aside.uri)
        summary.check(made, quarantine.read(aside.uri), exec_properties["max_quarantined"], aside.uri)


class _Look(NamedTuple):
    """What the first pass learns of a record that may be used."""

    shard: int
    position: int
    name: str
    split: str
    group: bytes
    """What it stays together with: its group, else the copies of its photo."""
    stratum: str
    """Its class of the first label."""
    photo: bytes
    """Hash of the photo's bytes."""


class _Decision(NamedTuple):
    """What becomes of a record, where that is not what its source says."""

    position: int
    split: str
    refused: records.Refused | None = None


def _convert(pipeline: beam.Pipeline, source: Source, rules: records.Rules, uri: str, aside: str) -> None:
    shards = (
        pipeline
        | "Source" >> beam.Create([source])
        | "Shards" >> beam.FlatMap(lambda source: enumerate(source.shards()))
        | beam.Reshuffle()
    )
    looks = shards | "Look" >> beam.ParDo(_LookAtShard(source, rules.spec)).with_outputs("counts", main="looks")
    named = (
        looks.looks
        | "KeyName" >> beam.Map(lambda look: (look.name, look))
        | "ByName" >> beam.GroupByKey()
        | "OnlyOnce" >> beam.ParDo(_OnlyOnce()).with_outputs("counts", "decisions", main="looks")
    )
    given = named.looks | "Split" >> beam.Map(lambda look: frozenset([look.split])) | beam.CombineGlobally(_union)
    copies = (
        named.looks
        | "KeyGroup" >> beam.Map(lambda look: (look.group, look))
        | "ByGroup" >> beam.GroupByKey()
        | "KeyClass" >> beam.Map(_by_class)
        | "ByClass" >> beam.GroupByKey()
        | "Assign" >> beam.FlatMap(_assign, beam.pvalue.AsSingleton(given), rules.spec)
        | "KeyPhoto" >> beam.Map(lambda look: (look.photo, look))
        | "ByPhoto" >> beam.GroupByKey()
        | "Copies" >> beam.ParDo(_Copies()).with_outputs("counts", main="decisions")
    )
    decisions = (named.decisions, copies.decisions) | "Decisions" >> beam.Flatten()
    converted = (
        {"shards": shards, "decisions": decisions}
        | "ByShard" >> beam.CoGroupByKey()
        | "Convert" >> beam.ParDo(_ConvertShard(source, rules, uri, aside)).with_outputs("rows", main="counts")
    )
    counts = (looks.counts, named.counts, copies.counts, converted.counts) | beam.Flatten() | beam.CombinePerKey(sum)
    everything = beam.pvalue.AsDict(counts), beam.pvalue.AsIter(converted.rows)
    pipeline | "Once" >> beam.Create([None]) | beam.Map(_write_counts, *everything, rules, uri, aside)


class _LookAtShard(beam.DoFn):
    """The first pass: the records that may be used; of the others it counts that they were read."""

    def __init__(self, source: Source, spec: DatasetSpec) -> None:
        self._source = source
        self._spec = spec

    def process(self, shard: tuple[int, Any]) -> Iterator[Any]:
        for position, raw in enumerate(self._source.read(shard[1])):
            if records.refusal(raw, self._spec):
                yield beam.pvalue.TaggedOutput("counts", ((_split(raw.split), "read", ""), 1))
                continue
            photo = hashlib.sha256(raw.image).digest()
            first = self._spec.labels[0].name if self._spec.labels else ""
            group = raw.group.encode("utf-8", "surrogateescape") or photo
            stratum = str(raw.labels.get(first, ""))
            yield _Look(shard[0], position, raw.file_name, raw.split, group, stratum, photo)


class _OnlyOnce(beam.DoFn):
    """Of the records with one name the first is left, one of the held-out splits before others."""

    def process(self, named: tuple[str, Iterable[_Look]]) -> Iterator[Any]:
        first, *others = sorted(named[1], key=_precedence)
        yield first
        for look in others:
            split = _split(look.split)
            refused = records.Refused("file name", f"another record, in split {_split(first.split)}, has its file name")
            yield beam.pvalue.TaggedOutput("decisions", (look.shard, _Decision(look.position, split, refused)))
            yield beam.pvalue.TaggedOutput("counts", ((split, "read", ""), 1))


def _union(splits: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*splits)


def _by_class(group: tuple[bytes, Iterable[_Look]]) -> tuple[str, list[_Look]]:
    """The class that most examples of a group have, and the group."""
    looks = sorted(group[1], key=_precedence)
    classes = collections.Counter(sorted(look.stratum for look in looks))
    return classes.most_common(1)[0][0], looks


def _assign(one_class: tuple[str, Iterable[list[_Look]]], given: frozenset[str], spec: DatasetSpec) -> Iterator[_Look]:
    """The records of one class, each with its split: given ones stay, the rest is cut into those that are missing."""
    pool = []
    for group in one_class[1]:
        yield from (look for look in group if look.split not in ("", record.TRAIN))
        pool.append([look for look in group if look.split in ("", record.TRAIN)])
    pool = [group for group in pool if group]
    units = [splits.Unit(min(splits.order(look.name) for look in group), len(group)) for group in pool]
    assigned = splits.assign(units, splits.to_make(given, spec.splits))
    for group, split in zip(pool, assigned, strict=True):
        yield from (look._replace(split=split) for look in group)


class _Copies(beam.DoFn):
    """Decides over the records of one photo: across splits only those of the one held out the most are used."""

    def process(self, copies: tuple[bytes, Iterable[_Look]]) -> Iterator[Any]:
        first, *others = sorted(copies[1], key=_precedence)
        for look in (first, *others):
            refused = None
            if look.split != first.split:
                refused = records.Refused(summary.DUPLICATE, f"its photo is that of {first.name} in {first.split}")
            elif look is not first:
                yield beam.pvalue.TaggedOutput("counts", ((look.split, "duplicates", ""), 1))
            yield beam.pvalue.TaggedOutput("counts", ((look.split, "read", ""), 1))
            if refused or look.split != record.TRAIN:
                yield look.shard, _Decision(look.position, look.split, refused)


def _precedence(look: _Look) -> tuple[int, int, int]:
    """Sorts held-out records first, then as the source has them."""
    return -record.SPLITS.index(_split(look.split)), look.shard, look.position


def _split(given: str) -> str:
    return given or record.TRAIN


class _ConvertShard(beam.DoFn):
    """Reads one shard again and writes its records; yields what `summary.json` counts, and the quarantine's lines."""

    def __init__(self, source: Source, rules: records.Rules, uri: str, aside: str) -> None:
        self._source = source
        self._rules = rules
        self._uri = uri
        self._aside = aside

    def process(self, item: tuple[int, Mapping[str, Any]]) -> Iterator[Any]:
        number, [shard] = item[0], item[1]["shards"]
        decided = {decision.position: decision for decision in item[1]["decisions"]}
        counts: collections.Counter[summary.Key] = collections.Counter()
        with contextlib.ExitStack() as stack:
            writers: dict[str, tf.io.TFRecordWriter] = {}
            for position, raw in enumerate(self._source.read(shard)):
                decision = decided.get(position, _Decision(position, _split(raw.split)))
                if (decision.split, raw.file_name) in self._rules.leave_out:
                    counts[decision.split, "left_out", raw.file_name] += 1
                    continue
                result = records.accept(raw, self._rules)
                if isinstance(result, records.Accepted) and decision.refused:
                    result = decision.refused
                if isinstance(result, records.Refused):
                    row = quarantine.keep(self._aside, raw, decision.split, result, (number, position), str(shard))
                    yield beam.pvalue.TaggedOutput("rows", row)
                    counts[decision.split, "quarantined", result.what] += 1
                    continue
                if decision.split not in writers:
                    path = os.path.join(_split_dir(self._uri, decision.split), f"data_tfrecord-{number:05d}")
                    writers[decision.split] = stack.enter_context(_shard_writer(path))
                writers[decision.split].write(result.example.SerializeToString(deterministic=True))
                counts.update(dict(summary.of_accepted(decision.split, result)))
        yield from counts.items()


@contextlib.contextmanager
def _shard_writer(path: str) -> Iterator[tf.io.TFRecordWriter]:
    """Writes beside `path` and renames at the end, so that a retried bundle leaves whole files only."""
    split_dir, name = os.path.split(path)
    unfinished = f"{split_dir}-{name}.unfinished"
    with tf.io.TFRecordWriter(unfinished) as writer:
        yield writer
    fileio.rename(unfinished, path, overwrite=True)


def _write_counts(
    _: None,
    counts: Mapping[summary.Key, int],
    rows: Iterable[quarantine.Row],
    rules: records.Rules,
    uri: str,
    aside: str,
) -> None:
    quarantine.write(aside, rows)
    summary.write(summary.collect(counts, rules.spec, rules.leave_out), uri)


def _split_dir(uri: str, split: str) -> str:
    return os.path.join(uri, f"Split-{split}")
