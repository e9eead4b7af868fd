"""What uses a pushed model, and needs nothing of what made it: `predict` for folders, `demo` for a person."""
