"""simulate: whole rounds with an oracle file that answers, to see what a strategy is worth before paying for labels."""
