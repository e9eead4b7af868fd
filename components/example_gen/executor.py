"""The executor of `ExampleGen`: a source's shards, through Beam, become shards of `schema.record` records.

Beam's elements are shards: each is read as a stream twice, first for names, labels and hashes, from which follow the
splits and the copies (`decisions`), then to be converted. A worker holds one record and what was decided of its shard;
one worker decides, by some dozens of bytes a record. The same data always makes the same files.

No record is lost: it is written, in quarantine, or left out because a person wants that, and all three are counted
against what was read. What is left out had its split before, so that the others keep theirs.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.components.example_gen import utils as example_gen_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import datasets
from components.datasets.source import RawRecord, Source
from components.example_gen import decisions, quarantine, records, summary
from schema import record
from schema.dataset_spec import DatasetSpec, Splits


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


def _convert(pipeline: beam.Pipeline, source: Source, rules: records.Rules, uri: str, aside: str) -> None:
    shards = (
        pipeline
        | "Source" >> beam.Create([source])
        | "Shards" >> beam.FlatMap(lambda source: ((n, _packed(shard)) for n, shard in enumerate(source.shards())))
        | beam.Reshuffle()
    )
    looked = shards | "Look" >> beam.ParDo(_LookAtShard(source, rules.spec)).with_outputs("counts", main="looks")
    decided = (
        pipeline
        | "Splits" >> beam.Create([rules.spec.splits])
        | "Decide" >> beam.ParDo(_Decide(), beam.pvalue.AsIter(looked.looks)).with_outputs("counts", main="decisions")
    )
    converted = (
        {"shards": shards, "decisions": decided.decisions}
        | "ByShard" >> beam.CoGroupByKey()
        | "Convert" >> beam.ParDo(_ConvertShard(source, rules, uri, aside)).with_outputs("rows", main="counts")
    )
    counts = (looked.counts, decided.counts, converted.counts) | beam.Flatten() | beam.CombinePerKey(sum)
    everything = beam.pvalue.AsDict(counts), beam.pvalue.AsIter(converted.rows)
    pipeline | "Once" >> beam.Create([None]) | beam.Map(_write_counts, *everything, rules, uri, aside)


def _packed(shard: Any) -> bytes:
    """Beam's runners keep several copies of a shard; the names in it shrink to a twentieth."""
    return zlib.compress(pickle.dumps(shard))


def _unpacked(packed: bytes) -> Any:
    return pickle.loads(zlib.decompress(packed))


class _LookAtShard(beam.DoFn):
    """The first pass: a table of the records that may be used; of the others it counts that they were read."""

    def __init__(self, source: Source, spec: DatasetSpec) -> None:
        self._source = source
        self._spec = spec

    def process(self, shard: tuple[int, bytes]) -> Iterator[Any]:
        refused: collections.Counter[summary.Key] = collections.Counter()

        def usable() -> Iterator[tuple[int, RawRecord]]:
            for position, raw in enumerate(self._source.read(_unpacked(shard[1]))):
                if records.refusal(raw, self._spec):
                    refused[decisions.given_split(raw), "read", ""] += 1
                else:
                    yield position, raw

        yield decisions.looks(shard[0], usable(), self._spec)
        yield from (beam.pvalue.TaggedOutput("counts", count) for count in refused.items())


class _Decide(beam.DoFn):
    """Decides over all records in one place."""

    def process(self, shares: Splits, looks: Iterable[bytes]) -> Iterator[Any]:
        decided = decisions.decide(looks, shares)
        yield from decided.of_shards.items()
        yield from (beam.pvalue.TaggedOutput("counts", count) for count in decided.counts.items())


class _ConvertShard(beam.DoFn):
    """Reads one shard again and writes its records; yields what `summary.json` counts, and the quarantine's lines."""

    def __init__(self, source: Source, rules: records.Rules, uri: str, aside: str) -> None:
        self._source = source
        self._rules = rules
        self._uri = uri
        self._aside = aside

    def process(self, item: tuple[int, Mapping[str, Any]]) -> Iterator[Any]:
        number, [packed] = item[0], item[1]["shards"]
        shard = _unpacked(packed)
        decided = {decision.position: decision for of_shard in item[1]["decisions"] for decision in of_shard}
        counts: collections.Counter[summary.Key] = collections.Counter()
        with contextlib.ExitStack() as stack:
            writers: dict[str, tf.io.TFRecordWriter] = {}
            for position, raw in enumerate(self._source.read(shard)):
                decision = decided.get(position, decisions.Decision(position, decisions.given_split(raw), None))
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
