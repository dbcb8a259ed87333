"""Benchmarks: how fast, how right the readers and recognisers are."""
