import pickle

import pytest


@pytest.fixture(scope="session")
def tfma_evaluate(tmp_path_factory):
    """Runs TFMA's own evaluation: (metric configs, labels, predictions, slices, options) -> {slice: {name: value}}."""
    # Imported here: other tests of this folder need none of it.
    import apache_beam as beam
    import tensorflow as tf
    from tensorflow_model_analysis.evaluators.metrics_plots_and_validations_evaluator import (
        MetricsPlotsAndValidationsEvaluator,
    )
    from tensorflow_model_analysis.proto import config_pb2

    def evaluate(metrics, labels, predictions, slices=None, options=None):
        eval_config = config_pb2.EvalConfig(
            model_specs=[config_pb2.ModelSpec()],
            metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
            options=options or config_pb2.Options(),
        )
        extracts = [
            {"labels": label, "predictions": prediction, "input": b"%d" % row, "_slice_key_types": [()]}
            for row, (label, prediction) in enumerate(zip(labels, predictions, strict=True))
        ]
        for extract, value in zip(extracts, slices if slices is not None else [], strict=False):
            extract["_slice_key_types"].append((("slice", value),))
        path = str(tmp_path_factory.mktemp("tfma") / "results")
        beam_args = ["--direct_running_mode=in_memory", "--direct_num_workers=1"]
        with beam.Pipeline(options=beam.options.pipeline_options.PipelineOptions(beam_args)) as root:
            # Unseeded, TFMA's jackknife draws its samples anew in every run, now and then of very uneven sizes.
            evaluator = MetricsPlotsAndValidationsEvaluator(eval_config, random_seed_for_testing=0)
            evaluation = root | beam.Create(extracts) | evaluator.ptransform
            _ = evaluation["metrics"] | beam.Map(pickle.dumps) | beam.io.WriteToTFRecord(path, shard_name_template="")
        results = [pickle.loads(record) for record in tf.data.TFRecordDataset(path).as_numpy_iterator()]
        return {key: {metric.name: value for metric, value in values.items()} for key, values in results}

    return evaluate
