"""Everything of a promotion that lives in refs: their names, the target, publishing and moving back, the lock and its heartbeat, the records.

Every write is a leased push. Nothing here decides how a promotion ends.
"""
