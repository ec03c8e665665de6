"""score: compute margins and other measures for every image of the pool."""
