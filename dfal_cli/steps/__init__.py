"""The commands as functions of typed options. They do not print, so programs can call them too."""
