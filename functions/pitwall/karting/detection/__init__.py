"""Finds out what an unknown kart feed says (docs/karting.md, "Detection").

`protocols` tells which protocol a stream speaks, `sample` keeps what its rows told, `shapes` and `behaviour` say what a
field looks like and how it moves, `assignment` gives each role one field, `roles` puts it together, `drift` notices
when it is no longer so. Pure: no I/O and no clock.
"""
