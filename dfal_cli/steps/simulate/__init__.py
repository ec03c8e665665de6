"""simulate: compare strategies in complete rounds, with known labels in place of a person's answers."""
