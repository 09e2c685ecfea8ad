"""What can be worked out from the laps of a session: one thing a module, each a pure function of a `record.Record`.

The routes are in `routes`. Plain Python on purpose: an answer of the API loads nothing that computes faster and starts
slower. What each figure means is told in `docs/api.md`.
"""
