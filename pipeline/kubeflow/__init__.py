"""The pipeline on Kubeflow Pipelines v2: its package, what each container starts, and the client. Imports nothing."""
