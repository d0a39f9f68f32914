"""How many frames each iteration looks at."""
