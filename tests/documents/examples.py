"""One document of every kind, made with the types, for the tests of documents and of the API."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from pitwall.documents.api_key import ApiKeyDocument
from pitwall.documents.base import SCHEMA_VERSION, Document
from pitwall.documents.car_telemetry import (
    AskedCar,
    CarChannelsSample,
    CarPositionSample,
    CarTelemetryDocument,
    TelemetryRequestDocument,
)
from pitwall.documents.circuits import (
    AnalysisDocument,
    AppData,
    AppTimingDocument,
    CircuitDocument,
    ConnectionDocument,
    Endurance,
    EnduranceDocument,
    EnduranceLine,
    FormatDocument,
    NoticeDocument,
    StartedDocument,
)
from pitwall.documents.drivers import DriverDocument, Lap, LapDocument, PartBest, PitStop, Speeds, Stint
from pitwall.documents.economy import BudgetsWord, EconomyDocument, HandsWord
from pitwall.documents.history import (
    ConstructorDocument,
    ConstructorSeasonDocument,
    ContributionDocument,
    CountedResult,
    DriverProfileDocument,
    DriverSeasonDocument,
    FastestLap,
    HeadToHead,
    LayoutDocument,
    Name,
    ResultDocument,
    RoundStandings,
    SeasonDocument,
    SeasonRace,
    SeasonStanding,
    StandingLine,
    StandingsDocument,
    Statistics,
    TrackPoint,
)
from pitwall.documents.job import JobDocument, KindChanges, Reconciled
from pitwall.documents.live import (
    CarChannels,
    CarPosition,
    EntriesDocument,
    EntryLine,
    FeedDocument,
    PositionSample,
    PositionsDocument,
    SegmentLine,
    SegmentsDocument,
    TelemetryDocument,
    TelemetrySample,
    TowerDocument,
    TowerLine,
    TyreLine,
    TyresDocument,
)
from pitwall.documents.privacy import PrivacyRequestDocument
from pitwall.documents.schedule import EventDocument, ScheduleDocument, ScheduledSession
from pitwall.documents.session import (
    Circuit,
    Clock,
    Country,
    GapDocument,
    LapCount,
    Meeting,
    Qualifying,
    RaceControlDocument,
    SessionDocument,
    SessionStatusDocument,
    TeamRadioDocument,
    TrackStatus,
    TrackStatusDocument,
    Weather,
    WeatherDocument,
)
from pitwall.documents.user import Notifications, UserDocument

AT = datetime(2025, 11, 8, 14, 3, 7, 412_000, tzinfo=UTC)
WRITTEN_AT = datetime(2025, 11, 8, 14, 3, 8, 90_000, tzinfo=UTC)
V = 3 * 2**32 + 17
WEATHER = Weather(
    air_temp=22.4,
    track_temp=41.0,
    humidity=55.0,
    pressure=921.3,
    rainfall=False,
    wind_direction=180,
    wind_speed_kph=7.2,
)

SESSION = SessionDocument(
    at=AT,
    series="f1",
    feed_id="f1",
    year=2025,
    round=21,
    meeting=Meeting(
        key="1273",
        name="Example Grand Prix",
        official_name="EXAMPLE GRAND PRIX 2025",
        location="Example",
        country=Country(code="EXA", name="Example"),
        circuit=Circuit(key="14", short_name="Example"),
    ),
    type="Race",
    name="Sprint",
    status="Started",
    start_date=AT,
    end_date=AT,
    gmt_offset="-03:00:00",
    archive_path="2025/example/sprint/",
    lap_count=LapCount(current=9, total=24),
    track_status=TrackStatus(code="1", message="AllClear"),
    clock=Clock(remaining_ms=3_600_000, running=True, at=AT),
    weather=WEATHER,
    qualifying=Qualifying(part=1, entries=[20, 15, 10], cut_off_ms=71_234),
    final=False,
    schema_version=SCHEMA_VERSION,
)

TOWER_LINE = TowerLine(
    p=2, g=1_534, i=1_534, n=8, l=72_345, lb="p", s1=20_001, s2=30_002, s3=22_342, b1="o", b2="p", ip=True, dz=True
)

DRIVER = DriverDocument(
    at=AT,
    racing_number="44",
    tla="HAM",
    broadcast_name="L HAMILTON",
    full_name="Lewis HAMILTON",
    team_name="Ferrari",
    team_colour="E8002D",
    country_code="GBR",
    grid=4,
    position=2,
    laps=8,
    best_lap_ms=72_345,
    best_lap=8,
    best_by_part={"1": PartBest(lap_time_ms=71_000, lap=4)},
    stints=[Stint(stint=1, compound="SOFT", new=True, start_age=0, laps=8, start_lap=1)],
    pit_stops=[PitStop(lap=5, in_at=AT, out_at=AT, lane_time_ms=22_000, stop=True)],
    status="running",
)

LAP = Lap(
    lap_time_ms=72_345,
    sector1_ms=20_001,
    sector2_ms=30_002,
    sector3_ms=22_342,
    speeds=Speeds(i1_kph=301, i2_kph=288, fl_kph=310, st_kph=327),
    position=2,
    gap_to_leader_ms=1_534,
    stint=1,
    compound="SOFT",
    tyre_age=8,
    tyre_new=True,
    pit_in=True,
    track_statuses=["1", "4"],
    personal_best=True,
    started_at=AT,
    ended_at=AT,
    time_source="feed",
)

SPRINT = ScheduledSession(
    session_key="9845",
    year=2025,
    round=21,
    meeting="São Paulo Grand Prix",
    location="São Paulo",
    type="Race",
    name="Sprint",
    start_date=datetime(2025, 11, 8, 14, 0, tzinfo=UTC),
    end_date=datetime(2025, 11, 8, 15, 0, tzinfo=UTC),
    gmt_offset="-03:00:00",
    archive_path="2025/2025-11-09_Sao_Paulo_Grand_Prix/2025-11-08_Sprint/",
)
CANCELLED = ScheduledSession(
    year=2025,
    meeting="São Paulo Grand Prix",
    type="Practice",
    name="Practice 2",
    start_date=AT,
    end_date=WRITTEN_AT,
    cancelled=True,
)

COUNTED = Statistics(
    entries=21,
    races=21,
    starts=21,
    finishes=18,
    retirements=2,
    disqualifications=1,
    wins=1,
    podiums=3,
    poles=1,
    fastest_laps=2,
    sprint_wins=1,
    points=152.5,
    laps=1_180,
    laps_led=70,
    races_with_laps=21,
    best_place=1,
    places={"1": 1, "3": 2, "8": 15},
)

HAMILTON = replace(
    COUNTED,
    constructors={"ferrari": 21},
    team_mates={"leclerc": HeadToHead(races_ahead=4, races_behind=12, qualifying_ahead=5, qualifying_behind=16)},
)

APP_DATA = AppData(
    mapped_data={"C1": "2", "C2": "012", "C7": "1:05.295"},
    raw_data={"Position": 2, "Number": "012", "LastLapMs": 65_295},
    timestamp=AT,
)

EXAMPLES: dict[str, Document] = {
    "sessions/9845": SESSION,
    "sessions/9845/live/timing": TowerDocument(at=AT, lines={"44": TOWER_LINE, "1": TowerLine(p=1)}),
    "sessions/9845/live/entries": EntriesDocument(
        at=AT, lines={"44": EntryLine(tla="HAM", team_colour="E8002D", grid=4)}
    ),
    "sessions/9845/live/tyres": TyresDocument(
        at=AT, lines={"44": TyreLine(compound="SOFT", age=8, new=True, stint=1, stops=0, best_lap_ms=72_345)}
    ),
    "sessions/9845/live/segments": SegmentsDocument(at=AT, lines={"44": SegmentLine(s1="ggpy-", s2="--", s3="---")}),
    "sessions/9845/live/positions": PositionsDocument(
        at=AT, samples=[PositionSample(at=AT, lines={"44": CarPosition(x=-1, y=2, z=3, off_track=True)})]
    ),
    "sessions/9845/live/telemetry": TelemetryDocument(
        at=AT,
        samples=[TelemetrySample(at=AT, lines={"44": CarChannels(rpm=11_000, speed_kph=301, gear=8, throttle=100)})],
    ),
    "sessions/9845/live/feed": FeedDocument(
        at=AT, source="recording", state="live", last_message_at=AT, reconnects=0, gated_topics=["CarData.z"]
    ),
    "sessions/9845/telemetry/44": CarTelemetryDocument(
        at=AT,
        racing_number="44",
        until=WRITTEN_AT,
        telemetry=[
            CarChannelsSample(at=AT, rpm=11_000, speed_kph=301, gear=8, throttle=100, brake=0, drs=12),
            CarChannelsSample(at=WRITTEN_AT, rpm=11_250, speed_kph=304, gear=8, throttle=100, brake=0, drs=12),
        ],
        positions=[CarPositionSample(at=AT, x=-1, y=2, z=3, off_track=True)],
    ),
    "sessions/9845/towers/7": TowerDocument(at=AT, lines={"44": TOWER_LINE}),
    "sessions/9845/drivers/44": DRIVER,
    "sessions/9845/laps/8": LapDocument(at=AT, lap=8, drivers={"44": LAP}),
    "sessions/9845/raceControl/3": RaceControlDocument(at=AT, n=3, message="CHEQUERED FLAG", flag="CHEQUERED", lap=24),
    "sessions/9845/weather/5": WeatherDocument(at=AT, n=5, weather=WEATHER),
    "sessions/9845/trackStatus/1": TrackStatusDocument(at=AT, n=1, code="4", message="SCDeployed"),
    "sessions/9845/sessionStatus/1": SessionStatusDocument(at=AT, n=1, status="Started"),
    "sessions/9845/teamRadio/0": TeamRadioDocument(at=AT, n=0, racing_number="44", path="TeamRadio/HAM_44.mp3"),
    "sessions/9845/gaps/0": GapDocument(
        at=AT,
        n=0,
        start_date=AT,
        end_date=AT,
        reason="the connection was lost",
        merged=True,
        laps={"1": [7, 8], "44": [7]},
        series=["weather"],
        withheld=["PitStopSeries"],
    ),
    "jobs/archive-9845": JobDocument(
        at=AT,
        kind="archive",
        state="done",
        progress=100,
        message="1 document corrected",
        result=msgspec.to_builtins(
            Reconciled(
                messages=9_991,
                compared=412,
                written=1,
                deleted=0,
                changes={
                    "lap": KindChanges(
                        added=0, changed=1, removed=0, fields={"lapTimeMs": 1}, examples=["laps/8: 44.lapTimeMs"]
                    )
                },
            )
        ),
    ),
    "schedule/f1": ScheduleDocument(at=AT, live=SPRINT, last=SPRINT, next=SPRINT, upcoming=[SPRINT]),
    "seasons/2025/events/21": EventDocument(
        at=AT,
        year=2025,
        round=21,
        name="São Paulo Grand Prix",
        official_name="FORMULA 1 MSC CRUISES GRANDE PRÊMIO DE SÃO PAULO 2025",
        meeting_key="1273",
        country="Brazil",
        location="São Paulo",
        format="sprint_qualifying",
        start_date=SPRINT.start_date,
        end_date=SPRINT.end_date,
        sessions=[SPRINT, CANCELLED],
    ),
    "sessions/9845/results/44": ResultDocument(
        at=AT,
        racing_number="44",
        driver="hamilton",
        constructor="ferrari",
        code="HAM",
        order=7,
        position=7,
        position_text="7",
        points=2.0,
        grid=8,
        laps=24,
        status="Finished",
        time_ms=2_009_200,
        gap_ms=18_603,
        fastest_lap=FastestLap(rank=4, lap=21, lap_time_ms=72_345, average_speed_kph=214.42),
    ),
    "seasons/2025": SeasonDocument(
        at=AT,
        year=2025,
        races=[
            SeasonRace(
                round=21,
                name="São Paulo Grand Prix",
                date="2025-11-09",
                circuit="interlagos",
                sprint=True,
                winners=["norris"],
            )
        ],
        leading_drivers=["norris"],
        leading_constructors=["mclaren"],
    ),
    "seasons/2025/standings/drivers": StandingsDocument(
        at=AT,
        year=2025,
        championship="drivers",
        rounds=[
            RoundStandings(
                round=21,
                lines=[
                    StandingLine(id="norris", position=1, points=390.0, wins=7, constructors=["mclaren"]),
                    StandingLine(id="doohan", position=2, points=0.0, wins=0, excluded="D", constructors=["alpine"]),
                ],
            )
        ],
        names={"norris": Name(name="Lando Norris", code="NOR")},
    ),
    "circuits/interlagos": CircuitDocument(
        at=AT,
        circuit="interlagos",
        name="Autódromo José Carlos Pace",
        location="São Paulo",
        country="Brazil",
        latitude=-23.7036,
        longitude=-46.6997,
        key="14",
        url="https://en.wikipedia.org/wiki/Interlagos_Circuit",
    ),
    "circuits/ardenmoor-karting": CircuitDocument(
        at=AT,
        series="kart",
        nom="Ardenmoor Karting",
        live_timing_url="https://live.apex-timing.com/ardenmoor/",
        wss_url="wss://timing.example:8523/",
        c1="Clt",
        c2="Kart",
        c14="Non utilisé",
        endurance=Endurance(stops=12, stop_ms=180_000, stint_ms=2_400_000),
    ),
    "circuits/ardenmoor-karting/live/timing": AppTimingDocument(
        at=AT,
        type="timing",
        circuit_id="ardenmoor-karting",
        data=APP_DATA,
        rows={"012": APP_DATA},
        session="kart-ardenmoor-karting-20261121-1400-race",
    ),
    "circuits/ardenmoor-karting/log/1763733600000-live": ConnectionDocument(
        at=AT,
        feed_id="kart-ardenmoor-karting",
        state="live",
        message="nothing has come for 35 s",
        reconnects=2,
        session="kart-ardenmoor-karting-20261121-1400-race",
    ),
    "circuits/ardenmoor-karting/notices/field-gone-c5": NoticeDocument(
        at=AT, kind="field-gone", field="c5", role="LastLapMs", message="not told in 200 rows", session="9845"
    ),
    "circuits/ardenmoor-karting/timing/format": FormatDocument(
        at=AT, columns={"c5": "LastLapMs", "c7": ""}, description={"kind": "json", "key": "id", "fields": []}
    ),
    "circuits/ardenmoor-karting/timing/analysis": AnalysisDocument(
        at=AT,
        heard_from="wss://timing.example:8523/",
        frames=120,
        heard_ms=60_000,
        analysis={"protocols": [], "fields": [], "notUnderstood": [], "notices": []},
        job="analyze-format-ardenmoor-karting",
    ),
    "circuitFeeds/started": StartedDocument(at=AT, circuits={"ardenmoor-karting": "kart-ardenmoor-karting"}),
    "sessions/9845/live/endurance": EnduranceDocument(
        at=AT,
        rules=Endurance(stops=12, stop_ms=180_000),
        lines={
            "012": EnduranceLine(
                position=2,
                stint=3,
                stint_ms=612_000,
                stint_left_ms=1_788_000,
                driver="A. Driver",
                driver_ms=1_900_000,
                stops=2,
                stops_owed=10,
                in_pit_since=AT,
                last_stop_ms=182_000,
                short_stops=0,
                laps=41,
                adjusted_position=1,
                adjusted_gap_ms=0,
                penalties=["Kart 012: 10 s"],
            )
        },
        pit_queue=["012"],
    ),
    "circuits/interlagos/layouts/2025": LayoutDocument(
        at=AT,
        circuit="interlagos",
        year=2025,
        source="positions",
        x=[-1_200, -900, 340],
        y=[340, 12, -77],
        rotation=92.0,
        length=4_309.0,
        corners=[TrackPoint(number=1, letter="A", x=-900, y=12, angle=153.8, distance=310.5)],
        marshal_lights=[TrackPoint(number=1, x=-1_200, y=340)],
        marshal_sectors=[TrackPoint(number=1, x=-1_200, y=340)],
        sector_ends=[1_105.0, 3_220.5],
    ),
    "drivers/hamilton": DriverProfileDocument(
        at=AT,
        driver="hamilton",
        given_name="Lewis",
        family_name="Hamilton",
        code="HAM",
        racing_number="44",
        aliases=["ham", "hamilton", "lewis_hamilton"],
        born="1985-01-07",
        nationality="British",
        url="https://en.wikipedia.org/wiki/Lewis_Hamilton",
        seasons=[2025],
        statistics=HAMILTON,
    ),
    "drivers/hamilton/seasons/2025": DriverSeasonDocument(
        at=AT,
        driver="hamilton",
        year=2025,
        standing=SeasonStanding(round=21, position=6, points=148.0),
        statistics=HAMILTON,
    ),
    "constructors/ferrari": ConstructorDocument(
        at=AT,
        constructor="ferrari",
        name="Ferrari",
        nationality="Italian",
        url="https://en.wikipedia.org/wiki/Scuderia_Ferrari",
        seasons=[2025],
        statistics=COUNTED,
    ),
    "constructors/ferrari/seasons/2025": ConstructorSeasonDocument(
        at=AT,
        constructor="ferrari",
        year=2025,
        standing=SeasonStanding(round=21, position=4, points=362.0, excluded="E"),
        statistics=COUNTED,
    ),
    "contributions/2025-21": ContributionDocument(
        at=AT,
        year=2025,
        round=21,
        results=[
            CountedResult(
                driver="hamilton",
                constructor="ferrari",
                order=19,
                position_text="R",
                points=0.0,
                racing_number="44",
                grid=13,
                laps=37,
                status="Retired",
                fastest_lap_rank=17,
            )
        ],
        sprint=[
            CountedResult(
                driver="hamilton",
                constructor="ferrari",
                order=7,
                position=7,
                position_text="7",
                points=2.0,
                grid=8,
                laps=24,
            )
        ],
        qualifying={"hamilton": 13},
        laps_led={"norris": 70},
        by_driver={"hamilton": HAMILTON},
        by_constructor={"ferrari": COUNTED},
    ),
    "users/pDeC0hV8T1bZ": UserDocument(
        at=AT,
        created_at=AT,
        display_name="Ayrton",
        favourite_drivers=["44", "LEC"],
        notifications=Notifications(session_start=True, results=False),
    ),
    "privacyRequests/c9f0f895fb98ab9159f51fd0297e236d": PrivacyRequestDocument(
        at=AT,
        name="Ana Kart",
        wish="erase",
        circuit="ardenmoor-karting",
        after="kart-ardenmoor-karting-20261121-1400-race",
        after_object="kart-ardenmoor-karting-20261122-0900-race/0001763802000-000001-00000007.jsonl.gz",
        counts={"documents": 12, "mentions": 31},
    ),
    "apiKeys/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": ApiKeyDocument(
        at=AT, name="a bot", role="service", created_at=AT, created_by="pDeC0hV8T1bZ", revoked_at=AT, last_used_at=AT
    ),
    "economy/current": EconomyDocument(
        at=AT,
        mode="closed",
        set_by="budget",
        reason="the costs are 102 of 100 EUR",
        hand=HandsWord(mode="slow", reason="a race with many viewers"),
        budget=BudgetsWord(mode="closed", reason="the costs are 102 of 100 EUR", cost_interval_start=AT),
    ),
    "telemetryRequests/9845": TelemetryRequestDocument(
        at=AT,
        cars={"44": AskedCar(until=WRITTEN_AT, by="4f9c1d2e8a7b6c50", shared=True)},
        expires_at=WRITTEN_AT,
    ),
}
"""A document of each kind by its path, as the poller publishes it: without `v` and `writtenAt`."""
