"""From the feed's deltas for one car to its laps.

The feed never says "this was lap 12": it raises a counter, and sector times, speeds and the
lap time come shortly before or up to ten seconds after. It sends only what changed, so a time
equal to the one before it is not sent at all. The rules here and where they were seen:

- In a race `NumberOfLaps` is the laps completed: it becomes n as lap n ends. In practice and
  qualifying it is the lap the car is on: it rises when the car leaves the pits and at each
  crossing, and a lap that ends in the pit lane is told by its time alone (Imola, Monza 2025).
- A lap time belongs to the crossing in the same message; else to a lap that was completed just
  before and has none; else it is early and waits for the crossing (Baku 2018: a second early).
- When sector 1 of the next lap is reached, sectors 2 and 3 are cleared. If sector 1 itself is not
  in that message, its time equals the one of the lap before.
- A lap without a time has the time before it, if its sectors add up to it; else the sum of its sectors.
- Times over 150 s, of laps with a red flag or a break between qualifying parts in them, and of laps
  that began in the pits of practice or qualifying count only if the sectors add up to them.
- A counter that runs back brings what belongs to a lap already over, until it returns (Hungaroring 2020: for four
  seconds, with the time of two laps ago) or, where it does not, for a while (Imola 2025: a best lap was taken back).
- After a connection was lost a snapshot shows the last lap whole until the car reaches sector 1 of the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitwall.timing.merge import items
from pitwall.timing.records import Car, Lap, OpenLap, PitVisit
from pitwall.timing.values import duration_ms, flag, integer

LATE_MS = 15_000
"""How long after the crossing what belongs to a lap may come."""
CORRECTION_MS = 10_000
"""How long after the crossing another lap time is a correction and not the next lap's."""
SAME_CROSSING_MS = 30_000
"""A counter that ran back and returns within this was never wrong."""
PAST_MS = 10_000
"""How long after the counter ran back what is told may belong to a lap already over."""
EARLY_MS = 30_000
"""How long before the crossing the time of a lap may come."""
EXIT_MS = 2_000
"""The counter and the flag that the car left the pits may come this far apart."""
MUCH_TOO_LATE_MS = 5_000
"""Messages of a crossing come up to two seconds late; beyond this the lap time is the better clock."""
LONG_LAP_MS = 150_000
TOLERANCE_MS = 2

SPEED_TRAPS = ("I1", "I2", "FL", "ST")


class LapRules:
    """What the laps of a car depend on beside its own deltas: the session around it."""

    def __init__(self) -> None:
        self.race = False
        self.running = True
        """False while the session is known not to have started: nothing is a lap yet."""
        self.started_at: int | None = None
        """Start of the race."""
        self.finished_at: int | None = None
        self.total_laps: int | None = None
        self.part: int | None = None


def times_in(line: Mapping[str, Any]) -> tuple[dict[int, Any], dict[str, Any]]:
    """Sector and speed values a delta carries, by sector index and by trap; "" where it clears one."""
    sectors: dict[int, Any] = {}
    for index, sector in items(line.get("Sectors")):
        if index < 3 and isinstance(sector, dict) and "Value" in sector:
            sectors[index] = sector["Value"]
    speeds: dict[str, Any] = {}
    traps = line.get("Speeds")
    if isinstance(traps, dict):
        for trap in SPEED_TRAPS:
            speed = traps.get(trap)
            if isinstance(speed, dict) and "Value" in speed:
                speeds[trap] = speed["Value"]
    return sectors, speeds


def last_lap_time(line: Mapping[str, Any]) -> int | None:
    """The lap time a delta carries, ms."""
    last = line.get("LastLapTime")
    return duration_ms(last.get("Value")) if isinstance(last, dict) else None


def laps_completed(car: Car, race: bool) -> int | None:
    """How many laps a car has completed; outside a race the feed's counter counts the lap it is on too."""
    if race or car.open is None or car.counter is None:
        return car.counter
    return max(car.open.number - 1, 0)


