"""What the data is: `record` (the record's names, coder and TFMD schema), `dataset_spec`, and two data sets' files."""
