"""The command line: composes configurations, checks them and runs the verbs."""
