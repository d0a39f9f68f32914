"""Writes down what is said in recordings that belong to no corpus."""
