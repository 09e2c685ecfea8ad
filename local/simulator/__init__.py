"""A simulated race, told in the messages of F1's feed, and the truth about it.

    race = simulate(seed=7)
    write_recording(race, Path("race.txt.gz"))
    race.truth.laps

`race` decides what happens on a made-up circuit (`circuit`) between invented cars (`entries`) and
says so in events (`events`); `feed` and `telemetry` put them into F1's words, `recording` onto disk;
`truth` keeps what really happened. The same arguments give the same bytes, on every machine.
Reading a recording back is PitWall's own business and none of this package's.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from local.simulator import recording, telemetry, truth
from local.simulator.events import Event, OrderChanged, Stopped
from local.simulator.feed import Feed
from local.simulator.race import Incidents, RaceModel
from local.simulator.recording import FORMS, Form
from local.simulator.truth import Truth
from local.simulator.wording import PATH, SESSION_KEY, FeedMessage

__all__ = [
    "FORMS",
    "PATH",
    "SESSION_KEY",
    "FeedMessage",
    "Form",
    "Incidents",
    "Race",
    "Truth",
    "for_minutes",
    "quick_race",
    "simulate",
    "write_recording",
]


class Race:
    """One simulated race. Iterating gives its messages in the order a listener receives them.

    truth: what really happened. events: the same as a stream. opens, ends: instants of the
    recording's first and last moment, ms since the epoch, UTC. telemetry: whether car data and
    positions are among the messages.
    """

    def __init__(self, model: RaceModel, seed: int, *, telemetry: bool) -> None:
        self._model, self._seed = model, seed
        self.telemetry = telemetry
        self.circuit = model.circuit
        self.events: list[Event] = model.events
        self.opens, self.ends = model.opens, model.ends
        self.laps = model.laps
        grid = next(event.order for event in self.events if isinstance(event, OrderChanged))
        self.truth: Truth = truth.record(
            self.events,
            self.circuit,
            session=str(SESSION_KEY),
            started_at=model.lights_out,
            ended_at=model.ends,
            total_laps=model.laps,
            grid=list(grid),
            classification=model.classification,
        )

    def __iter__(self) -> Iterator[FeedMessage]:
        timing = Feed(
            self.events,
            self.circuit,
            seed=self._seed,
            opens=self.opens,
            lights_out=self._model.lights_out,
            ends=self.ends,
            total_laps=self.laps,
        ).messages()
        if not self.telemetry:
            return timing
        samples = telemetry.messages(
            {number: car.path for number, car in self._model.cars.items()},
            self.circuit,
            seed=self._seed,
            opens=self.opens,
            ends=self.ends,
            retired={event.number: event.at for event in self.events if isinstance(event, Stopped)},
        )
        return heapq.merge(timing, samples, key=lambda message: message.received)


def simulate(
    seed: int = 1,
    laps: int = 57,
    *,
    lap_seconds: float = 76.0,
    incidents: Incidents | None = None,
    pre_start: float = 300.0,
    after_flag: float = 120.0,
    telemetry: bool = True,
) -> Race:
    """Drives a race of `laps` laps on a circuit whose ideal lap takes `lap_seconds`.

    incidents: what goes wrong, by default everything, spread over the race. pre_start, after_flag:
    seconds recorded before the start and after the last car is home. telemetry: whether to make
    car data and positions, which take most of the time and room. Raises ValueError for a race
    without laps or a lap no car could do.
    """
    model = RaceModel(
        seed,
        laps,
        lap_seconds,
        Incidents.over(laps) if incidents is None else incidents,
        pre_start=pre_start,
        after_flag=after_flag,
    )
    model.run()
    return Race(model, seed, telemetry=telemetry)


def quick_race(seed: int = 1, *, laps: int = 10, incidents: Incidents | None = None, telemetry: bool = True) -> Race:
    """A race with every incident in about a quarter of an hour: what `make run` plays."""
    return simulate(
        seed,
        laps,
        lap_seconds=64.0,
        incidents=incidents,
        pre_start=45.0,
        after_flag=30.0,
        telemetry=telemetry,
    )


def for_minutes(minutes: float, seed: int = 1, *, telemetry: bool = True) -> Race:
    """A race whose recording lasts about `minutes`: a calm one, a quick one or a whole Grand Prix.

    Laps are counted out with the time that start, flags and end take.
    """
    seconds = minutes * 60.0
    if minutes < 13.5:
        laps = max(1, round((seconds - 90.0) / 67.0))
        return quick_race(seed, laps=laps, incidents=Incidents.calm(laps), telemetry=telemetry)
    if minutes < 37.0:
        return quick_race(seed, laps=max(9, round((seconds - 290.0) / 67.5)), telemetry=telemetry)
    laps = min(29, round((seconds - 650.0) / 78.0))
    # From thirty laps on the red flag and the safety car take longer.
    return simulate(seed, max(laps, round((seconds - 1_350.0) / 78.0)), telemetry=telemetry)


def write_recording(race: Race, path: Path, form: Form = "merged") -> int:
    """Writes the race's messages to `path` and returns how many there are; see `recording`."""
    return recording.write(race, race.opens, path, form)
