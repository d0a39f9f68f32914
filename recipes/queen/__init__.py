"""The dialogue of the game Flight of the Amazon Queen."""
