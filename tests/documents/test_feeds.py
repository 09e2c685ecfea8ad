"""Feed ids of kart tracks: readable, allowed wherever one is used, and never the same for two tracks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pitwall.documents.feeds import kart_feed, slug
from pitwall.settings import Settings

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)


def test_a_plain_id_is_the_feed_id():
    assert kart_feed("ardenmoor") == "kart-ardenmoor"
    assert kart_feed("a" * 48) == "kart-" + "a" * 48


def test_any_other_id_is_made_readable_and_told_apart_by_its_hash():
    assert kart_feed("Piste du Lac").startswith("kart-piste-du-lac-")
    assert len(kart_feed("a" * 49)) == len("kart-") + 48
    feeds = {kart_feed(id_) for id_ in ("Ardenmoor", "ardenmoor", "ardenmoor ", "árdenmoor", "日本", "本日")}
    assert len(feeds) == 6


@given(IDS)
def test_a_feed_id_can_be_one_whatever_the_track_is_called(circuit_id: str):
    feed = kart_feed(circuit_id)
    assert Settings.from_env({"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "PITWALL_FEED": feed}).feed == feed


@given(IDS)
def test_no_track_can_be_called_as_the_feed_of_another(circuit_id: str):
    feed = kart_feed(circuit_id)
    taken = feed.removeprefix("kart-")
    assert taken == circuit_id or kart_feed(taken) != feed


def test_a_slug_leaves_accents_and_signs_out():
    assert slug("  Circuit de l'Étang — Nord!") == "circuit-de-l-etang-nord"
    assert slug("日本") == ""
