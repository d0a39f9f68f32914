"""Decision trees that tie the states of phones in context, and the training of triphones."""
