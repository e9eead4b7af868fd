"""Whether the champion is pushed: against the serving model on the same photos, and by what the audit found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components import contract
from components.comparison import champion, paired
from components.comparison.inputs import Inputs
from components.comparison.predictions import Predictions, Truth, answers, batches, predict
from components.comparison.results import Decision, Difference
from components.metrics import results
from schema import record
from schema.dataset_spec import SIZE, DatasetSpec


def decide(
    inputs: Inputs,
    candidates: Sequence[champion.Candidate],
    chosen: champion.Candidate,
    truth: Truth,
    predictions: Mapping[str, Predictions],
    data_refusals: tuple[str, ...],
) -> Decision:
    """Holds the champion against the serving model and the other contestants, on the same photos.

    Args:
      inputs: What the comparison reads.
      candidates: Every model, as the rule sees it.
      chosen: The champion among them.
      truth: Of split `test`.
      predictions: Every model's, by its name.
      data_refusals: Sentences that say why the data let no model be pushed.

    Raises:
      ValueError: The serving model has other classes.
    """
    of_models = {name: answers(truth, found, inputs.heads) for name, found in predictions.items()}
    of_champion = of_models.pop(chosen.name)
    everything = {results.OVERALL: np.arange(len(truth.file_names))}
    slices = everything | slices_of(truth, inputs.spec)
    against_serving: tuple[Difference, ...] = ()
    if inputs.serving:
        _check_comparable(inputs.serving, inputs.models[chosen.name].saved_model)
        # Asked by itself, for its masks may have another size, and so another truth.
        serving = {"serving": tf.saved_model.load(inputs.serving).signatures}
        its_truth, found = predict(serving, batches(inputs.splits[record.TEST]), inputs.spec, inputs.heads)
        of_serving = answers(its_truth, found["serving"], inputs.heads)
        against_serving = paired.compare(of_champion, of_serving, slices, inputs.max_drop)
    refusals = paired.refusals(against_serving, inputs.max_drop)
    return Decision(
        rule=inputs.rule,
        scores={candidate.name: candidate.score(inputs.rule) for candidate in candidates},
        blessed=chosen.blessed and chosen.score(inputs.rule) is not None and not refusals and not data_refusals,
        sentence=chosen.sentence(inputs.rule),
        max_drop=inputs.max_drop,
        against_serving=against_serving,
        against_contestants={
            name: paired.compare(of_champion, of_other, everything, margin=0.0) for name, of_other in of_models.items()
        },
        refusals=refusals,
        data_refusals=data_refusals,
    )


def _check_comparable(serving: str, model: str) -> None:
    its, ours = (contract.description(folder) for folder in (serving, model))
    for key, is_ours in ours.items():
        if key in ("label", "classes", "mask") and its.get(key) != is_ours:
            raise ValueError(
                f"the serving model {serving} cannot be compared with the champion: its {key} is {its.get(key)}, "
                f"the champion's {is_ours}; give a model with the same classes, or none"
            )


def slices_of(truth: Truth, spec: DatasetSpec) -> dict[str, npt.NDArray[np.int64]]:
    """Indices of the examples of each slice, by its name."""
    members: dict[str, list[int]] = {}
    for names in {frozenset(names): names for names in spec.slices}.values():  # one that is named twice counts once
        ordered = [name for name in (*truth.labels, SIZE) if name in names]
        for index, values in enumerate(zip(*(truth.slices[name] for name in ordered), strict=True)):
            members.setdefault(results.slice_name(dict(zip(ordered, values, strict=True))), []).append(index)
    return {name: np.array(indices) for name, indices in members.items()}