def join(car: Car, merged: Mapping[str, Any], at: int, rules: LapRules) -> None:
    """A car first seen in a snapshot in mid-session: on the lap its counter says, begun at an unknown instant.

    merged: the car's line as the snapshot has it. Before the start there is nothing to join.
    """
    counter = integer(merged.get("NumberOfLaps"))
    car.counter = counter
    if not rules.running or (rules.race and any(flag(merged.get(key)) for key in ("Stopped", "Retired"))):
        return
    if rules.race:
        begin(car, (counter or 0) + 1, rules.started_at if not counter else None)
    elif counter is not None and counter > 0:
        # In the pits the lap it came in on is over, and was told before this.
        car.lap_in_lane = car.in_pit
        begin(car, counter + 1 if car.in_pit else counter, None)
    if counter is not None and counter > 0:
        car.joined_at = counter
        if not car.lap_in_lane:
            _begun_before(car, merged)
        if flag(merged.get("PitOut")):
            car.visits.append(PitVisit(out_at=at))


def shown(merged: Mapping[str, Any]) -> list[int | None]:
    """The three sector times a car's line shows."""
    sectors = dict(items(merged.get("Sectors")))
    return [duration_ms(sector.get("Value")) if isinstance(sector := sectors.get(i), dict) else None for i in range(3)]


def _begun_before(car: Car, merged: Mapping[str, Any]) -> None:
    """Sectors a snapshot shows of the lap the car is on: the last lap's are cleared when sector 1 is reached."""
    sectors = shown(merged)
    if car.open is not None and sectors[2] is None:
        car.open.sectors = sectors


def begin(car: Car, number: int, at: int | None) -> None:
    """Opens lap `number`."""
    car.open = OpenLap(number=number, started_at=at)


def read(
    car: Car, line: Mapping[str, Any], merged: Mapping[str, Any], at: int, rules: LapRules, snapshot: bool = False
) -> set[int]:
    """Takes one delta of a car's TimingData line into its laps; returns the numbers of laps to report.

    line: the delta; for a snapshot, what differs from what was known. merged: the car's line after
    the delta was merged. at: the message's instant, ms.
    """
    touched: set[int] = set()
    counter = integer(line.get("NumberOfLaps"))
    if car.open is None and rules.race and rules.running and car.counter is None and rules.started_at is not None:
        begin(car, 1, rules.started_at)
    if _of_the_past(car, counter, at):
        return touched
    crossing = counter is not None and (car.counter is None or counter > car.counter)
    if counter is not None and crossing and snapshot and car.open is not None:
        _resume(car, merged, counter, at, rules, touched)
        return touched

    sectors, speeds = times_in(line)
    time = last_lap_time(line)
    if counter is not None and crossing and _known_already(car, counter, rules):
        car.counter, crossing = counter, False
    elif not crossing and car.open is not None and _crossing_was_lost(car.open, sectors):
        car.unsaid = car.open.number
        _complete(car, car.unsaid, None, at - (duration_ms(sectors.get(0)) or 0), rules, touched)
        begin(car, car.unsaid + 1, _ended(car, car.unsaid))
    if counter is None or not crossing:
        if sectors or speeds:
            _read_sectors(car, sectors, speeds, merged, at, touched)
        if time is not None:
            _read_time(car, time, merged, at, rules, touched)
    else:
        # Sector 3 and the speed at the line in the message of the crossing belong to the lap that
        # ends; sector 1, if it came in the same message, to the one that begins.
        if not car.lap_in_lane:
            ending = {index: value for index, value in sectors.items() if index != 0 and value != ""}
            _read_sectors(car, ending, {k: v for k, v in speeds.items() if v != ""}, merged, at, touched)
            _unsent(car, merged)
        _cross(car, counter, time, at, rules, touched)
        rest = {index: value for index, value in sectors.items() if index == 0}
        if rest:
            _read_sectors(car, rest, {}, merged, at, touched)
    settle_if_moved_on(car, touched)
    return touched


def _of_the_past(car: Car, counter: int | None, at: int) -> bool:
    """Whether what comes now belongs to a lap already over, because the counter ran back."""
    if counter is not None and car.counter is not None and counter < car.counter:
        if car.ran_back is None:
            car.ran_back = (car.counter, at)
        car.counter = counter
        return True
    if car.ran_back is None:
        return False
    top, since = car.ran_back
    if counter is not None and counter >= top and at - since < SAME_CROSSING_MS:
        car.counter, car.ran_back = top, None  # it returned: nothing had happened
        return False
    if counter is not None and counter > (car.counter or 0):
        car.ran_back = None
        return False
    return at - since < PAST_MS


