"""The voice prompts with altered copies of each."""
