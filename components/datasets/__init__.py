"""Data sets: one small class a source; each gives its description, its cache key and its records."""
