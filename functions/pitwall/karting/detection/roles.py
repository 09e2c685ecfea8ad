"""Which field means what: by what is declared, by header, by shape and by behaviour, one field a role, chosen together.

A header that nothing contradicts is enough to use a field; behaviour alone is too, where it was seen often enough. What
looks like a role and nothing more is proposed. What a human said stands, and is said to be doubtful where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from pitwall.karting.description import PROPOSED_FROM, ROLES, USED_FROM, Field, Origin, Unit
from pitwall.karting.detection import behaviour
from pitwall.karting.detection.assignment import assign
from pitwall.karting.detection.behaviour import Evidence, confidence
from pitwall.karting.detection.sample import Sample
from pitwall.karting.detection.shapes import Shape, median_of, milliseconds, shape, time_unit
from pitwall.karting.headers import UNUSED, folded, named
from pitwall.karting.splitting import ROW_NAME

DECLARED: Final = 0.97
HEADER: Final = 0.93
REQUIRED: Final[Mapping[str, float]] = {
    "LastLapMs": 0.6,
    "BestLapMs": 0.8,
    "Laps": 0.7,
    "Position": 0.75,
    "TotalMs": 0.8,
    "Gap": 0.8,
    "Interval": 0.7,
    "Sector1Ms": 0.6,
    "Sector2Ms": 0.6,
    "Sector3Ms": 0.6,
    "Stops": 1.0,
    "StintMs": 0.8,
}
"""The share of values that do as the role does from which it is sure. Boards leave out equal values, miss crossings and
correct themselves, so it is below one."""
_CLOSE: Final = 0.1
_RIVALLED: Final = 0.75
_CONTRADICTED: Final = 0.55
_ALIKE: Final = 0.05
_CLOSELY_MS: Final = 300
_MOST_HYPOTHESES: Final = 4
_MOST_GAPS: Final = 8
_ENOUGH: Final = 8
_TIMES: Final = frozenset(role for role in ROLES if role.endswith("Ms"))
_COUNTS: Final = ("Position", "Laps", "Stops")


class NotUnderstood(Struct, frozen=True, rename="camel"):
    """A field that no role was found for. Its values are not here: they may be names."""

    key: str
    header: str
    shape: str
    rows: int
    changes: int


class Meanings(Struct, frozen=True, rename="camel"):
    """What a sample's fields mean."""

    fields: list[Field]
    """One for each role found, and for each field a human spoke of."""
    not_understood: list[NotUnderstood]
    notices: list[str]


class _Score:
    """How sure a field is of a role, and why."""

    def __init__(self) -> None:
        self.confidence = 0.0
        self.origin: Origin = "shape"
        self.reasons: list[str] = []
        self.contradicted = False


def meanings(sample: Sample, hint: Mapping[str, str] | None = None) -> Meanings:
    """What the fields of a sample mean. hint: a human's words by field, a role or a label as on a board."""
    return _Reading(sample, hint or {}).meanings()


def hinted(hint: Mapping[str, str]) -> dict[str, str]:
    """Roles by field as a human said them; "" for unused, as are no words. Words that are not known are left out."""
    told = {}
    for key, label in hint.items():
        if label in ROLES:
            told[key] = label
        elif not label or folded(label) in UNUSED:
            told[key] = ""
        elif role := named(label):
            told[key] = role
    return told


