"""A package of the user's own: a model, a preconditioner, a criterion and a recipe."""
