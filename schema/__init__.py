"""What the data is: `dataset_spec` and its file, the `record`, two data sets' files; and `ranges` of config values."""
