"""embed: the embedding of every image by a pretrained network."""
