"""The backends that need a library of somebody else."""
