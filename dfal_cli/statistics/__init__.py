"""What measured accuracies say: intervals, and how strategies compare."""
