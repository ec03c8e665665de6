"""evaluate: the accuracy of any checkpoint on any labelled set."""
