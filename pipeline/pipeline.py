"""The pipeline: one `create_pipeline` for every runner, its components in the order that data flows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import tensorflow_data_validation as tfdv
from tfx import v1 as tfx

from components import datasets
from components.anomaly_gate import AnomalyGate
from components.comparison import audit
from components.comparison.champion import check_rule
from components.comparison.component import ModelComparison
from components.comparison.robustness import Demand
from components.dataset_schema import DatasetSchema
from components.datasets.source import Source
from components.edge.component import Edge
from components.evaluator import Evaluator
from components.example_gen import leave_out
from components.example_gen.component import ExampleGen
from components.pusher import ALLOW_CONTRACT_CHANGE, Pusher
from pipeline import beam, evaluation, fingerprint
from pipeline.configs import Config, Data
from schema import record, spec_file
from trainer_module.config import TrainerConfig

ServingModel = Callable[[Mapping[str, tfx.types.BaseChannel]], tfx.types.BaseChannel]


def create_pipeline(
    config: Config,
    pipeline_root: str,
    serving_dir: str,
    data_dir: str,
    serving_model: ServingModel | None = None,
    metadata_connection_config: tfx.orchestration.metadata.ConnectionConfigType | None = None,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline that `config` describes.

    Args:
        config: what to run.
        pipeline_root: where artifacts go.
        serving_dir: where a blessed champion is pushed to, as `serving_dir/VERSION/`.
        data_dir: where the data lies, or will lie.
        serving_model: gives, for the trained models' channels, that of the model which the champion would replace.
        metadata_connection_config: the metadata store; None where the runner has its own.

    Raises:
        ValueError: a field of `config` contradicts another or the data; `config.beam` lacks a field, or its workers
            could not reach `data_dir`; the source cannot find its data.
    """
    beam_pipeline_args = beam.pipeline_args(config.beam)
    beam.check_folder(config.beam, "data_dir", data_dir)
    source = data_source(config.data, data_dir)
    spec = source.spec()
    heads = spec.heads(config.label, config.task)
    check_rule(config.champion, heads)
    demand = Demand(config.robustness, config.thresholds.robust_accuracy, config.thresholds.robust_mask_f1)
    demand.check(heads)
    max_suspects = {kind: getattr(config.thresholds, name) for kind, name in audit.BARS.items()}
    audit.check_bars(max_suspects, config.audit, heads)
    example_gen = ExampleGen(
        source=source,
        spec=spec,
        fingerprint=fingerprint.of_code("components.example_gen"),
        min_speck=config.data.min_speck,
        max_megapixels=config.data.max_megapixels,
        max_quarantined=config.data.max_quarantined,
        leave_out=leave_out.read(config.data.leave_out) if config.data.leave_out else (),
    )
    # Statistics of labels and names; image bytes have none worth the pass.
    statistics_gen = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        stats_options=tfdv.StatsOptions(feature_allowlist=record.described_features(spec)),
    )
    schema_gen = DatasetSchema(spec=spec.essence().to_json(), code=fingerprint.of_code("components.dataset_schema"))
    validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    # ExampleValidator only reports; this is what stops the run.
    gate = AnomalyGate(anomalies=validator.outputs["anomalies"], code=fingerprint.of_code("components.anomaly_gate"))
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="trainer_module.preprocessing.preprocessing_fn",
        custom_config={
            "image_size": config.data.image_size,
            "labels": [label.name for label in spec.labels],
            "code": fingerprint.of_code("trainer_module.preprocessing"),
        },
        # Decoded images as floats take forty times the JPEG's space: nothing is written, Trainers run the functions.
        materialize=False,
        disable_statistics=True,
    )
    transform.add_upstream_node(gate)

    nodes: list[tfx.types.BaseNode] = [example_gen, statistics_gen, schema_gen, validator, gate, transform]
    trainers, evaluators = {}, {}
    for model in config.contestants:
        trainers[model] = _trainer(config.trainer(model, spec), example_gen, transform)
        nodes.append(trainers[model])
    for model in config.contestants:
        evaluators[model] = Evaluator(
            examples=example_gen.outputs["examples"],
            model=trainers[model].outputs["model"],
            example_splits=[record.TEST],
            eval_config=evaluation.eval_config(config, spec),
        ).with_id(f"Evaluator_{model}")
        nodes.append(evaluators[model])

    models = {model: trainer.outputs["model"] for model, trainer in trainers.items()}
    replaced = serving_model(models) if serving_model else None
    if replaced is not None:
        nodes.append(replaced.producer_component)  # type: ignore[attr-defined]
    comparison = ModelComparison(
        models=models,
        runs={model: trainer.outputs["model_run"] for model, trainer in trainers.items()},
        evaluations={model: evaluator.outputs["evaluation"] for model, evaluator in evaluators.items()},
        blessings={model: evaluator.outputs["blessing"] for model, evaluator in evaluators.items()},
        examples=example_gen.outputs["examples"],
        spec=spec,
        label=config.label,
        task=config.task,
        rule=config.champion,
        serving_model=replaced,
        max_drop=config.thresholds.max_drop,
        robustness=demand,
        audit=config.audit,
        max_suspects=max_suspects,
        config_json=config.to_json(),
        fingerprint=fingerprint.of_code("components.comparison"),
    )
    nodes.append(comparison)
    pushed = comparison.outputs["champion"]
    if config.edge:
        edge = Edge(
            champion=pushed,
            blessing=comparison.outputs["blessing"],
            report=comparison.outputs["report"],
            examples=example_gen.outputs["examples"],
            formats=config.edge,
            image_size=config.data.image_size,
            fingerprint=fingerprint.of_code("components.edge"),
        )
        nodes.append(edge)
        pushed = edge.outputs["model"]
    pusher = Pusher(
        model=pushed,
        model_blessing=comparison.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
        ),
        custom_config={ALLOW_CONTRACT_CHANGE: config.allow_contract_change},
    )
    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=[*nodes, pusher],
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=[*beam_pipeline_args],
    )


