"""Makes sure that TFDS has prepared the data set: drawn, downloaded, from archives at hand, or found as it is."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import urllib.error
import urllib.request

import tensorflow_datasets as tfds

from schema import pets

_progress = logging.getLogger("progress")

_PREPARED_SHARDS = 4
"""Shards a split of a data set that is prepared here: what can be read at once."""

_HOST = "thor.robots.ox.ac.uk"
_ARCHIVES = ("images.tar.gz", "annotations.tar.gz")
_THREE_WAYS = (
    f"\nProvide it in one of three ways: a network that reaches {_HOST}; a manual_dir with the official "
    f"{' and '.join(_ARCHIVES)}; or a data_dir in which TFDS has prepared it."
)


def prepared_builder(dataset: str, data_dir: str, manual_dir: str, examples_per_breed: int) -> tfds.core.DatasetBuilder:
    """The data set's builder, its data prepared: found so (no network is touched then), or made so now.

    Raises:
      RuntimeError: The data is not there and cannot be prepared; the message lists the ways to provide it.
      ValueError: It is there, but with other classes than those of `schema.pets`.
    """
    folder = os.path.expanduser(data_dir) or None
    builder: tfds.core.DatasetBuilder
    if dataset == "synthetic_pets":
        from components.datasets.synthetic_pets import SyntheticPets

        builder = SyntheticPets(examples_per_breed=examples_per_breed, data_dir=folder)
    else:
        builder = tfds.builder("oxford_iiit_pet:4.*.*", data_dir=folder)
    if not builder.is_prepared():
        _prepare(builder, manual_dir)
    _check_classes(builder)
    return builder


def _prepare(builder: tfds.core.DatasetBuilder, manual_dir: str) -> None:
    official = builder.name == "oxford_iiit_pet"
    _progress.info("preparing %s in %s", builder.name, builder.data_dir)
    manual = os.path.expanduser(manual_dir) or None
    config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False, num_shards=_PREPARED_SHARDS)
    tfds.disable_progress_bar()
    try:
        if official:
            _require_archives(builder, manual)
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=config)
    except Exception as error:
        raise RuntimeError(
            f"{builder.name} is not prepared in {builder.data_dir} and could not be prepared there: {error}"
            + (_THREE_WAYS if official else "")
        ) from error


def _require_archives(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    """Checks at once that the official archives can be had: TFDS itself retries a dead network for minutes.

    Raises:
      OSError: manual_dir lacks an archive; or there is none, nothing was downloaded earlier, and no host answers.
    """
    if manual_dir:
        missing = [name for name in _ARCHIVES if not os.path.exists(os.path.join(manual_dir, name))]
        if missing:
            raise FileNotFoundError(f"manual_dir {manual_dir} lacks {' and '.join(missing)}")
    elif not builder.data_path.parents[1].joinpath("downloads").exists():
        _progress.info("downloading 811 MB from %s", _HOST)
        with contextlib.suppress(urllib.error.HTTPError):  # any answer will do
            urllib.request.urlopen(urllib.request.Request(f"https://{_HOST}", method="HEAD"), timeout=20)


def _check_classes(builder: tfds.core.DatasetBuilder) -> None:
    for feature, names in (("label", pets.BREEDS), ("species", pets.SPECIES)):
        found = tuple(builder.info.features[feature].names)
        if found != names:
            raise ValueError(f"{builder.info.full_name} has the {feature} names {found}, expected {names}")
