"""TFMA metrics of both heads, and what an Evaluator wrote of them."""
