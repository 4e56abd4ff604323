"""Is production at the commit, and as healthy as before?

One application's status, the fleet, the evaluator over several looks, the wait, the baseline.

The evaluator is pure; only `wait` and `probe` ask the cluster.
"""
