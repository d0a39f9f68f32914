"""Parts of the train stage: stores, targets, the model to start from, and forecasts."""
