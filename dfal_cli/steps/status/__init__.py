"""status: where a project stands."""
