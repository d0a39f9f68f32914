"""What decoding graphs are made of: lexicons, language models, topologies, transition models."""
