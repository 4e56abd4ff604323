"""The state machine of a promotion: the context, the transition table and its loop, and one module for each transition.

How a promotion ends is decided in the table (`state_machine`) and nowhere else. `recovery` takes an interrupted promotion over; `forge` moves the tag
through a workflow of the forge.
"""