def _crossing_was_lost(lap: OpenLap, sectors: Mapping[int, Any]) -> bool:
    """Whether the car is in the next lap though no counter said so: sector 2, already driven, is cleared again.

    Not on a lap first seen in its middle, or after a gap: what a snapshot shows may be left of the lap before.
    """
    if lap.sectors[1] is None or sectors.get(1) != "" or sectors.get(0) == "":
        return False
    if lap.gaps:
        # No crossing: what a snapshot showed was left of the lap before.
        lap.sectors = [None, None, None]
        return False
    return lap.started_at is not None


def _known_already(car: Car, counter: int, rules: LapRules) -> bool:
    """Whether the counter only now tells of a crossing that was told by the sectors."""
    return car.unsaid is not None and car.unsaid == (counter if rules.race else counter - 1)


def _unsent(car: Car, merged: Mapping[str, Any]) -> None:
    """Speeds equal to the lap before are not sent again; what is shown and was not cleared is of this lap.

    So are sectors, on a lap of which a gap took something.
    """
    if car.open is not None and car.open.gaps:
        car.open.sectors = [
            ms if ms is not None else now for ms, now in zip(car.open.sectors, shown(merged), strict=True)
        ]
    traps = merged.get("Speeds")
    if car.open is None or not isinstance(traps, dict):
        return
    for trap in SPEED_TRAPS:
        speed = traps.get(trap)
        if trap not in car.open.speeds and isinstance(speed, dict):
            kph = integer(speed.get("Value"))
            if kph is not None:
                car.open.speeds[trap] = kph


def _resume(car: Car, merged: Mapping[str, Any], counter: int, at: int, rules: LapRules, touched: set[int]) -> None:
    """Crossings were missed: of the laps since, only the last can be told, by what the feed still shows of it."""
    settle(car, touched)
    if car.open is not None and not rules.race and _in_lane_since_it_began(car, car.open):
        _end_in_lane(car, car.open, rules, touched)
    car.counter = counter
    sectors, time = shown(merged), last_lap_time(merged)
    whole = sectors[2] is not None
    known = [sector for sector in sectors if sector is not None]
    borne_out = time is not None and len(known) == 3 and abs(sum(known) - time) <= TOLERANCE_MS
    in_lane = not rules.race and car.in_pit
    last = counter if rules.race or in_lane else counter - 1
    lap = car.open
    if lap is None or lap.number != last:
        car.open = lap = OpenLap(number=last)
    if borne_out:
        lap.sectors = sectors
    told = borne_out or (rules.race and not whole)
    if not (rules.race and (car.flagged or not rules.running)) and (rules.race or borne_out) and last not in car.laps:
        _complete(car, last, time if told else None, at, rules, touched)
        take_flag(car, counter, at, rules)
        settle(car, touched)
    begin(car, last + 1, at if in_lane else _ended(car, last))
    car.lap_in_lane = in_lane
    if not in_lane:
        _begun_before(car, merged)


def _read_sectors(
    car: Car,
    sectors: Mapping[int, Any],
    speeds: Mapping[str, Any],
    merged: Mapping[str, Any],
    at: int,
    touched: set[int],
) -> None:
    lap = car.open
    for index, value in sectors.items():
        ms = duration_ms(value)
        if ms is None:
            continue
        done = _late_lap(car, at)
        if done is not None and index > 0 and lap is not None and _belongs_to(done, lap, index):
            if done.sectors[index] != ms:
                done.sectors[index] = ms
                fill(car, done, touched)
        elif lap is not None:
            lap.sectors[index] = ms
            if index == 2 and lap.line_at is None:
                lap.line_at = at
    if (
        lap is not None
        and 0 not in sectors
        and sectors.get(2) == ""
        and sectors.get(1, "") == ""
        and lap.sectors[0] is None
    ):
        # Sector 1 was reached in the same time as on the lap before.
        same = duration_ms(dict(items(merged.get("Sectors"))).get(0, {}).get("Value"))
        if same is not None and lap.sectors[1] is None and not car.in_pit:
            lap.sectors[0] = same
    for trap, value in speeds.items():
        kph = integer(value)
        if kph is None:
            continue
        done = _late_lap(car, at)
        if trap == "FL" and done is not None and (lap is None or lap.sectors[0] is None):
            if done.number in car.told and done.speeds.get("FL") != kph:
                touched.add(done.number)
            done.speeds["FL"] = kph
        elif lap is not None:
            lap.speeds[trap] = kph


