"""Kart tracks over HTTP: which there are, their timing, what is heard of it and how it is read.

A route module a thing: `tracks` (the tracks themselves), `timing` (on and off, how it is heard, log and notices),
`formats` (how a feed is read), `data` and `statistics`. Where F1's circuits and kart tracks are read alike is
`pitwall.api.history.circuits`. Examples of what routes answer are of one made-up track (`local/examples.py`).
"""
