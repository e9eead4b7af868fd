from __future__ import annotations

import pytest

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


def test_a_value_out_of_range_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--dcnn.input-size", "100")
    assert "multiple of 32" in capsys.readouterr().err


def test_pretrained_weights_are_for_mobilenet_alone() -> None:
    config = _parse("--weights", "some.h5")
    assert config.trainer("mobilenet_v3_small").weights == "some.h5"
    assert config.trainer("dcnn").weights == "none"
