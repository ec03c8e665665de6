"""select: choose the images to label next, from a scores file and without a network."""
