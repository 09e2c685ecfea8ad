"""The state machine of timing: messages in, the state of a session and what changed out.

Pure: no I/O and no clock; time comes from the messages.
"""
