"""From configs to a pipeline, and the two ways to run it."""

import os

# TensorFlow reads this once, when it is imported, and both runners import this package before it. By default it uses
# oneDNN only where the CPU has instructions for it; with plain AVX2 a training step is faster with it, too
# (docs/training.md). Set here, every machine also computes the same way.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
