"""select: which images to ask about next, from a scores file, without a network."""
