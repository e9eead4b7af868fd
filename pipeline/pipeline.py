"""The pipeline: one `create_pipeline` for every runner, its components in the order that data flows."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable

import tensorflow_data_validation as tfdv
from tfx import v1 as tfx

from components import datasets
from components.anomaly_gate import AnomalyGate
from components.comparison.component import ModelComparison
from components.example_gen.component import ExampleGen
from components.pusher import Pusher
from pipeline import beam, evaluation, fingerprint
from pipeline.configs import Config
from schema import pets

SCHEMA_FILE = os.path.join(os.path.dirname(os.path.abspath(pets.__file__)), "schema.pbtxt")

Baseline = Callable[[tfx.types.BaseChannel, str], tfx.types.BaseChannel | None]


def create_pipeline(
    config: Config,
    pipeline_root: str,
    serving_dir: str,
    data_dir: str,
    baseline: Baseline | None = None,
    metadata_connection_config: tfx.orchestration.metadata.ConnectionConfigType | None = None,
    schema_file: str = SCHEMA_FILE,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline that `config` describes.

    Args:
        config: what to run.
        pipeline_root: where artifacts go.
        serving_dir: where a blessed champion is pushed to, as `serving_dir/VERSION/`.
        data_dir: the TFDS data_dir that holds the data set or will hold it.
        baseline: gives, for a trained model's channel and its Evaluator's id, the model to beat's channel or None.
        metadata_connection_config: the metadata store; None where the runner has its own.
        schema_file: the schema's path on the machine that runs the pipeline.

    Raises:
        ValueError: `config.beam` lacks a field, or its workers could not reach `data_dir`.
    """
    beam_pipeline_args = beam.pipeline_args(config.beam)
    beam.check_folder(config.beam, "data_dir", data_dir)
    source = data_source(config, data_dir)
    spec = source.spec()
    example_gen = ExampleGen(
        source=source,
        spec=dataclasses.replace(spec, splits=dataclasses.replace(spec.splits, eval=config.data.eval_fraction)),
        min_speck=config.data.min_speck,
        max_megapixels=config.data.max_megapixels,
        max_quarantined=config.data.max_quarantined,
    )
    # Statistics of labels and names; image bytes have none worth the pass.
    statistics_gen = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        stats_options=tfdv.StatsOptions(feature_allowlist=list(pets.DESCRIBED_FEATURES)),
    )
    schema_gen = tfx.components.ImportSchemaGen(schema_file=schema_file)
    validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    # ExampleValidator only reports; this is what stops the run.
    gate = AnomalyGate(anomalies=validator.outputs["anomalies"])
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="trainer_module.preprocessing.preprocessing_fn",
        custom_config={
            "image_size": config.data.image_size,
            "code": fingerprint.of_code("trainer_module.preprocessing", "schema"),
        },
        # Decoded images as floats take forty times the JPEG's space: nothing is written, Trainers run the functions.
        materialize=False,
        disable_statistics=True,
    )
    transform.add_upstream_node(gate)

    nodes: list[tfx.types.BaseNode] = [example_gen, statistics_gen, schema_gen, validator, gate, transform]
    trainers, evaluators = {}, {}
    for model in pets.MODELS:
        trainers[model] = _trainer(config, model, example_gen, transform)
        nodes.append(trainers[model])
    for model in pets.MODELS:
        evaluator_id = f"Evaluator_{model}"
        candidate = trainers[model].outputs["model"]
        baseline_model = baseline(candidate, evaluator_id) if baseline else None
        evaluators[model] = tfx.components.Evaluator(
            examples=example_gen.outputs["examples"],
            model=candidate,
            baseline_model=baseline_model,
            example_splits=[pets.TEST],
            eval_config=evaluation.eval_config(config, baseline=baseline_model is not None),
        ).with_id(evaluator_id)
        if baseline_model is not None:
            nodes.append(baseline_model.producer_component)  # type: ignore[attr-defined]
        nodes.append(evaluators[model])

    comparison = ModelComparison(
        models={model: trainer.outputs["model"] for model, trainer in trainers.items()},
        runs={model: trainer.outputs["model_run"] for model, trainer in trainers.items()},
        evaluations={model: evaluator.outputs["evaluation"] for model, evaluator in evaluators.items()},
        blessings={model: evaluator.outputs["blessing"] for model, evaluator in evaluators.items()},
        examples=example_gen.outputs["examples"],
        anomalies=validator.outputs["anomalies"],
        rule=config.champion,
        config_json=config.to_json(),
        fingerprint=fingerprint.of_code("components.comparison", "components.metrics", "components.report"),
    )
    pusher = Pusher(
        model=comparison.outputs["champion"],
        model_blessing=comparison.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=[*nodes, comparison, pusher],
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


def data_source(config: Config, data_dir: str) -> datasets.OxfordPets | datasets.PetDrawings:
    """Where the examples come from."""
    data = config.data
    if data.dataset == "synthetic_pets":
        return datasets.PetDrawings(data.examples_per_breed, data_dir, data.border)
    return datasets.OxfordPets(data_dir, data.manual_dir, data.border)


def _trainer(
    config: Config, model: str, example_gen: ExampleGen, transform: tfx.components.Transform
) -> tfx.components.Trainer:
    return tfx.components.Trainer(
        # A dotted path of the installed package: workers find it, and no wheel is built for each run.
        run_fn="trainer_module.trainer.run_fn",
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        # The recipe's epochs decide; a number of steps would be a second way to say it.
        train_args=tfx.proto.TrainArgs(splits=[pets.TRAIN]),
        eval_args=tfx.proto.EvalArgs(splits=[pets.EVAL]),
        custom_config={
            "config": config.trainer(model).to_json(),
            "code": fingerprint.of_code("trainer_module", "schema"),
            "weights": fingerprint.of_weights(config.trainer(model).weights),
        },
    ).with_id(f"Trainer_{model}")
