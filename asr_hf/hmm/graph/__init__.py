"""Lexicons, language models, topologies and transition models, and the graphs made of them."""
