"""Names the better of the models, hands it to the Pusher and draws the report. Import `component` for the TFX part."""
