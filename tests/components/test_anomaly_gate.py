import json

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tfx.components.example_validator.executor import Executor as ExampleValidator
from tfx.types import standard_artifacts

from components.anomaly_gate import AnomaliesFound, AnomalyGate
from schema import record
from tests.drawn import SPEC

DESCRIBED = ["breed", "species", "breed_name", "species_name", "size", record.FILE_NAME]
GOOD = {
    "image": b"jpeg",
    "mask": b"png",
    "breed": 3,
    "species": 1,
    "breed_name": b"basset_hound",
    "species_name": b"Dog",
    "size": b"small",
    "file_name": b"basset_hound_1.jpg",
}


def example(record):
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, bytes)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        for name, value in record.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


@pytest.fixture
def gate(tmp_path):
    """Statistics of one split's records -> ExampleValidator -> AnomalyGate, each with real artifacts."""

    def run(records):
        with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
            for features in records:
                writer.write(example(features).SerializeToString())
        statistics = standard_artifacts.ExampleStatistics()
        statistics.uri, statistics.split_names = str(tmp_path / "statistics"), '["train"]'
        (tmp_path / "statistics" / "Split-train").mkdir(parents=True)
        described = tfdv.generate_statistics_from_tfrecord(
            str(tmp_path / "records"),
            stats_options=tfdv.StatsOptions(feature_allowlist=DESCRIBED),
            pipeline_options=PipelineOptions(["--direct_running_mode=in_memory", "--direct_num_workers=1"]),
        )
        (tmp_path / "statistics" / "Split-train" / "FeatureStats.pb").write_bytes(described.SerializeToString())

        schema = standard_artifacts.Schema()
        schema.uri = str(tmp_path / "schema")
        (tmp_path / "schema").mkdir()
        text = text_format.MessageToString(record.schema(SPEC))
        (tmp_path / "schema" / "schema.pbtxt").write_text(text)

        anomalies = standard_artifacts.ExampleAnomalies()
        anomalies.uri = str(tmp_path / "anomalies")
        ExampleValidator().Do({"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {})

        passed = standard_artifacts.String()
        passed.uri = str(tmp_path / "passed")
        AnomalyGate.EXECUTOR_SPEC.executor_class().Do({"anomalies": [anomalies]}, {"passed": [passed]}, {"code": "any"})
        return json.loads(passed.read())

    return run


def test_good_data_passes_though_images_have_no_statistics(gate):
    assert set(gate([GOOD, GOOD])["train"]) == set(GOOD)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"breed": 37}, "Out-of-range"),
        ({"breed_name": b"unicorn"}, "unicorn"),
        ({"species_name": b"dog"}, "Unexpected string values"),
        ({"size": b"huge"}, "huge"),
    ],
)
def test_an_anomaly_stops_the_run_and_names_split_and_feature(gate, bad, reason):
    with pytest.raises(AnomaliesFound, match=rf"split train, feature '{next(iter(bad))}': .*{reason}"):
        gate([GOOD, GOOD | bad])


def test_a_missing_feature_stops_the_run(gate):
    lacking = {name: value for name, value in GOOD.items() if name != "species"}
    with pytest.raises(AnomaliesFound, match="feature 'species'"):
        gate([GOOD, lacking])
