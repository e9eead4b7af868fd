"""The pipeline: its configs, its components in the order that data flows, its evaluation."""
