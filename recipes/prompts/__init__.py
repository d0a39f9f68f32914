"""Voice prompts of the Asterisk project in five languages."""
