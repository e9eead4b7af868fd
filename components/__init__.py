"""Our TFX components, each usable alone, and what they are made of."""
