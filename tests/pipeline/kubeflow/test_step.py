from __future__ import annotations

import json

from pipeline.kubeflow.step import paths_of_change, paths_of_value, with_value


def test_a_value_is_set_inside_json_inside_json() -> None:
    tree = {"custom_config": json.dumps({"config": json.dumps({"phases": [{"epochs": 2}, {"epochs": 10}]})})}
    changed = with_value(tree, ("custom_config", "config", "phases", 1, "epochs"), 3)
    config = json.loads(json.loads(changed["custom_config"])["config"])
    assert config == {"phases": [{"epochs": 2}, {"epochs": 3}]}


def test_a_number_is_not_rounded_where_a_whole_one_stood() -> None:
    tree = {"config": json.dumps({"thresholds": {"accuracy": 0}})}
    changed = with_value(tree, ("config", "thresholds", "accuracy"), 0.7)
    assert json.loads(changed["config"]) == {"thresholds": {"accuracy": 0.7}}


def test_the_tree_itself_is_left_as_it_was() -> None:
    tree = {"a": {"b": 1}}
    assert with_value(tree, ("a", "b"), 2) == {"a": {"b": 2}}
    assert tree == {"a": {"b": 1}}


def test_only_what_became_the_value_is_a_path() -> None:
    before = {"data_dir": "/a", "fingerprint": "12", "json": '{"data_dir": "/a", "n": [0, 1]}'}
    after = {"data_dir": "/b", "fingerprint": "34", "json": '{"data_dir": "/b", "n": [0, 1]}'}
    assert set(paths_of_change(before, after, "/b")) == {("data_dir",), ("json", "data_dir")}


def test_a_value_is_found_under_its_names_alone() -> None:
    tree = {"data_dir": "/a", "other": "/a", "json": '{"dir": "/a", "all": [{"dir": "/b"}, {"data_dir": "/a"}]}'}
    assert set(paths_of_value(tree, ("dir", "data_dir"), "/a")) == {
        ("data_dir",),
        ("json", "dir"),
        ("json", "all", 1, "data_dir"),
    }


def test_a_text_that_only_begins_like_json_is_a_text() -> None:
    before, after = {"title": "[beta] {x", "n": "[1"}, {"title": "[beta] {x", "n": "[2"}
    assert list(paths_of_change(before, after, "[2")) == [("n",)]
