"""What is read of an Evaluator's results, without one."""

from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from components.metrics import results
from components.metrics.results import Interval
from schema import record, spec_file

SPEC = spec_file.shipped("synthetic_pets")


def test_a_slice_whose_classes_are_unknown_has_no_accuracy() -> None:
    loaded = metrics_for_slice_pb2.MetricsForSlice()
    loaded.slice_key.single_slice_keys.add(column="breed_name", bytes_value=b"(unknown)")
    names = ("example_count", "accuracy", "majority_share", "gain_over_majority", "macro_f1", "weighted_f1")
    for name in (*names, "worst_class_f1", "log_loss", "calibration_error"):
        measured = loaded.metric_keys_and_values.add()
        measured.key.name, measured.key.output_name = name, "breed"
        measured.value.double_value.value = 0.0
    found = results._figures(loaded, SPEC).classification
    assert found
    assert found.example_count == 0
    assert found.accuracy == found.macro_f1 == found.log_loss == Interval(None)
    assert found.majority_share is None


def test_the_slice_of_photos_without_a_mask_stands_behind_the_sizes() -> None:
    places = []
    for size in (*record.SIZES, record.UNKNOWN_NAME):
        key = metrics_for_slice_pb2.SliceKey()
        key.single_slice_keys.add(column="species_name", bytes_value=b"Cat")
        key.single_slice_keys.add(column="size", bytes_value=size.encode())
        places.append(results._place(key, SPEC))
    assert places == sorted(places)
    assert len(set(places)) == 4
