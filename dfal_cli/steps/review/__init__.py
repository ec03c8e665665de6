"""review: list the labels that are probably wrong."""
