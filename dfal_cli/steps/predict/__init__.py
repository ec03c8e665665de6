"""predict: the predicted class of every image."""
