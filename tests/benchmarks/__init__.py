"""Benchmarks: commands that print what they measured beside the floor measured in the same run."""
