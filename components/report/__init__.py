"""What a person sees of a comparison: the page, its plots and pictures, TFMA's own view."""
