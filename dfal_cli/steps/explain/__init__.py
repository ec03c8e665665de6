"""explain: say why an image was asked about, or why it was not."""
