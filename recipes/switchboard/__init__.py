"""The recipe for Switchboard-1, with the evaluation sets eval2000 and rt03."""
