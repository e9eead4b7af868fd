from __future__ import annotations

import pytest

import kubeflow_runner
from pipeline import flags
from pipeline.configs import CONFIGS, Config


def _parse(*arguments: str) -> Config:
    return flags.parse(arguments, "runner.py", "Runs.")


def test_without_flags_the_sample_config_runs() -> None:
    assert _parse() == CONFIGS["sample"]()


@pytest.mark.parametrize("name", CONFIGS)
def test_config_names_a_config(name: str) -> None:
    assert _parse("--config", name) == CONFIGS[name]()


def test_flags_change_fields_at_any_depth() -> None:
    config = _parse(
        *("--config", "debug", "--data-dir", "somewhere", "--label", "species", "--mobilenet.phases.1.epochs", "7")
    )
    assert config.data_dir == "somewhere"
    assert config.trainer("mobilenet_v3_small").label == "species"
    assert config.mobilenet.phases[1].epochs == 7
    assert config.dcnn == CONFIGS["debug"]().dcnn


def test_an_unknown_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--epoch", "3")
    assert "--epoch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "range_"),
    [
        ("--thresholds.accuracy", "80", "at least 0 and at most 1"),
        ("--thresholds.accuracy", "nan", "at least 0 and at most 1"),
        ("--thresholds.mask-f1", "2", "at least 0 and at most 1"),
        ("--thresholds.mask-f1", "-1", "at least 0 and at most 1"),
        ("--thresholds.max-drop", "nan", "at least -1 and at most 1"),
        ("--dcnn.width", "0", "at least 0.1"),
        ("--mobilenet.width", "-1", "at least 0.1"),
        ("--dcnn.label-smoothing", "3", "at least 0 and below 1"),
        ("--dcnn.label-smoothing", "2", "at least 0 and below 1"),
        ("--dcnn.dropout", "1", "at least 0 and below 1"),
        ("--dcnn.ema", "1.5", "at least 0 and below 1"),
        ("--dcnn.batch-size", "0", "at least 1"),
        ("--dcnn.batch-size", "-4", "at least 1"),
        ("--dcnn.input-size", "100", "a multiple of 32"),
        ("--mobilenet.probe-passes", "-1", "at least 0"),
        ("--dcnn.phases.0.epochs", "-3", "at least 1"),
        ("--dcnn.phases.0.learning-rate", "-1", "above 0"),
        ("--dcnn.phases.0.learning-rate", "0", "above 0"),
        ("--dcnn.phases.0.input-size", "100", "a multiple of 32"),
        ("--dcnn.augmentation.min-scale", "0", "above 0 and at most 1"),
        ("--dcnn.augmentation.min-scale", "5", "above 0 and at most 1"),
        ("--dcnn.augmentation.cutmix", "2", "at least 0 and at most 1"),
        ("--dcnn.augmentation.colour", "-1", "at least 0 and at most 1"),
        ("--dcnn.augmentation.aspect", "0", "at least 1"),
        ("--data.image-size", "0", "at least 32 and at most 2048"),
        ("--data.image-size", "7", "at least 32 and at most 2048"),
        ("--data.image-size", "100000", "at least 32 and at most 2048"),
        ("--data.examples-per-breed", "0", "at least 2"),
        ("--data.eval-fraction", "1", "above 0 and below 1"),
        ("--beam.workers", "-1", "at least 0"),
        ("--cache-mb", "-1", "at least 0"),
        ("--seed", "-1", "at least 0"),
        ("--seed", str(2**40), "at most 4294967295"),
        ("--name", "a/b", "letters, digits"),
        ("--run-dir", "runs[1]", "a path without * ? [ ]"),
        ("--data-dir", "data*", "a path without * ? [ ]"),
        ("--weights", "a\nb", "one line of readable text"),
    ],
)
def test_a_value_out_of_range_is_one_sentence_with_flag_value_and_range(
    flag: str, value: str, range_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        _parse(f"{flag}={value}")
    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"runner.py: {flag} is ")
    assert range_ in line


def test_imagenet_weights_are_those_of_two_widths(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--weights", "imagenet", "--mobilenet.width", "0.5")
    assert "--weights is 'imagenet' and mobilenet.width is 0.5: Keras has" in capsys.readouterr().err


def test_help_states_each_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--help")
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Smallest accuracy of the class head. [at least 0 and at most 1]" in text


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("compile", ["--thresholds.accuracy", "80"], "--thresholds.accuracy is 80.0"),
        ("compile", ["--deployment.retries=-1"], "--deployment.retries is -1"),
        ("compile", ["--deployment.trainer.cpu", "0"], "--deployment.trainer.cpu is 0.0"),
        ("compile", ["--deployment.trainer-tolerations", "gpu"], "--deployment.trainer-tolerations.0 is 'gpu'"),
        ("compile", ["--deployment.volume", "/mnt"], "--deployment.volume is '/mnt': it must be CLAIM:/FOLDER"),
        ("compile", ["--weights", "some.h5"], "weights is 'some.h5', which no step would find"),
        ("schedule", ["--every-seconds=-5"], "--every-seconds is -5: it must be at least 0"),
        ("schedule", [], "--cron or --every-seconds must be given"),
        ("schedule", ["--cron", "0 3 * * *"], "write '0 0 3 * * *'"),
        ("wait", ["some-run", "--poll-seconds", "0"], "--poll-seconds is 0.0: it must be above 0"),
        ("submit", ["--parameter", "min_accuracy"], "--parameter.0 is 'min_accuracy': it must be NAME=VALUE"),
    ],
)
def test_the_kubeflow_runner_refuses_in_the_same_way(
    name: str, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubeflow_runner.py", name, *arguments])
    try:
        status = kubeflow_runner.main()
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"kubeflow_runner.py {name}: ")
    assert message in line


def test_pretrained_weights_are_for_mobilenet_alone() -> None:
    config = _parse("--weights", "some.h5")
    assert config.trainer("mobilenet_v3_small").weights == "some.h5"
    assert config.trainer("dcnn").weights == "none"
