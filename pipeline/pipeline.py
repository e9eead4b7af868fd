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
from schema.dataset_spec import DatasetSpec, Heads
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
    _check_thresholds(config, spec.heads(config.label, config.task))
    preparation = _preparation(config.data, source, spec)
    example_gen, *_, transform = preparation
    trainers = {model: _trainer(config.trainer(model, spec), example_gen, transform) for model in config.contestants}
    models = {model: trainer.outputs["model"] for model, trainer in trainers.items()}
    eval_config = evaluation.eval_config(config, spec)
    evaluators = {
        name: Evaluator(
            examples=example_gen.outputs["examples"],
            model=model,
            example_splits=[record.TEST],
            eval_config=eval_config,
        ).with_id(f"Evaluator_{name}")
        for name, model in models.items()
    }
    replaced = serving_model(models) if serving_model else None
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
        robustness=_demand(config),
        audit=config.audit,
        max_suspects=_max_suspects(config),
        config_json=config.to_json(),
        fingerprint=fingerprint.of_code("components.comparison"),
    )
    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=[
            *preparation,
            *trainers.values(),
            *evaluators.values(),
            *([replaced.producer_component] if replaced is not None else []),  # type: ignore[attr-defined]
            comparison,
            *_delivery(config, comparison, example_gen, serving_dir),
        ],
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


def _check_thresholds(config: Config, heads: Heads) -> None:
    """Raises ValueError where the comparison would need a head, or splits, that the run does not have."""
    check_rule(config.champion, heads)
    _demand(config).check(heads)
    audit.check_bars(_max_suspects(config), config.audit, heads)


def _demand(config: Config) -> Demand:
    return Demand(config.robustness, config.thresholds.robust_accuracy, config.thresholds.robust_mask_f1)


def _max_suspects(config: Config) -> dict[str, float]:
    return {kind: getattr(config.thresholds, name) for kind, name in audit.BARS.items()}


def _preparation(data: Data, source: Source, spec: DatasetSpec) -> list[tfx.types.BaseComponent]:
    """From ExampleGen, the first, to Transform, the last, which waits until the gate lets the data through."""
    example_gen = ExampleGen(
        source=source,
        spec=spec,
        fingerprint=fingerprint.of_code("components.example_gen"),
        min_speck=data.min_speck,
        max_megapixels=data.max_megapixels,
        max_quarantined=data.max_quarantined,
        leave_out=leave_out.read(data.leave_out) if data.leave_out else (),
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
            "image_size": data.image_size,
            "labels": [label.name for label in spec.labels],
            "code": fingerprint.of_code("trainer_module.preprocessing"),
        },
        # Decoded images as floats take forty times the JPEG's space: nothing is written, Trainers run the functions.
        materialize=False,
        disable_statistics=True,
    )
    transform.add_upstream_node(gate)
    return [example_gen, statistics_gen, schema_gen, validator, gate, transform]


def _trainer(
    config: TrainerConfig, example_gen: tfx.types.BaseComponent, transform: tfx.types.BaseComponent
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


def _delivery(
    config: Config, comparison: ModelComparison, example_gen: tfx.types.BaseComponent, serving_dir: str
) -> list[tfx.types.BaseComponent]:
    """What makes a champion's files for other engines, if any are asked for, and what pushes it."""
    champion, blessing = comparison.outputs["champion"], comparison.outputs["blessing"]
    steps: list[tfx.types.BaseComponent] = []
    if config.edge:
        edge = Edge(
            champion=champion,
            blessing=blessing,
            report=comparison.outputs["report"],
            examples=example_gen.outputs["examples"],
            formats=config.edge,
            image_size=config.data.image_size,
            fingerprint=fingerprint.of_code("components.edge"),
        )
        steps, champion = [edge], edge.outputs["model"]
    pusher = Pusher(
        model=champion,
        model_blessing=blessing,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
        ),
        custom_config={ALLOW_CONTRACT_CHANGE: config.allow_contract_change},
    )
    return [*steps, pusher]
