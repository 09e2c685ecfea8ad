"""Lap timing of kart tracks, whatever protocol told it.

`vocabulary` is what every kart source yields, `state` what PitWall makes of it, `projection` the
documents it becomes. Pure: no I/O and no clock. What bytes mean is the business of `pitwall.sources`.
"""