def uncached(config: Config, nodes: Iterable[tfx.types.BaseNode]) -> set[str]:
    """Ids of the pipeline's components that run though nothing changed: those that the config names, and the Pusher.

    Raises:
        ValueError: the config names what is none of them.
    """
    components = [node.id for node in nodes]
    if "all" in config.uncached:
        return set(components)
    for name in config.uncached:
        if name not in components:
            raise ValueError(f"uncached names {name!r}: give some of {', '.join(components)}, or all")
    # What it looks after lies outside the run: somebody may have pushed or deleted a version since.
    return {*config.uncached, "Pusher"}


def data_source(data: Data, data_dir: str) -> Source:
    """Where the examples come from: the source that `data` names, told those fields of it that it reads.

    Raises:
        ValueError: a field is set that the source does not read, or one is missing; or the source refuses a value.
    """
    kind = datasets.DATASETS[data.source]
    given = {
        "data_dir": data_dir,
        "dir": data_dir,
        "description": spec_file.load(data.spec) if data.spec else None,
        "drawings": data.drawings,
        **{name: getattr(data, name) for name in _OF_SOURCES},
    }
    read = {field.name for field in dataclasses.fields(kind)}
    for name in (*_OF_SOURCES, "drawings"):
        if given[name] and name not in read:
            raise ValueError(f"data.{name} is set, and data.source {data.source} does not read it: leave it out")
    if "dir" in read and not data_dir:
        raise ValueError(f"data_dir is missing: data.source {data.source} needs the folder of the photos")
    source: Source = kind(**{name: value for name, value in given.items() if name in read})
    return source


_OF_SOURCES = ("masks", "metadata", "labels", "annotations", "name", "features", "manual_dir")
"""Fields of `Data` that some sources read, under these names."""


def _trainer(
    config: TrainerConfig, example_gen: ExampleGen, transform: tfx.components.Transform
) -> tfx.components.Trainer:
    return tfx.components.Trainer(
        # A dotted path of the installed package: workers find it, and no wheel is built for each run.
        run_fn="trainer_module.trainer.run_fn",
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        # The recipe's epochs decide; a number of steps would be a second way to say it.
        train_args=tfx.proto.TrainArgs(splits=[record.TRAIN]),
        eval_args=tfx.proto.EvalArgs(splits=[record.EVAL]),
        custom_config={
            "config": config.to_json(),
            "code": fingerprint.of_code("trainer_module.trainer"),
            "weights": fingerprint.of_weights(config.weights),
        },
    ).with_id(f"Trainer_{config.model}")
