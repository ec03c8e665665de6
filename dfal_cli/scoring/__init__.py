"""From a pool of images to measures of each, in a stream that can be stopped and goes on."""
