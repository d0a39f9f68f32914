"""What a stage needs from others, found and checked, or made."""
