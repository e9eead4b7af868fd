"""What trains and what serves: preprocessing, input pipeline, networks, losses, the Trainer's `run_fn`, signatures."""
