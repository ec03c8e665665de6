"""train: train a classifier on labelled images and their twins."""
