"""Whether production runs the commit and is as healthy as before.

One application's status, the fleet, the evaluator over several looks, the wait loop, the baseline.

The evaluator is pure; only `wait` and `probe` read the cluster.
"""
