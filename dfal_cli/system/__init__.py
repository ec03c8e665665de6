"""What the operating system and the machine give: whole files, locks, fingerprints, devices, processes, signals."""
