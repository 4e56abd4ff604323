"""Proofs by many seeded runs: each a program (`python -m tests.robustness.races --seed 7`), in short form a test. docs/reliability.md has the figures."""
