"""The recipe for voice prompts of the Asterisk project in five languages."""
