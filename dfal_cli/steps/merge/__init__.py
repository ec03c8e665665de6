"""merge: answered queries into labels.csv, losing nothing."""
