"""The recipe for altered copies of the voice prompts."""
