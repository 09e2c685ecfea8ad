"""The readers below the formats: lines, JSON documents, literals, instants and compressed payloads."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from typing import Any

import pytest

from pitwall.sources.instants import OFFSET, epoch_ms, gmt_offset_ms, offset_ms, utc_ms
from pitwall.sources.json_values import read_json_values
from pitwall.sources.lines import split_lines
from pitwall.sources.literals import loads, loads_python
from pitwall.sources.z import BadPayload, decode_z
from tests.sources.written import CAR_DATA, packed


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


class TestLines:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
    def test_chunks_may_end_anywhere(self, size: int) -> None:
        content = b"\xef\xbb\xbfone\r\n\r\n  two\x1ethree\x1e\n\0\0four\0\0\n\xef\xbb\xbffive"
        lines = list(split_lines(pieces(content, size), pytest.fail))
        assert lines == [b"one", b"two", b"three", b"four", b"five"]

    @pytest.mark.parametrize("size", [1, 3, 50])
    def test_long_lines_are_passed_over(self, size: int) -> None:
        rejected: Counter[str] = Counter()
        content = b"one\n" + b"x" * 90 + b"\ntwo\n" + b"y" * 90
        lines = list(split_lines(pieces(content, size), lambda reason: rejected.update([reason]), limit=60))
        assert lines == [b"one", b"two"]
        assert rejected == {"line-too-long": 2}


class TestJsonValues:
    @pytest.mark.parametrize("size", [1, 5, 1_000])
    @pytest.mark.parametrize("indent", [None, 2])
    @pytest.mark.parametrize(
        "document",
        [[1, "a,b", {"c": [1, {"d": "]}"}]}, 'quote " and \\ backslash', None], [], [[["x"]]]],
    )
    def test_elements_of_an_array(self, document: list[Any], indent: int | None, size: int) -> None:
        content = b"\xef\xbb\xbf\n" + json.dumps(document, indent=indent).encode() + b"\n"
        assert list(read_json_values(pieces(content, size), pytest.fail)) == document

    @pytest.mark.parametrize("size", [1, 5, 1_000])
    def test_values_of_an_object_of_frames(self, size: int) -> None:
        document = {"handshake": "{}\x1e", "feed, one": {"type": 1, "arguments": ["}"]}}
        content = json.dumps(document, indent=1).encode()
        assert list(read_json_values(pieces(content, size), pytest.fail)) == list(document.values())

    @pytest.mark.parametrize("size", [1, 5, 1_000])
    def test_frames_after_each_other(self, size: int) -> None:
        frames = [{"type": 6}, {"type": 1, "arguments": ["a", {"b": 1}]}]
        content = "\n".join(json.dumps(frame, indent=2) for frame in frames).encode()
        assert list(read_json_values(pieces(content, size), pytest.fail)) == frames

    def test_element_beyond_the_limit_is_passed_over(self) -> None:
        rejected: Counter[str] = Counter()
        content = json.dumps([1, "x" * 500, 2]).encode()
        values = read_json_values(pieces(content, 10), lambda reason: rejected.update([reason]), limit=100)
        assert list(values) == [1, 2]
        assert rejected == {"line-too-long": 1}

    def test_cut_off_document(self) -> None:
        rejected: Counter[str] = Counter()
        values = read_json_values([b'[{"a": 1}, {"b": ['], lambda reason: rejected.update([reason]))
        assert list(values) == [{"a": 1}]
        assert rejected == {"bad-json": 1}


class TestLiterals:
    @pytest.mark.parametrize(
        "value",
        [
            {"a": True, "b": False, "c": None, "d": [1, -2.5, 1e30], "True": "None"},
            ["it's", 'say "True"', "back\\slash", "line\nend", "tab\t", "é’😀", "\x00\x1f", ""],
            {"Message": "TRUE, None, 'False'"},
            [True],
            [None, None],
            {},
        ],
    )
    def test_reads_what_python_and_json_write(self, value: Any) -> None:
        assert loads_python(repr(value).encode()) == value
        assert loads_python(ascii(value).encode()) == value
        assert loads(repr(value).encode()) == value
        assert loads(json.dumps(value).encode()) == value

    @pytest.mark.parametrize(
        "text",
        [b"", b"'", b"['a", b"[1,", b"{'a': f()}", b"['a' 'b']", b"[\\", b"['\\ud800']", b"\xff\xfe", b",", b"(1)"],
    )
    def test_anything_else_is_a_value_error(self, text: bytes) -> None:
        for read in (loads, loads_python):
            with pytest.raises(ValueError):  # noqa: PT011
                read(text)

    @pytest.mark.timeout(60)
    def test_quotes_that_never_close_are_not_tried_from_each_other(self) -> None:
        """Tried again from each, a million of them would take days and not the blink they take."""
        with pytest.raises(ValueError):  # noqa: PT011
            loads_python(b"['" + b"\\'" * 1_000_000)


class TestInstants:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1970-01-12T13:46:40Z", None),
            ("2024-10-26T17:15:49.3337638Z", 1729962949333),
            ("2024-10-26T17:15:49.1Z", 1729962949100),
            ("2024-10-26T17:15:49", 1729962949000),
            ("2024-10-26T19:15:49.449+02:00", 1729962949449),
            ("2024-10-26 17:15:49Z", 1729962949000),
            ("0001-01-01T00:00:00Z", None),
            ("9999-12-31T23:59:59Z", None),
            ("2024-13-26T17:15:49Z", None),
            ("", None),
            ("soon", None),
            (None, None),
            (17, None),
        ],
    )
    def test_utc(self, text: object, expected: int | None) -> None:
        assert utc_ms(text) == expected

    @pytest.mark.parametrize(
        ("digits", "expected"),
        [
            (b"1762608799801133790", 1762608799801),
            (b"1762608799801133", 1762608799801),
            (b"1762608799801", 1762608799801),
            (b"1762608799", 1762608799000),
            (b"1762608799.8", 1762608799800),
            (b"17", None),
            (b"99999999999999999999", None),
        ],
    )
    def test_epoch(self, digits: bytes, expected: int | None) -> None:
        assert epoch_ms(digits) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"00:00:00.000", 0),
            (b"01:52:35.888", 6755888),
            (b"100:00:00", 360_000_000),
            (b"00:00:01.5", 1_500),
            (b"-00:00:01.500", -1_500),
            (b"00:60:00.000", None),
        ],
    )
    def test_offset(self, text: bytes, expected: int | None) -> None:
        match = OFFSET.fullmatch(text)
        assert match is not None
        assert offset_ms(match) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("02:00:00", 7_200_000), ("-03:30:00", -12_600_000), ("05:30", 19_800_000), ("", None), (None, None)],
    )
    def test_gmt_offset(self, text: object, expected: int | None) -> None:
        assert gmt_offset_ms(text) == expected


class TestCompressedPayloads:
    def test_raw_deflate_with_byte_order_mark(self) -> None:
        assert decode_z(packed(CAR_DATA)) == CAR_DATA

    def test_quoted_once_more(self) -> None:
        assert decode_z(json.dumps(packed(CAR_DATA))) == CAR_DATA

    @pytest.mark.parametrize("window", [15, 31], ids=["zlib", "gzip"])
    def test_packed_by_another_client(self, window: int) -> None:
        deflate = zlib.compressobj(wbits=window)
        data = deflate.compress(json.dumps(CAR_DATA).encode()) + deflate.flush()
        assert decode_z(base64.b64encode(data).decode()) == CAR_DATA

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            ("", "bad-deflate"),
            ("?", "bad-base64"),
            (packed(CAR_DATA)[:-7], "bad-base64"),
            (packed(CAR_DATA)[:-8], "bad-deflate"),
            (base64.b64encode(b"no deflate").decode(), "bad-deflate"),
            (packed("x" * 9 * 2**20), "bad-deflate"),
            (base64.b64encode(zlib.compress(b"no json")).decode(), "bad-json"),
        ],
    )
    def test_damage_has_a_reason(self, payload: str, reason: str) -> None:
        with pytest.raises(BadPayload) as damage:
            decode_z(payload)
        assert damage.value.reason == reason
