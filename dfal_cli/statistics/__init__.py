"""Statistics of measured accuracies: confidence intervals and comparisons of strategies."""
