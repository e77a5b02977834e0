"""A run that does nothing, for `sweep_overhead`."""
