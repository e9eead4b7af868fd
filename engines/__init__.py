"""Flink and Spark on one machine, for trying them: `python -m engines flink`."""
