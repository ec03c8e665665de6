"""The story of each command, as a plain function of typed options: no terminal in it, so programs can call it too."""
