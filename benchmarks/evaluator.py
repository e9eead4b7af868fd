"""The Evaluator's work on a trained model against a bare loop over the same SavedModel that counts with NumPy.

    python benchmarks/evaluator.py --model RUN/.../Format-Serving --examples 'RUN/.../Split-test/*'

Both load the model, predict both heads and take the labels from `transform_features`; the Evaluator adds every
slice, metric and interval of `pipeline.evaluation`. They take turns, and the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

from pipeline.configs import pets  # before TensorFlow, whose environment it sets

# isort: split
import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx_bsl.public import tfxio

from pipeline.evaluation import eval_config
from schema import spec_file

BATCH = 32
BEAM_ARGS = ["--direct_running_mode=in_memory", "--direct_num_workers=1"]


def bare_loop(model_path: str, pattern: str) -> int:
    """Counts pixels and breeds over all examples; returns how many those are."""
    model = tf.saved_model.load(model_path)
    predict, transform = (model.signatures[name] for name in ("serving_examples", "transform_features"))
    (argument,) = predict.structured_input_signature[1]
    pixels, breeds, examples = np.zeros((2, 2), np.int64), np.zeros((37, 37), np.int64), 0
    for batch in tf.data.TFRecordDataset(tf.io.gfile.glob(pattern)).batch(BATCH):
        predictions, labels = predict(**{argument: batch}), transform(**{argument: batch})
        predicted, pet = predictions["mask"].numpy() > 0.5, labels["mask"].numpy() > 0
        both = np.count_nonzero(predicted & pet)
        predicted_only, pet_only = np.count_nonzero(predicted) - both, np.count_nonzero(pet) - both
        pixels += [[pet.size - both - predicted_only - pet_only, predicted_only], [pet_only, both]]
        np.add.at(breeds, (labels["breed"].numpy(), predictions["breed"].numpy().argmax(axis=1)), 1)
        examples += len(pet)
    return examples


def evaluator(model_path: str, pattern: str) -> None:
    ours = eval_config(pets(), spec_file.shipped("oxford_iiit_pet"))
    config = tfma.utils.update_eval_config_with_defaults(ours)
    source = tfxio.TFExampleRecord(
        pattern, raw_record_column_name=tfma.constants.ARROW_INPUT_COLUMN, telemetry_descriptors=["benchmark"]
    )
    model = tfma.default_eval_shared_model(model_path, eval_config=config)
    options = beam.options.pipeline_options.PipelineOptions(BEAM_ARGS)
    with tempfile.TemporaryDirectory() as output, beam.Pipeline(options=options) as root:
        _ = (
            root
            | source.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(eval_shared_model=model, eval_config=config, output_path=output)
        )


def seconds(work: Callable[[str, str], object], model_path: str, pattern: str) -> float:
    start = time.perf_counter()
    work(model_path, pattern)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a SavedModel of both heads, on breeds")
    parser.add_argument("--examples", required=True, help="pattern of TFRecord files of ExampleGen")
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    rounds = [
        [seconds(work, flags.model, flags.examples) for work in (bare_loop, evaluator)] for _ in range(flags.rounds)
    ]
    loop, full = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"bare loop {loop:.1f} s, Evaluator {full:.1f} s: {full / loop:.2f} times (median of {flags.rounds})")


if __name__ == "__main__":
    main()
