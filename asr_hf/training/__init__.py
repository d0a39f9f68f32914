"""Joins model, criterion and frame store to what optimisers minimise, and runs them."""
