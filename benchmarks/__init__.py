"""Benchmarks of asr-hf's speed, and of its peers'."""
