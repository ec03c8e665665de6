"""merge: copy the answers of a query list into labels.csv."""
