"""A free stand-in for Switchboard and its test sets, made from other recordings."""
