"""The `asr-hf` command: its verbs, and how overrides become settings."""
