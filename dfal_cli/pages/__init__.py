"""What people look at: HTML pages and curves, each one file that needs nothing else."""
