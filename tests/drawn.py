"""What the drawings and the networks of the named configs are called, for tests on them."""

from __future__ import annotations

from pipeline import configs
from schema.spec_file import shipped

SPEC = shipped("synthetic_pets")
BREEDS, SPECIES = (SPEC.label(name).classes for name in ("breed", "species"))
SPECIES_OF_BREED = SPEC.label("species").parents
MODELS = tuple(configs.debug().contestants)
