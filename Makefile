# The commands of this project. PYTHON names the Python 3.11 that .venv is made from.
PYTHON ?= python3.11
BIN := .venv/bin
# The container engine and the image that make image builds; BASE is what it builds on, see Dockerfile. BUILD_FLAGS are the
# engine's own, such as the volumes that tell pip and uv of a registry.
ENGINE ?= docker
IMAGE ?= pets-pipeline:latest
BUILD_FLAGS ?=

.PHONY: run demo test bench lint install lock image clean help

run: install  ## the sample run; flags: make run ARGS="--config pets"
	@$(BIN)/python local_runner.py $(ARGS)

demo: install  ## a page that answers photos by the newest pushed model; make demo ARGS="--model DIR"
	@$(BIN)/python -m serving.demo $(ARGS)

test: install  ## the tests, two at a time; flags: make test ARGS="tests/trainer_module -k export"
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: install  ## every benchmark that needs no data of yours; each prints a ratio
	@for bench in segmentation_metrics augmentation batch_norm epoch_ends input_pipeline torch_step decoders cached_rerun cold_start scale whole_run; do \
		PYTHONPATH=. $(BIN)/python benchmarks/$$bench.py || exit 1; done

lint: install  ## style, types, and the Dockerfiles
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile engines/*/Dockerfile

install: .venv/installed  ## .venv with every package of requirements.lock, and what an older Linux lacks

.venv/installed: requirements.lock tools/requirements.lock tools/install.sh pyproject.toml
	@PYTHON=$(PYTHON) tools/install.sh

lock: install  ## resolve pyproject.toml anew into requirements.lock
	@.venv/tools/bin/uv pip compile --quiet --upgrade --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --output-file requirements.lock
	@printf 'uv\npatchelf ; sys_platform == "linux"\n' | .venv/tools/bin/uv pip compile --quiet --upgrade --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header - --output-file tools/requirements.lock

image:  ## the image of every step on Kubeflow; make image ENGINE=podman IMAGE=REGISTRY/pets-pipeline:1
	@$(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE)) $(BUILD_FLAGS) --tag $(IMAGE) .

clean:  ## everything that was installed and every run
	rm -rf .venv runs

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-9s%s\n", $$1, $$2}' $(MAKEFILE_LIST)
