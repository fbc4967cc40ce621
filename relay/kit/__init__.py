"""What a destination is made of, and nothing else."""
