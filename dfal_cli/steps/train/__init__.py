"""train: a classifier from labelled images and their twins."""
