"""What uses a pushed model, and needs nothing of what made it: `predict` answers photos."""
