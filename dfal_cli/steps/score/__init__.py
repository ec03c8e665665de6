"""score: measures of every image in the pool, the margin first of all."""
