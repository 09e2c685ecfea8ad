"""Kart tracks over HTTP: which there are, their timing, what is heard of it and how it is read.

A route module a thing: `tracks` (the tracks themselves, their timing on and off, log and notices). Where F1's circuits
and kart tracks are read alike is `pitwall.api.history.circuits`.
"""
