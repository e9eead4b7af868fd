"""What uses a pushed model, and needs nothing of what made it: `predict`, `demo`, and `watch` for a schedule."""
