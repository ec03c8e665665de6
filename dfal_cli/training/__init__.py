"""Training: from labelled images and their twins to a trained network."""
