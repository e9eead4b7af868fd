"""`TfdsExampleGen`: a TFDS pets data set becomes the splits train, eval and test of `tf.Example`s."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.example_gen import executor, fingerprint

DATASETS = ("synthetic_pets", "oxford_iiit_pet")


class TfdsExampleGenSpec(component_spec.ComponentSpec):
    """Parameters and outputs of `TfdsExampleGen`."""

    PARAMETERS = {  # noqa: RUF012 - TFX reads class attributes
        "dataset": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str),
        "manual_dir": component_spec.ExecutionParameter(type=str),
        "examples_per_breed": component_spec.ExecutionParameter(type=int),
        "border": component_spec.ExecutionParameter(type=str),
        "min_speck": component_spec.ExecutionParameter(type=float),
        "eval_fraction": component_spec.ExecutionParameter(type=float),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {}  # noqa: RUF012 - TFX reads class attributes
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012 - TFX reads class attributes


class TfdsExampleGen(base_beam_component.BaseBeamComponent):
    """Prepares the data set where it is not, and writes `schema.pets` records with clean masks by Beam.

    TFDS' `test` becomes split `test`; of TFDS' `train`, the photos of each breed with the smallest hashes of their
    names become split `eval` and the others split `train`. Next to the splits lies `summary.json`, see
    `components.example_gen.executor`.
    """

    SPEC_CLASS = TfdsExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        dataset: str,
        data_dir: str = "",
        manual_dir: str = "",
        examples_per_breed: int = 0,
        border: str = "pet",
        min_speck: float = 0.001,
        eval_fraction: float = 0.1,
    ) -> None:
        """Makes the component, with the fingerprint of code and data in its cache key; the data may not be there yet.

        Args:
          dataset: One of `DATASETS`.
          data_dir: A TFDS data_dir, prepared or to be prepared; empty for TFDS' default.
          manual_dir: A folder with the official images.tar.gz and annotations.tar.gz; empty to download them.
          examples_per_breed: Size of the synthetic set, see `SyntheticPets`; ignored by the real one.
          border: What a trimap's border counts as: `pet`, `background` or `ignore`.
          min_speck: Areas of a mask smaller than this share of the picture are dropped, in [0, 1).
          eval_fraction: Share of each breed's training photos that becomes split `eval`, in (0, 1).

        Raises:
          ValueError: A value is out of its range.
        """
        if dataset not in DATASETS:
            raise ValueError(f"dataset is {dataset!r}; choose one of {', '.join(DATASETS)}")
        if border not in ("pet", "background", "ignore"):
            raise ValueError(f"border is {border!r}; choose pet, background or ignore")
        if not 0 <= min_speck < 1:
            raise ValueError(f"min_speck is {min_speck}; a share of the picture lies in [0, 1)")
        if not 0 < eval_fraction < 1:
            raise ValueError(f"eval_fraction is {eval_fraction}; a share of the photos lies in (0, 1)")
        spec = TfdsExampleGenSpec(
            dataset=dataset,
            data_dir=data_dir,
            manual_dir=manual_dir,
            examples_per_breed=examples_per_breed,
            border=border,
            min_speck=min_speck,
            eval_fraction=eval_fraction,
            fingerprint=fingerprint.fingerprint(dataset, data_dir),
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec=spec)
