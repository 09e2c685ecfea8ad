"""Lines of TCP, however they are cut."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pitwall.sources.track.tcp import Lines

LONGEST = 8


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_packets_may_cut_lines_anywhere(lines: list[bytes], data: st.DataObject):
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    rejected: Counter[str] = Counter()
    reader = Lines(lambda reason: rejected.update([reason]), LONGEST)
    told = [
        line
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for line in reader.feed(stream[start:end])
    ]
    # What stands between two line feeds of one packet is whole already: no limit is needed to hold it.
    short = [line for line in lines if len(line) <= LONGEST]
    assert [line for line in told if len(line) <= LONGEST] == short
    assert all(line in lines for line in told)
    assert len(told) + rejected["line-too-long"] == len(lines)
