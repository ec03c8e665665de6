"""Access to the operating system and the machine: atomic files, locks, fingerprints, devices, processes, signals."""
