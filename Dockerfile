# The image of every step: make image. Any base of Debian trixie (its glibc is new enough for TFX's wheels) with Python
# 3.11 and its headers will do.
ARG BASE=python:3.11-slim-trixie

# Everything that requirements.lock pins and a step needs. Made anew only when it or pyproject.toml changes.
FROM ${BASE} AS dependencies
# pyfarmhash is built from source. The base names a release of Debian: a version pinned here would be gone with the next fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY tools/requirements.lock tools/requirements.lock
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
       --requirement tools/requirements.lock
COPY pyproject.toml requirements.lock ./
# The lock constrains, since it also holds what only tests need.
RUN python3 -m venv --without-pip /opt/venv \
    && /opt/tools/bin/uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
       --requirement pyproject.toml --constraints requirements.lock

# Our own code, made anew in seconds.
FROM dependencies AS package
# .dockerignore lets in what the package is made of, and nothing else.
COPY . .
RUN /opt/tools/bin/uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode --no-deps \
    --no-build-isolation --target /opt/package .

FROM ${BASE}
# No home of its own: a cluster may choose another user, who could not enter it. Caches go where any user may write.
RUN useradd --uid 1000 --no-create-home --home-dir /tmp pets
COPY --from=dependencies /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/package \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /tmp
USER 1000:1000
CMD ["python3", "-m", "pipeline.kubeflow.entrypoint", "--help"]
# Last, so that a change of the code makes no other layer of this stage anew.
COPY --from=package /opt/package /opt/package
