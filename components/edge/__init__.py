"""Models for phones and small machines, made of the champion and judged like it; `component` is the TFX part."""
