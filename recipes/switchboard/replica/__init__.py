"""A free stand-in for Switchboard and its test sets: their folders, made from other recordings."""
