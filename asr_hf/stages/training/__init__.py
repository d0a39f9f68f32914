"""The parts of the stage train: stores, targets, the first model, what a run keeps."""
