"""The local stack: everything that is deployed, on this machine, against Google's emulators.

Never deployed itself: at run time only `functions/` is there.
"""
