"""Recipes: each prepares the data of one corpus."""
