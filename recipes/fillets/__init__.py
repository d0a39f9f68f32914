"""The dialogue of the game Fish Fillets."""
