"""What each verb does, one module a verb."""
