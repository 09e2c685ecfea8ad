"""Apex Timing (live.apex-timing.com): its frames as messages of kart timing (docs/karting.md).

`protocol` is what a frame is, `values` what is in a cell, `columns` what a column means, `grid` reads the board's
HTML, `translation` turns frames into messages, `capture` reads recordings of frames.
"""
