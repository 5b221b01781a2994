"""Benchmarks: ratios against a baseline in the same run, since machines are noisy. `nox -s bench` runs them all."""