def _late_lap(car: Car, at: int) -> Lap | None:
    """The lap that was completed a moment ago and may still get what belongs to it."""
    done = car.laps.get(car.waiting) if car.waiting is not None else None
    over = over_since(done) if done is not None else None
    return done if over is not None and at - over <= LATE_MS else None


def over_since(lap: Lap) -> int | None:
    """From when on what is told late of a lap is awaited: its end, or the snapshot after the gap it ended in."""
    return lap.found_at if lap.lost else lap.ended_at


def _belongs_to(done: Lap, lap: OpenLap, index: int) -> bool:
    """Whether sector 2 or 3 that came late is the completed lap's and not the open one's."""
    if index == 2:
        return lap.sectors[1] is None
    return lap.sectors[0] is None and done.sectors[1] is None


def _read_time(car: Car, time: int, merged: Mapping[str, Any], at: int, rules: LapRules, touched: set[int]) -> None:
    """A lap time in a message without a crossing."""
    done = car.laps.get(car.waiting) if car.waiting is not None else None
    over = over_since(done) if done is not None else None
    if done is not None and over is not None:
        since = at - over
        if (done.time is None or done.time_source == "derived") and since <= LATE_MS and done.refused is None:
            accept(car, done, time, rules, touched)
            return
        if since <= min(CORRECTION_MS, time // 2):
            accept(car, done, time, rules, touched)
            return
    lap = car.open
    if lap is None:
        return
    if not rules.race and car.in_pit and not car.lap_in_lane:
        _unsent(car, merged)
        _complete(car, lap.number, time, at, rules, touched)
        car.lap_in_lane = True
        begin(car, lap.number + 1, at)
        return
    lap.early_time, lap.early_at = time, at
    lap.line_at = lap.line_at if lap.line_at is not None else at


def _cross(car: Car, counter: int, time: int | None, at: int, rules: LapRules, touched: set[int]) -> None:
    """The counter rose to `counter`."""
    before, car.counter = car.counter, counter
    # Joined in mid-session: only a lap whose time comes with the crossing is known to end here.
    joined = before is None and car.open is None
    if rules.race:
        if not rules.running or (car.flagged or (rules.total_laps is not None and counter > rules.total_laps)):
            return
        lap = car.open
        if lap is not None and lap.number != counter:
            # Crossings were lost: what was gathered belongs to no one lap for certain.
            car.open = OpenLap(number=counter) if lap.number < counter else lap
        if lap is not None and lap.number > counter:
            # The counter ran back and stayed there: the lap is driven again, unless it was timed whole before.
            driven = car.laps.get(counter)
            if driven is not None and driven.time_source == "feed" and None not in driven.sectors:
                begin(car, lap.number, at)
                return
            car.laps.pop(counter, None)
            car.open = OpenLap(number=counter, started_at=_ended(car, counter - 1))
        if not joined or time is not None:
            _complete(car, counter, time, at, rules, touched)
        begin(car, counter + 1, _ended(car, counter) or at)
        take_flag(car, counter, at, rules)
        return
    lap = car.open
    if car.lap_in_lane:
        # The lap ended in the lane and is stored; the car sets out on the next one.
        car.lap_in_lane = False
        begin(car, counter, lap.started_at if lap is not None else at)
        if lap is not None and car.open is not None:
            car.open.gaps, car.open.doubtful = lap.gaps, lap.doubtful
    elif lap is not None and before is not None and before >= 1:
        ended = counter - 1
        driven = car.laps.get(ended)
        if driven is not None and driven.finished:
            # The counter had run back: the lap it counts once more keeps what it was.
            begin(car, counter, at)
            return
        if lap.number != ended:
            car.open = OpenLap(number=ended)  # crossings were lost
        _complete(car, ended, time, at, rules, touched)
        _end_at_pit_entry(car, car.laps[ended])
        begin(car, counter, at if car.laps[ended].in_lane else _ended(car, ended))
    elif joined and counter > 1 and time is not None:
        _complete(car, counter - 1, time, at, rules, touched)
        begin(car, counter, at)
    else:
        begin(car, counter, at)


def take_flag(car: Car, counter: int, at: int, rules: LapRules) -> None:
    """The chequered flag falls when the first car has done all laps, or as the session's status says."""
    if not rules.race:
        return
    if rules.total_laps is not None and counter >= rules.total_laps and rules.finished_at is None:
        rules.finished_at = at
    if rules.finished_at is not None and at >= rules.finished_at:
        car.flagged = True


def _end_at_pit_entry(car: Car, lap: Lap) -> None:
    """A lap of practice that never reached the line ended where the car came in, not where it left again."""
    if lap.pit_in and lap.sectors[2] is None and lap.time is None and car.visits[-1].in_at is not None:
        lap.ended_at = car.visits[-1].in_at


def _ended(car: Car, number: int) -> int | None:
    lap = car.laps.get(number)
    return lap.ended_at if lap is not None else None


def _complete(car: Car, number: int, time: int | None, at: int, rules: LapRules, touched: set[int]) -> None:
    """The open lap is over, as lap `number`."""
    opened = car.open or OpenLap(number=number)
    settle(car, touched)
    # The counter may rise seconds after sector 3 or the time were told: the first of them is the crossing.
    crossed = opened.line_at if opened.line_at is not None and at - opened.line_at <= EARLY_MS else at
    lap = Lap(
        number=number,
        started_at=opened.started_at,
        ended_at=crossed,
        sectors=opened.sectors,
        speeds=opened.speeds,
        gap_ms=car.gap_ms,
        laps_down=car.gap_laps,
        stint=car.stint,
        part=rules.part,
        aborted=opened.aborted,
        gaps=opened.gaps,
        doubtful=opened.doubtful,
    )
    mark_pits(car, lap, rules)
    _derive_first(lap, rules)
    car.laps[number] = lap
    car.waiting = number
    if time is None and opened.early_time is not None and at - opened.early_at <= EARLY_MS:
        time = opened.early_time
    if time is not None:
        accept(car, lap, time, rules, touched)
    else:
        fill(car, lap, touched)


def mark_pits(car: Car, lap: Lap, rules: LapRules) -> None:
    """Whether the car left the pits on this lap, and came in at its end."""
    begun = lap.started_at
    if begun is None and lap.gaps:
        begun = (car.resumed_at or 1) - 1  # what came with the first message after the gap is of it
    if begun is None:
        begun = max(
            (o.ended_at for o in car.laps.values() if o.ended_at is not None and o.number < lap.number), default=0
        )
    ended = lap.ended_at if lap.ended_at is not None else begun
    for visit in car.visits:
        # A lap that ended in the lane and the visit it ended with overlap: the way out is the next lap's.
        out_at = None if visit.out_unseen else visit.out_at
        if visit.out_lap == lap.number or (out_at is not None and begun - EXIT_MS <= out_at < ended - EXIT_MS):
            lap.pit_out = True
        if visit.in_unseen:
            in_it = visit.lap is None and visit is car.visits[-1] and car.in_pit
            came_in = visit.lap == lap.number or in_it
        else:
            came_in = visit.in_at is not None and begun <= visit.in_at <= ended and (rules.race or visit.in_at > begun)
        if came_in:
            lap.pit_in = True
            lap.in_lane = not rules.race
            lap.stint = visit.stint
            # A lap that ended in the lane may be told as late as in the next part, when the car sets out again.
            lap.part = visit.part or (None if visit.in_unseen else lap.part)
            visit.lap = lap.number


def accept(car: Car, lap: Lap, time: int, rules: LapRules, touched: set[int]) -> None:
    """A lap time of the feed, if it can be believed."""
    known = [sector for sector in lap.sectors if sector is not None]
    borne_out = len(known) == 3 and abs(sum(known) - time) <= TOLERANCE_MS
    if rules.race:
        possible = len(known) < 3 and sum(known) < time
        doubtful = time > LONG_LAP_MS or (lap.aborted and not possible)
    else:
        doubtful = time > LONG_LAP_MS or lap.aborted or lap.pit_out
    if doubtful and not borne_out:
        lap.refused = time
        return
    if lap.time != time or lap.time_source != "feed":
        lap.time, lap.time_source, lap.refused = time, "feed", None
        _place_in_time(car, lap)
        if lap.number in car.told:
            touched.add(lap.number)
    fill(car, lap, touched)


def _place_in_time(car: Car, lap: Lap) -> None:
    """Puts the ends of a lap where its time says, if a message came much too late (Baku 2018: 36 s)."""
    if lap.gaps and not lap.in_lane:
        reckon(car, lap)
    if lap.time is None or lap.started_at is None or lap.ended_at is None:
        return
    late = lap.ended_at - lap.started_at - lap.time
    if late > MUCH_TOO_LATE_MS and not lap.in_lane:
        lap.ended_at = lap.started_at + lap.time
        if car.open is not None and car.open.number == lap.number + 1:
            car.open.started_at = lap.ended_at
    _begun_in_lane(lap)


def _begun_in_lane(lap: Lap) -> None:
    """Sets back the beginning of a lap that began in the pit lane, before the car left it."""
    if lap.time is None or lap.started_at is None or lap.ended_at is None:
        return
    if lap.ended_at - lap.time < lap.started_at - MUCH_TOO_LATE_MS:
        lap.started_at = lap.ended_at - lap.time


def reckon(car: Car, lap: Lap) -> None:
    """The ends of a lap that fell into a gap, from its time and the end that was seen."""
    before = car.laps.get(lap.number - 1)
    if lap.time is None or lap.pit_out:
        return
    if lap.started_at is None and lap.ended_at is not None:
        lap.started_at = lap.ended_at - lap.time
        if before is not None and before.lost and before.ended_at is None:
            before.ended_at = lap.started_at
            _begun_in_lane(before)
    elif lap.lost and lap.ended_at is None and lap.started_at is not None:
        lap.ended_at = lap.started_at + lap.time


def fill(car: Car, lap: Lap, touched: set[int]) -> None:
    """Settles what follows from what is known; reports a lap that was told before."""
    known = [sector for sector in lap.sectors if sector is not None]
    if lap.refused is not None and len(known) == 3 and abs(sum(known) - lap.refused) <= TOLERANCE_MS:
        lap.time, lap.time_source, lap.refused = lap.refused, "feed", None
    if lap.time is not None and lap.time_source == "feed" and len(known) == 2 and not lap.aborted:
        missing = lap.time - sum(known)
        if missing > 0:
            lap.sectors[lap.sectors.index(None)] = missing
    if lap.number in car.told:
        touched.add(lap.number)


def settle_if_moved_on(car: Car, touched: set[int]) -> None:
    """A lap is settled when it has its time and sector 3, or when the car has reached sector 1 of the next."""
    done = car.laps.get(car.waiting) if car.waiting is not None else None
    if done is None or done.number in car.told:
        return
    if done.sectors[2] is not None and done.time is not None and (done.time_source == "feed" or done.number == 1):
        tell(car, done, touched)
    elif car.open is not None and car.open.sectors[0] is not None:
        settle(car, touched)


def tell(car: Car, lap: Lap, touched: set[int]) -> None:
    """Reports a lap for the first time."""
    car.told.add(lap.number)
    touched.add(lap.number)


def settle(car: Car, touched: set[int]) -> None:
    """Nothing more is awaited for the lap last completed: derive what is missing and report it."""
    done = car.laps.get(car.waiting) if car.waiting is not None else None
    car.waiting = None
    if done is None:
        return
    if done.time is None and (done.refused is None or _took_its_sectors(done)):
        _derive(car, done, touched)
    if done.number not in car.told:
        tell(car, done, touched)


def _took_its_sectors(lap: Lap) -> bool:
    """Whether a lap took as long as its sectors say, though the feed gave it another time."""
    known = [sector for sector in lap.sectors if sector is not None]
    if len(known) < 3 or lap.started_at is None or lap.ended_at is None:
        return False
    return abs(lap.ended_at - lap.started_at - sum(known)) <= MUCH_TOO_LATE_MS


def _derive(car: Car, lap: Lap, touched: set[int]) -> None:
    """A time for a lap the feed gave none: the one before it, the sum of its sectors, or, for lap 1, from the start."""
    known = [sector for sector in lap.sectors if sector is not None]
    before = car.laps.get(lap.number - 1)
    previous = before.time if before is not None and before.time_source == "feed" else None
    if len(known) == 3:
        lap.time = sum(known)
        lap.time_source = "feed" if previous is not None and abs(previous - lap.time) <= TOLERANCE_MS else "derived"
        if lap.time_source == "feed":
            lap.time = previous
            if before is not None and before.lost and None in before.sectors and not _told_as_best(car, before):
                # Two laps of one time are rare: the snapshot showed this one's already, a moment before its crossing.
                before.time, before.time_source = None, ""
                touched.add(before.number)


def _told_as_best(car: Car, lap: Lap) -> bool:
    """Whether the feed told the lap's time as the car's best, with its number."""
    return any(best.time == lap.time and best.lap == lap.number for best in car.told_bests.values())


def _derive_first(lap: Lap, rules: LapRules) -> None:
    """Lap 1 of a race has no time in the feed: from the start to the first crossing, at the message's resolution."""
    if (
        rules.race
        and lap.number == 1
        and rules.started_at is not None
        and lap.ended_at is not None
        and lap.ended_at > rules.started_at
    ):
        lap.started_at = rules.started_at
        lap.time, lap.time_source = lap.ended_at - rules.started_at, "derived"


def end_early(car: Car, rules: LapRules, at: int, touched: set[int]) -> None:
    """A car stopped or retired, on the track or in the pits: the lap it was on is kept, without a time.

    A car that never completed a lap has none; neither has one past the flag, nor one that came into the pits at
    the end of a lap it completed. at: the instant; outside a race, of the chequered flag.
    """
    lap = car.open
    if lap is None or car.flagged or lap.number in car.laps:
        return
    begun = lap.started_at if lap.started_at is not None or not lap.gaps else car.resumed_at
    if not rules.race and (car.in_pit or begun is None or begun >= at):
        return
    if not car.laps and car.joined_at is None:
        return
    if car.in_pit and all(sector is None for sector in lap.sectors):
        return
    settle(car, touched)
    stopped = Lap(
        number=lap.number,
        started_at=lap.started_at,
        ended_at=car.visits[-1].in_at if car.in_pit and car.visits else at,
        sectors=list(lap.sectors),
        speeds=dict(lap.speeds),
        stint=car.stint,
        finished=False,
        gaps=list(lap.gaps),
        doubtful=lap.doubtful,
    )
    mark_pits(car, stopped, rules)
    car.laps[lap.number] = stopped
    tell(car, stopped, touched)


def end_in_pits(car: Car, rules: LapRules, first_end: int | None, touched: set[int]) -> None:
    """Practice or qualifying is over: the lap a car came in on ended in the pits, though it never crossed the line.

    first_end: when the session, or the first part of qualifying, was flagged off. A lap begun after it of which the
    feed shows nothing was none: a car driven from the line to where the first three park.
    """
    lap = car.open
    if lap is None or not _in_lane_since_it_began(car, lap) or car.visits[-1].out_at is not None:
        return
    began_before = first_end is not None and lap.started_at is not None and lap.started_at < first_end
    if began_before or lap.speeds or any(sector is not None for sector in lap.sectors):
        _end_in_lane(car, lap, rules, touched)


def _in_lane_since_it_began(car: Car, lap: OpenLap) -> bool:
    """Whether a lap of practice or qualifying is over because the car came into the pits on it, and is not told yet."""
    if car.lap_in_lane or lap.number in car.laps or lap.number < 1 or not car.visits:
        return False
    came_in = car.visits[-1].in_at
    return came_in is not None and (lap.started_at is None or came_in > lap.started_at)


def _end_in_lane(car: Car, lap: OpenLap, rules: LapRules, touched: set[int]) -> None:
    came_in = car.visits[-1].in_at or 0
    _complete(car, lap.number, None, came_in, rules, touched)
    if car.visits[-1].in_unseen:
        car.laps[lap.number].ended_at = None
    settle(car, touched)
    begin(car, lap.number + 1, came_in)
    car.lap_in_lane = True
