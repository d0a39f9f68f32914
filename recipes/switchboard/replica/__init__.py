"""A free stand-in for Switchboard and its test sets: the same tree, made from other recordings."""
