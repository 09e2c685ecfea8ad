"""RMonitor (MyLaps Orbits and others) and what Race Monitor adds to it, as messages of kart timing (docs/karting.md).

`protocol` is what a record is, `values` what is in a field, `board` what is known of each registration, `translation`
turns lines into messages, `capture` reads recordings of them.
"""