class _Reading:
    def __init__(self, sample: Sample, hint: Mapping[str, str]) -> None:
        self.sample = sample
        self.fields = list(dict.fromkeys([*sample.declared, *sample.fields]))
        self.notices: list[str] = []
        self.human = self._human_roles(hint)
        self.shapes = {field: shape(sample.fields.get(field, {})) for field in self.fields}
        self.units: dict[str, Unit] = {field: time_unit(self.shapes[field]) for field in self.fields}
        self.said = {field: self._said(field) for field in self.fields}
        self.evidence: dict[tuple[str, str], Evidence] = {}
        """By role and field."""
        self.alike: list[str] = []
        """Fields of which each may be the last lap."""
        self.last_lap = 1.0
        """How sure that is: a best lap, which is held against it, is no surer."""
        self._watch()

    # -- what is said ----------------------------------------------------------------------

    def _human_roles(self, hint: Mapping[str, str]) -> dict[str, str]:
        """A human's roles of the fields that are there, each role once."""
        told: dict[str, str] = {}
        read = hinted(hint)
        for key in hint:
            if key not in self.fields:
                continue
            if key not in read:
                self.notices.append(f"{key[:120]}: its label is no role that is known")
            elif read[key] and read[key] in told.values():
                self.notices.append(f"{key[:120]}: said to be {read[key]}, as another field is")
            else:
                told[key] = read[key]
        if absent := [key for key in read if read[key] and key not in self.fields]:
            self.notices.append(f"said of, but not there: {', '.join(absent)[:200]}")
        return told

    def _said(self, field: str) -> tuple[str, Origin] | None:
        """The role a field says it has."""
        declared = self.sample.declared.get(field)
        if declared is not None and declared.role in ROLES:
            return declared.role, "type"
        role = named(declared.header) if declared is not None and declared.header else ""
        return (role, "header") if role else None

    # -- how it behaves --------------------------------------------------------------------

    def _note(self, role: str, field: str, evidence: Evidence) -> None:
        if evidence.of:
            self.evidence[role, field] = evidence

    def _of(self, fits: Callable[[Shape], bool]) -> list[str]:
        return [field for field in self.sample.fields if self.shapes[field].told and fits(self.shapes[field])]

    def _best(self, role: str, fields: list[str]) -> str | None:
        """The field most likely to have a role by what is known so far."""
        scored = {field: self._score(role, field).confidence for field in fields}
        best = max(scored, key=lambda field: scored[field], default=None)
        return best if best is not None and scored[best] >= PROPOSED_FROM else None

    def _watch(self) -> None:
        sample, units = self.sample, self.units
        times = self._of(lambda of: of.time >= 0.6 or (of.number >= 0.9 and of.middle >= 1_000))
        counts = self._of(lambda of: of.number >= 0.9 and of.middle < 10_000)
        for field in times:
            self._note("LastLapMs", field, behaviour.last_lap(sample, field, units[field]))
        last, known = self._watch_laps(times)
        for field in times:
            if field != last:
                self._note("TotalMs", field, behaviour.total(sample, field, units[field], known))
        for field in counts:
            self._note("Laps", field, behaviour.laps(sample, field, known))
            self._note("Position", field, behaviour.position(sample, field))
            self._note("Stops", field, behaviour.stops(sample, field, known))
        best = self._best("BestLapMs", times)
        self._watch_gaps([last, best], counts)
        self._watch_sectors(last, [field for field in times if field not in (last, best)], known)
        for field in self._of(lambda of: of.timer >= 0.6):
            by_hours = behaviour.timer(sample, field, "hours")
            by_clock = behaviour.timer(sample, field, "clock")
            if by_hours.agree > by_clock.agree:
                units[field] = "hours"
            self._note("StintMs", field, max(by_hours, by_clock, key=lambda told: told.agree))

    def _watch_laps(self, times: list[str]) -> tuple[str | None, behaviour.Passes]:
        """The field of the last lap and the crossings it makes; the best lap is looked for beside it.

        Where most laps are the best so far, the two look alike: they are told apart by which one fits the other.
        """
        hypotheses = []
        sure = {field: self._score("LastLapMs", field).confidence for field in times}
        likely = [field for field in times if sure[field] >= PROPOSED_FROM]
        likely = likely or [field for field in times if sure[field] >= 0.3]
        likely.sort(key=lambda field: -sure[field])
        for field in likely[:_MOST_HYPOTHESES]:
            known = behaviour.passes(self.sample, field, self.units[field])
            bests = {
                other: behaviour.best_lap(self.sample, other, self.units[other], known)
                for other in times
                if other != field
            }
            fits = [
                behaviour.lower(each.agree, each.of)
                + behaviour.below(self.sample, other, field, self.units)
                + self._stated("BestLapMs", other)
                for other, each in bests.items()
                if each.of
            ]
            # An average of laps is within a second of one, too, but not as closely.
            last = behaviour.last_lap(self.sample, field, self.units[field], within=_CLOSELY_MS)
            fit = behaviour.lower(last.agree, last.of)
            hypotheses.append((fit + self._stated("LastLapMs", field) + max(fits, default=0.5), field, known, bests))
        if not hypotheses:
            known = behaviour.passes(self.sample, None, "clock")
            for field in times:
                self._note("BestLapMs", field, behaviour.best_lap(self.sample, field, self.units[field], known))
            return None, known
        hypotheses.sort(key=lambda told: -told[0])
        sum_of, field, known, bests = hypotheses[0]
        for other, evidence in bests.items():
            self._note("BestLapMs", other, evidence)
        self.last_lap = sure[field]
        self.alike = [told[1] for told in hypotheses[1:] if told[0] > sum_of - _ALIKE]
        self.alike += [field] if self.alike else []
        for other in likely:
            if other != field and other not in self.alike:
                # It looks like a last lap, but another field fits better beside a best one.
                self.evidence.pop(("LastLapMs", other), None)
        return (field if sure[field] >= PROPOSED_FROM else None), known

    def _stated(self, role: str, field: str) -> float:
        """What is declared, as a weight beside two shares."""
        said = self.said[field]
        return 0.0 if said is None else 1.0 if said[0] == role else -1.0

    def _watch_gaps(self, others: list[str | None], counts: list[str]) -> None:
        sample = self.sample
        place = None if sample.places else self._best("Position", counts)
        if place is None and not sample.places:
            return
        gaps = self._of(lambda of: of.gap >= 0.6 and of.timer < 0.6 and of.changes > 0)
        gaps = [field for field in gaps if field not in (*others, place) and not self._may_be_a_lap(field)]
        in_ms = "ms" in self.units.values()
        gaps = [field for field in gaps if in_ms or self.shapes[field].number < 0.9][:_MOST_GAPS]
        small: dict[str, Unit] = {field: "ms" if self.shapes[field].number >= 0.9 else "clock" for field in gaps}
        for field in gaps:
            self._note("Gap", field, behaviour.gap(sample, field, small[field], place))
        for field in gaps:
            told = [
                behaviour.interval(sample, field, other, small[field], place)
                for other in gaps
                if other != field and small[other] == small[field] and self._score("Gap", other).confidence >= 0.3
            ]
            if told:
                self._note("Interval", field, max(told, key=lambda each: behaviour.lower(each.agree, each.of)))
        for field in gaps:
            if small[field] == "ms":
                self.units[field] = "ms"

    def _may_be_a_lap(self, field: str) -> bool:
        return any(self._score(role, field).confidence >= 0.3 for role in ("LastLapMs", "BestLapMs"))

    def _watch_sectors(self, last: str | None, times: list[str], known: behaviour.Passes) -> None:
        if last is None:
            return
        laps = [each.lap_ms for of_row in known.values() for each in of_row if each.lap_ms is not None]
        longest = median_of(laps) * 0.9
        parts = []
        for field in times:
            told = [
                time
                for of_row in self.sample.fields[field].values()
                for value in of_row
                if (time := milliseconds(value.text, self.units[field])) is not None
            ]
            if 0 < median_of(told) < longest:
                parts.append(field)
        for number, (field, evidence) in enumerate(
            behaviour.sectors(self.sample, parts, self.units, known).items(), start=1
        ):
            self._note(f"Sector{number}Ms", field, evidence)

    # -- how sure --------------------------------------------------------------------------

    def _score(self, role: str, field: str) -> _Score:
        score = _Score()
        said, evidence = self.said[field], self.evidence.get((role, field))
        if evidence is not None:
            sure = confidence(evidence, REQUIRED[role])
            score.confidence = min(sure, self.last_lap) if role == "BestLapMs" else sure
            score.origin = "behaviour"
            if sure >= 0.3:
                score.reasons.append(str(evidence))
        by_shape, why = self._by_shape(role, field)
        if by_shape > score.confidence:
            score.confidence, score.origin, score.reasons = by_shape, "shape", [why]
        if said is None:
            return score
        stated = DECLARED if said[1] == "type" else HEADER
        if said[0] != role:
            score.confidence *= 1 - stated + 0.5
            return score
        word = "declares it" if said[1] == "type" else f"its header is {self.sample.declared[field].header!r}"
        if not self._can_be(role, field):
            score.confidence, score.contradicted = _CONTRADICTED, True
            score.reasons = [word, f"but its values are {self.shapes[field].name}"]
        elif (
            evidence is not None
            and evidence.tells
            and evidence.of >= 2 * _ENOUGH
            and evidence.agree < evidence.of * REQUIRED[role] / 3
        ):
            score.confidence, score.contradicted = _CONTRADICTED, True
            score.reasons = [word, f"but {evidence}"]
        else:
            score.confidence = 1 - (1 - stated) * (1 - score.confidence)
            score.reasons.insert(0, word)
        score.origin = said[1]
        return score

    def _can_be(self, role: str, field: str) -> bool:
        """Whether values look as they must; a field that has told nothing can be anything."""
        of = self.shapes[field]
        if not of.told:
            return True
        if role in _COUNTS:
            return of.number >= 0.8
        if role in ("Gap", "Interval"):
            return of.gap >= 0.5
        if role in _TIMES:
            return of.time + of.timer + of.number >= 0.6
        return True

    def _by_shape(self, role: str, field: str) -> tuple[float, str]:
        """What a field looks like, where it moves seldom. Enough to propose it and never to use it."""
        of = self.shapes[field]
        if of.rows < 3 or of.constant < 0.8:
            return 0.0, ""
        if role == "Number" and of.start_number >= 0.9 and of.unique >= 0.95 and of.length <= 4:
            # 1 to the number of rows may as well be an order, unless places were told and are others.
            order = of.number == 1.0 and of.distinct == of.rows and of.middle == (of.rows + 1) / 2
            places = self.evidence.get(("Position", field))
            other = places is not None and places.of >= _ENOUGH and places.agree * 2 < places.of
            return (0.5 if order and not other else 0.8), "a number of its own in every row"
        if role == "Driver" and of.words >= 0.8 and of.unique >= 0.8 and of.length >= 5:
            return 0.7, "a name of its own in every row"
        if role == "Nation" and of.nation >= 0.95:
            return 0.65, "two or three capitals in every row"
        if role == "Category" and of.words >= 0.5 and 2 <= of.distinct <= of.rows / 3:
            return 0.65, "a few words that rows share"
        return 0.0, ""

    # -- all of it -------------------------------------------------------------------------

    def meanings(self) -> Meanings:
        taken = {role for role in self.human.values() if role}
        free = [field for field in self.fields if field not in self.human]
        roles = [role for role in ROLES if role not in taken]
        scores = {role: {field: self._score(role, field) for field in free} for role in roles}
        found: list[Field] = []
        chosen = assign([[scores[role][field].confidence for field in free] for role in roles]) if free else []
        assigned = {roles[index]: free[column] for index, column in enumerate(chosen) if column is not None}
        for role, field in assigned.items():
            score = scores[role][field]
            sure, reasons = score.confidence, list(score.reasons)
            rival = self._rival(role, field, scores, assigned)
            if rival is not None and score.origin not in ("type", "header") and sure > _RIVALLED:
                sure = _RIVALLED
                reasons.append(f"{rival} does so as well")
            if field in self.alike and role in ("LastLapMs", "BestLapMs") and score.origin == "behaviour":
                sure = min(sure, _CONTRADICTED)
                reasons.append("last and best lap look alike so far")
            found.append(self._field(field, role, sure, score.origin, reasons))
        notices = list(self.notices)
        for field, role in self.human.items():
            told, doubt = self._human(field, role)
            found.append(told)
            notices.extend(doubt)
        understood = {field.key for field in found if field.verdict != "ask"}
        found.sort(key=lambda field: self.fields.index(field.key))
        unknown = [field for field in self.fields if field not in understood and field != ROW_NAME]
        return Meanings(found, [self._unknown(field) for field in unknown], notices)

    def _rival(
        self, role: str, field: str, scores: Mapping[str, Mapping[str, _Score]], assigned: Mapping[str, str]
    ) -> str | None:
        """Another field that has no better role and fits this one about as well."""
        own = scores[role][field].confidence
        placed = {key: other for other, key in assigned.items()}
        for other, score in scores[role].items():
            if other == field or score.confidence < own - _CLOSE:
                continue
            elsewhere = placed.get(other)
            if elsewhere is None or scores[elsewhere][other].confidence < score.confidence - _CLOSE:
                return other
        return None

    def _human(self, field: str, role: str) -> tuple[Field, list[str]]:
        """What a human said, which stands; and what speaks against it."""
        own = self._score(role, field) if role else _Score()
        others = [(self._score(other, field), other) for other in ROLES if other != role]
        better, other = max(others, key=lambda told: told[0].confidence)
        told = self._field(field, role, 1.0, "human", ["a human said so", *own.reasons])
        if better.confidence >= USED_FROM and better.confidence > own.confidence:
            return told, [f"{field}: said to be {role or 'unused'}, looks like {other} ({'; '.join(better.reasons)})"]
        evidence = self.evidence.get((role, field))
        seen = evidence is not None and evidence.tells and evidence.of >= 2 * _ENOUGH
        if seen and own.confidence < PROPOSED_FROM:
            return told, [f"{field}: said to be {role}, but {evidence}"]
        return told, []

    def _field(self, field: str, role: str, sure: float, origin: Origin, reasons: list[str]) -> Field:
        declared = self.sample.declared.get(field)
        return Field(
            key=field,
            role=role,  # type: ignore[arg-type]
            unit=self._unit(field, role),
            confidence=round(sure, 3),
            origin=origin,
            reasons=[reason[:300] for reason in reasons[:8]],
            header=declared.header if declared is not None else "",
        )

    def _unit(self, field: str, role: str) -> Unit:
        if role in ("Gap", "Interval"):
            return "ms" if self.units[field] == "ms" else "gap"
        if role in _TIMES:
            return self.units[field]
        return "count" if role in _COUNTS else "text"

    def _unknown(self, field: str) -> NotUnderstood:
        of, declared = self.shapes[field], self.sample.declared.get(field)
        return NotUnderstood(field, declared.header if declared is not None else "", of.name, of.rows, of.changes)
