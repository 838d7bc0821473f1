"""What a pretraining will need of its machine, told before anyone pays for it."""
