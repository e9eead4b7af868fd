"""Judges a pushed model on split `test` of any prepared TFDS data_dir, without the pipeline.

    python tools/evaluate_model.py runs/pets/serving/VERSION --data-dir DIR

Reads photos and trimaps as TFDS gives them (the border counts as pet), asks the model's `serving_examples`, and counts
with NumPy: breed accuracy, species accuracy (probabilities summed over a species' breeds), F1 over all pixels. A second
opinion on the Evaluator's figures, and the way to judge masks on other photos than those of the run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from schema import spec_file

_BATCH = 32
_BACKGROUND = 2
_IS_DOG = np.array(spec_file.shipped("oxford_iiit_pet").label("species").parents, np.float32)


def main() -> None:
    """Prints the figures, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a SavedModel, such as runs/pets/serving/VERSION")
    parser.add_argument("--data-dir", required=True, help="TFDS data_dir in which oxford_iiit_pet is prepared")
    arguments = parser.parse_args()
    builder = tfds.builder("oxford_iiit_pet", data_dir=arguments.data_dir)
    if not builder.is_prepared():
        parser.error(f"oxford_iiit_pet is not prepared in --data-dir {arguments.data_dir}")
    if not tf.saved_model.contains_saved_model(arguments.model):
        parser.error(f"{arguments.model} is no folder of a SavedModel")
    serve = tf.saved_model.load(arguments.model).signatures["serving_examples"]
    if refused := unfit(serve.structured_outputs):
        parser.error(f"{arguments.model} {refused}: give one that was trained on the pets")
    photos = builder.as_dataset(split="test", decoders={"image": tfds.decode.SkipDecoding()})
    for name, value in evaluate(serve, photos).items():
        print(f"{name:<18} {value:.4f}")


def unfit(outputs: Mapping[str, tf.TensorSpec]) -> str:
    """Why a model of these outputs has no figures here; empty where it has some."""
    if "breed" not in outputs and "mask" not in outputs:
        return f"answers {' and '.join(outputs)}, neither breed nor mask"
    if "mask" in outputs and outputs["mask"].shape[-1] > 1:
        return f"tells {outputs['mask'].shape[-1] - 1} classes of a mask's pixels apart, not pet from background"
    return ""


def evaluate(serve: Callable[..., dict[str, tf.Tensor]], photos: tf.data.Dataset) -> dict[str, float]:
    """The figures of a SavedModel's `serving_examples` on `photos`, decoded but for `image` (JPEG bytes)."""
    breeds, species, predicted_breeds, predicted_species = [], [], [], []
    overlap = total = 0.0
    for batch in photos.ragged_batch(_BATCH):
        answer = serve(examples=tf.constant([_record(photo) for photo in batch["image"].numpy()]))
        if "breed" in answer:
            probabilities = answer["breed"].numpy()
            breeds.append(batch["label"].numpy())
            species.append(batch["species"].numpy())
            predicted_breeds.append(probabilities.argmax(axis=1))
            predicted_species.append((probabilities @ _IS_DOG > 0.5).astype(int))
        if "mask" in answer:
            for trimap, probability in zip(batch["segmentation_mask"], answer["mask"].numpy(), strict=True):
                truth = tf.image.resize(_dense(trimap), probability.shape[:2], method="nearest").numpy() != _BACKGROUND
                predicted = probability > 0.5
                overlap += np.count_nonzero(truth & predicted)
                total += np.count_nonzero(truth) + np.count_nonzero(predicted)
    figures = {}
    if breeds:
        figures["breed accuracy"] = np.mean(np.concatenate(breeds) == np.concatenate(predicted_breeds))
        figures["species accuracy"] = np.mean(np.concatenate(species) == np.concatenate(predicted_species))
    if total:
        figures["mask F1"] = 2 * overlap / total
    return figures


def _record(photo: bytes) -> bytes:
    image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[photo]))
    return tf.train.Example(features=tf.train.Features(feature={"image": image})).SerializeToString()


def _dense(trimap: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    return trimap.to_tensor() if isinstance(trimap, tf.RaggedTensor) else trimap


if __name__ == "__main__":
    main()
