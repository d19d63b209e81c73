"""Training: data, optimisers and schedules, one Lightning module, one trainer factory."""
