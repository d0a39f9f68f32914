"""Which optimiser reaches which loss at what cost: the study behind docs/acceleration.md."""
