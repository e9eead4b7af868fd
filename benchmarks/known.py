"""How well a trained network tells strange pictures from split test: by its features, by its mask's doubt, by both.

    python benchmarks/known.py --model RUN/pipeline/Trainer_dcnn/model/ID/Format-Serving
        --examples RUN/pipeline/ExampleGen/examples/ID [--config pets] [--contestant dcnn] [--spec FILE]
        [--others FOLDER…]

The area under the ROC curve of photos of `test` against the pictures that a run's report draws, and against the photos
of each folder; and what share of each is taken for known. See trainer_module/likeness.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

from pipeline.configs import CONFIGS  # before TensorFlow, whose environment it sets

# isort: split
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from components.comparison import foreign
from schema import record, spec_file
from serving import listing
from trainer_module import inputs, photos, preprocessing
from trainer_module.likeness import FEATURES, Likeness
from trainer_module.looks import Looks
from trainer_module.models import build_model

BATCH = 16
MOST = 1000
"""Pictures of a split or a folder, evenly spread."""

Array = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the SavedModel that a Trainer exported")
    parser.add_argument("--examples", required=True, help="output of ExampleGen")
    parser.add_argument("--config", choices=sorted(CONFIGS), default="pets")
    parser.add_argument("--contestant", default="dcnn")
    parser.add_argument("--spec", help="description of the data, if it is not Oxford-IIIT Pet")
    parser.add_argument("--others", nargs="*", default=[], help="folders of photos")
    flags = parser.parse_args()

    run = dataclasses.replace(CONFIGS[flags.config](), weights="none")
    spec = spec_file.load(flags.spec) if flags.spec else spec_file.shipped("oxford_iiit_pet")
    config, image_size = run.trainer(flags.contestant, spec), run.data.image_size
    looks = Looks(build_model(config.serving, with_features=True), config, image_size)
    for variable, trained in zip(looks.model.variables, tf.saved_model.load(flags.model)._weights, strict=True):
        variable.assign(trained)

    def of_photos(encoded: Iterable[bytes]) -> Iterator[tf.Tensor]:
        for batch in tf.data.Dataset.from_tensor_slices(list(encoded)).batch(BATCH):
            found = photos.decode_photos(batch, image_size, looks.size)
            yield preprocessing.normalise_image(found.pixels[found.errors == ""])

    def asked(pictures: Iterable[tf.Tensor]) -> Array:
        return np.concatenate([looks.first(batch)[FEATURES].numpy() for batch in pictures])

    train, evaluation, test = (
        asked(inputs.sample_pictures(inputs.Split.of([files]), config, image_size, MOST, looks.size))
        for files in (f"{flags.examples}/Split-{split}/*" for split in record.SPLITS)
    )
    likeness = Likeness.fit(train, evaluation, with_doubt=bool(config.heads.mask))
    others = {kind: foreign.photos(kind) for kind in foreign.KINDS}
    for folder in flags.others:
        paths = list(listing.photos([folder]))
        others[folder] = [pathlib.Path(path).read_bytes() for path in paths[:: -(-len(paths) // MOST)]]
    print(f"{'':30s} pictures  features     doubt      both  known by both")
    print(f"{'split test':30s} {len(test):8d} {'':29s} {np.mean(likeness.known(test) >= 0.5):10.3f}")
    for name, encoded in others.items():
        strange = asked(of_photos(encoded))
        is_strange = np.concatenate([np.zeros(len(test)), np.ones(len(strange))])
        features = np.concatenate([test, strange])
        scores = (*likeness.distance_and_doubt(features), likeness.strangeness(features))
        areas = "".join(f"{roc_auc_score(is_strange, score):10.3f}" for score in scores)
        print(f"{name[-30:]:30s} {len(strange):8d}{areas} {np.mean(likeness.known(strange) >= 0.5):10.3f}")


if __name__ == "__main__":
    main()
