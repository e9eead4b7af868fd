from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

import kubeflow_runner
from pipeline import flags
from pipeline.configs import CONFIGS, Config
from pipeline.kubeflow import commands
from tests.drawn import SPEC


def _parse(*arguments: str) -> Config:
    return flags.parse(arguments, "runner.py", "Runs.")


def test_without_flags_the_sample_config_runs() -> None:
    assert _parse() == CONFIGS["sample"]()


@pytest.mark.parametrize("name", CONFIGS)
def test_config_names_a_config(name: str) -> None:
    assert _parse("--config", name) == CONFIGS[name]()


def test_flags_change_fields_at_any_depth() -> None:
    config = _parse(
        *(
            "--config",
            "debug",
            "--data-dir",
            "somewhere",
            "--label",
            "species",
            "--mobilenet-v3-small.phases.1.epochs",
            "7",
        )
    )
    assert config.data_dir == "somewhere"
    assert config.trainer("mobilenet_v3_small", SPEC).heads.label == SPEC.label("species")
    assert config.contestants["mobilenet_v3_small"].phases[1].epochs == 7
    assert config.contestants["dcnn"] == CONFIGS["debug"]().contestants["dcnn"]


def test_contestants_stand_apart_as_other_lists_do() -> None:
    config = _parse("--edge", "--contestants", "dcnn", "large=mobilenet_v3_large", "--seed", "7")
    assert list(config.contestants) == ["dcnn", "large"]
    assert (config.edge, config.seed) == ((), 7)


def test_contestants_are_dropped_added_and_changed_by_flags() -> None:
    config = _parse(
        *("--config", "debug", "--contestants", "mobilenet_v3_small,large=mobilenet_v3_large,resnet50_v2"),
        *("--large.width", "0.75", "--resnet50-v2.batch-size", "8"),
    )
    assert list(config.contestants) == ["mobilenet_v3_small", "large", "resnet50_v2"]
    debug = CONFIGS["debug"]().contestants
    assert config.contestants["mobilenet_v3_small"] == debug["mobilenet_v3_small"]
    large, resnet = config.contestants["large"], config.contestants["resnet50_v2"]
    assert (large.network, large.width, large.phases) == (
        "mobilenet_v3_large",
        0.75,
        debug["mobilenet_v3_small"].phases,
    )
    assert (resnet.network, resnet.width, resnet.batch_size) == ("resnet50_v2", 1.0, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet", "contestants names 'resnet'"),
        ("A=dcnn", "contestants is 'A'"),
        ("x=", "names 'x='"),
        ("serving=dcnn", "contestants is 'serving'"),
        ("big=dcnn,big=resnet50_v2", "names 'big' twice"),
        ("dcnn,dcnn=resnet50_v2", "names 'dcnn' twice"),
        ("dcnn=resnet50_v2,dcnn", "names 'dcnn' twice"),
    ],
)
def test_an_unknown_network_is_refused(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--contestants", text)
    assert message in capsys.readouterr().err


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
        ("--thresholds.max-drop", "nan", "at least 0 and at most 1"),
        ("--dcnn.width", "0", "at least 0.1"),
        ("--mobilenet-v3-small.width", "-1", "at least 0.1"),
        ("--dcnn.label-smoothing", "3", "at least 0 and below 1"),
        ("--dcnn.label-smoothing", "2", "at least 0 and below 1"),
        ("--dcnn.dropout", "1", "at least 0 and below 1"),
        ("--dcnn.ema", "1.5", "at least 0 and below 1"),
        ("--dcnn.batch-size", "0", "at least 1"),
        ("--dcnn.batch-size", "-4", "at least 1"),
        ("--dcnn.input-size", "100", "a multiple of 32"),
        ("--mobilenet-v3-small.probe-passes", "-1", "at least 0"),
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
        ("--data.drawings", "-1", "at least 0"),
        ("--data.min-speck", "1", "at least 0 and below 1"),
        ("--robustness", "-1", "at least 0"),
        ("--thresholds.robust-accuracy", "1.5", "at least 0 and at most 1"),
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


def test_weights_that_no_contestant_starts_from_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _parse("--contestants", "dcnn", "--weights", "none").weights == "none"
    with pytest.raises(SystemExit) as ended:
        _parse("--contestants", "dcnn", "--weights", "some.h5")
    assert ended.value.code == 2
    assert "weights is 'some.h5', but dcnn would not start from it: leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("figure", ["accuracy", "mask-f1"])
def test_a_bar_for_corrupted_photos_without_any_is_refused_at_once(
    figure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = f"--thresholds.robust-{figure}"
    assert _parse(bar, "0.5", "--robustness", "100").robustness == 100
    with pytest.raises(SystemExit) as end:
        _parse(bar, "0.5")
    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"runner.py: {bar} is set, but robustness is 0")


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


def test_the_runs_weights_are_for_the_recipes_that_name_none() -> None:
    config = _parse("--weights", "some.h5")
    assert config.trainer("mobilenet_v3_small", SPEC).weights == "some.h5"
    assert config.trainer("dcnn", SPEC).weights == "none"


def test_the_report_is_told_from_which_weights_each_contestant_starts() -> None:
    config = _parse("--config", "own", "--contestants", "dcnn,mobilenet_v3_small", "--weights", "some.h5")
    told = json.loads(config.to_json())["contestants"]
    assert {name: recipe["weights"] for name, recipe in told.items()} == {
        "dcnn": "none",  # its network has no pretrained ones
        "mobilenet_v3_small": "some.h5",
    }


@pytest.mark.parametrize(
    ("arguments", "edge"),
    [
        (["--edge", "onnx", "--seed", "1", "--edge=int8", "float16"], ("onnx", "int8", "float16")),
        (["--edge", "onnx", "--edge"], ()),
        (["--edge", "--edge", "onnx"], ("onnx",)),
        ([], CONFIGS["sample"]().edge),
    ],
)
def test_a_list_given_several_times_has_the_values_since_it_was_last_given_empty(
    arguments: list[str], edge: tuple[str, ...]
) -> None:
    assert _parse(*arguments).edge == edge


def test_every_list_takes_all_that_its_flags_give() -> None:
    config = _parse(
        *("--contestants", "dcnn", "--contestants", "large=mobilenet_v3_large,resnet50_v2"),
        *("--data.annotations", "train=a.json", "--data.annotations", "val=b.json"),
    )
    assert list(config.contestants) == ["dcnn", "large", "resnet50_v2"]
    assert config.data.annotations == ("train=a.json", "val=b.json")


def test_help_states_a_lists_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--help")
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "the data are not looked at. (default: eval test)" in text


def test_the_kubeflow_runner_takes_all_parameters_of_a_run() -> None:
    several = ["--parameter", "min_accuracy=0.8", "--parameter", "data_dir=/mnt"]
    assert flags.command_of(several, "submit", commands.Submit).parameter == ("min_accuracy=0.8", "data_dir=/mnt")


def test_a_loss_of_nothing_is_refused() -> None:
    config = _parse("--task", "segmentation", "--contestants", "dcnn", "--dcnn.mask-loss-weight", "0")
    with pytest.raises(
        ValueError, match=r"dcnn\.mask_loss_weight is 0, but the networks of this run have only a mask head"
    ):
        config.trainer("dcnn", SPEC)
    dataclasses.replace(config, task="both").trainer("dcnn", SPEC)


def test_help_that_nobody_reads_on_ends_quietly() -> None:
    command = [sys.executable, "-c", "import sys; from pipeline import flags; flags.parse(['--help'], 'program', '')"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as nobody:
        process = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (process.stderr, process.returncode) == (b"", 0)
