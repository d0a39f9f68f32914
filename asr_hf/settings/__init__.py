"""The settings of a command as frozen dataclasses, one for each group of the configuration."""
