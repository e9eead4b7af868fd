"""What a data set is about stands in its own files alone."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OWN_FILES = {
    "components/datasets/pets.py",
    "components/datasets/pet_drawings.py",
    "components/datasets/synthetic_pets.py",
    "components/datasets/synthetic_pets_builder.py",
    "schema/oxford_iiit_pet.yaml",
    "schema/synthetic_pets.yaml",
    "tools/evaluate_model.py",  # judges the benchmark
}
SHIPPED = sorted(
    path
    for folder in ("pipeline", "components", "trainer_module", "schema", "serving", "tools")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".j2", ".js", ".yaml") and str(path.relative_to(ROOT)) not in OWN_FILES
)
SHIPPED += sorted(ROOT.glob("*.py"))
WORDS = re.compile(r"breed|species|\bpets?\b|trimap|\bdogs?\b|\bcats?\b", re.IGNORECASE)
NAMES = re.compile(
    r"pets-pipeline|oxford_iiit_pet|Oxford-IIIT Pet|synthetic_pets|OxfordPets|PetDrawings"  # project and data sets
    r"|components\.datasets\.pets|--config pets|`pets`|\bdef pets\(|\"pets\"|: pets\b|pets\(\)|_PETS_MB"  # configs.pets
    r"|/mnt/pets|pets:/|:cat:"  # the volume of the Kubeflow examples; an emoji of rich's
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_of_the_benchmark_stands_elsewhere(path: pathlib.Path) -> None:
    found = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS.search(NAMES.sub("", line))
    ]
    assert not found


EVERYTHING = [*SHIPPED, *sorted((ROOT / "components" / "datasets").glob("*.py"))]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_shipped_needs_the_tests(path: pathlib.Path) -> None:
    assert not re.search(r"^\s*(from|import) tests\b", path.read_text(encoding="utf-8"), re.MULTILINE)
