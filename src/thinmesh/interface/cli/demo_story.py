"""The story that `thinmesh demo` plays: who does what, in which order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .demo import Person, Stage

_BAR = 40

AIRLINES = {
    "name": "airlines",
    "domain": "carriers",
    "description": "Airlines by their IATA code",
    "tables": {
        "airlines": {
            "columns": [
                {"name": "carrier", "logicalType": "string", "logicalTypeOptions": {"pattern": "^[A-Z0-9]{2}$"}},
                {"name": "name", "logicalType": "string", "required": True},
            ],
            "primaryKey": ["carrier"],
        }
    },
}
PLANES = {
    "name": "planes",
    "domain": "carriers",
    "description": "Planes by their tail number; for contracted partners only",
    "access": "request",
}
WEATHER = {
    "name": "weather",
    "domain": "stations",
    "description": "Hourly weather at the airports of New York",
    "tables": {
        "weather": {
            "null": ["NA"],
            "columns": [
                {"name": "origin", "logicalType": "string", "required": True},
                *({"name": name, "logicalType": "integer"} for name in ("year", "month", "day", "hour")),
                {"name": "temp", "logicalType": "number", "logicalTypeOptions": {"minimum": -100, "maximum": 150}},
                {"name": "dewp", "logicalType": "number"},
                {"name": "humid", "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 100}},
                {"name": "wind_dir", "logicalType": "integer"},
                *(
                    {"name": name, "logicalType": "number"}
                    for name in ("wind_speed", "wind_gust", "precip", "pressure", "visib")
                ),
                {"name": "time_hour", "logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}},
            ],
        }
    },
}
FLIGHTS = {
    "name": "flights",
    "domain": "operations",
    "description": "Departures from New York in 2013",
    "slo": {"freshness": "P1D"},
    "inputs": ["weather", "airlines"],
    "tables": {
        "flights": {
            "null": ["NA"],
            "columns": [
                {"name": name, "logicalType": kind, "description": description}
                for name, kind, description in (
                    ("year", "integer", "Year of departure"),
                    ("month", "integer", "Month of departure"),
                    ("day", "integer", "Day of departure"),
                    ("dep_time", "integer", "When it left, local time as HHMM"),
                    ("sched_dep_time", "integer", "When it was to leave, local time as HHMM"),
                    ("dep_delay", "integer", "Minutes that it left late; negative: early"),
                    ("arr_time", "integer", "When it arrived, local time as HHMM"),
                    ("sched_arr_time", "integer", "When it was to arrive, local time as HHMM"),
                    ("arr_delay", "integer", "Minutes that it arrived late; negative: early"),
                    ("carrier", "string", "Airline, by its IATA code"),
                    ("flight", "integer", "Flight number"),
                    ("tailnum", "string", "Plane, by its tail number"),
                    ("origin", "string", "Airport of departure"),
                    ("dest", "string", "Airport of arrival"),
                    ("air_time", "integer", "Minutes in the air"),
                    ("distance", "integer", "Miles between the airports"),
                    ("hour", "integer", "Hour in which it was to leave"),
                    ("minute", "integer", "Minute in which it was to leave"),
                )
            ]
            + [
                {
                    "name": "time_hour",
                    "logicalType": "timestamp",
                    "logicalTypeOptions": {"timezone": True},
                    "description": "The hour in which it was to leave, in UTC; weather has the same",
                }
            ],
            "references": [{"columns": ["carrier"], "table": "airlines.airlines", "to": ["carrier"]}],
        }
    },
}
JOIN = """\
select a.name as airline, round(avg(f.dep_delay), 1) as delay, count(*) as flights
from flights.flights f
join airlines.airlines a on a.carrier = f.carrier
join weather.weather w on w.origin = f.origin and w.time_hour = f.time_hour
where w.wind_speed > 20 and f.dep_delay is not null
group by 1 having count(*) >= 100 order by 2 desc"""
PARTNERS = """\
select p.manufacturer, count(*) as flights
from flights.flights f join planes.planes p on p.tailnum = f.tailnum
group by 1 order by 2 desc limit 3"""


def play(stage: Stage) -> None:
    """Play the whole story."""
    admin = stage.person("admin")
    with stage.step("A platform: one command, one process"):
        made = admin.thinmesh("init", str(stage.folder / "home"), show=False)
        stage.say(f"    made {made['home']}")
        stage.serve()
        admin.sign_in(made["admin_token"])
    with stage.step("Three teams of their own making, and an analyst"):
        carla, nina, omar, ana = (_welcome(stage, admin, name) for name in ("carla", "nina", "omar", "ana"))
        carla.thinmesh("team", "create", "carriers_team", "--domain", "carriers")
        nina.thinmesh("team", "create", "stations_team", "--domain", "stations")
        omar.thinmesh("team", "create", "operations_team", "--domain", "operations")
    with stage.step("Two products by JSON, one of them closed"):
        _registered(carla, AIRLINES)
        carla.thinmesh("publish", "airlines", str(stage.data("airlines")))
        _registered(carla, PLANES)
        carla.thinmesh("publish", "planes", str(stage.data("planes")))
    with stage.step("Two products by git push: one with a contract, one with only a CSV"):
        _pushed(stage, nina)
    with stage.step("A push with faults is refused, with every reason"):
        _refused(nina)
    with stage.step("A contract that was inferred, looked at and accepted"):
        nina.shown("show", "airports", lines=30)
        nina.shown("accept", "airports")
    with stage.step("336,776 flights, checked and published"):
        _registered(omar, FLIGHTS)
        omar.thinmesh("publish", "flights", str(stage.data("flights")))
    with stage.step("The analyst finds them, and joins three teams' products"):
        ana.shown("search", "weather airport")
        _chart(stage, ana.thinmesh("query", JOIN, show=False))
    with stage.step("A closed product: refused, asked for, granted, read"):
        ana.thinmesh("query", PARTNERS, fails=3)
        asked = ana.thinmesh("request", "planes", "--purpose", "who builds what we fly", "--for", "P7D")
        carla.shown("approve", asked["id"])
        ana.shown("query", PARTNERS)


def _welcome(stage: Stage, admin: Person, name: str) -> Person:
    admin.thinmesh("user", "add", name, show=False)
    token = admin.thinmesh("token", "new", name, show=False)["token"]
    person = stage.person(name)
    person.sign_in(token)
    return person


def _registered(person: Person, document: dict[str, Any]) -> None:
    file = person.write(f"{document['name']}.json", json.dumps(document, indent=2))
    person.thinmesh("register", str(file))


def _pushed(stage: Stage, nina: Person) -> None:
    nina.git("clone", "-q", "-c", "remote.origin.push=HEAD:refs/for/main", f"{stage.url}/git/data.git")
    nina.write("data/stations/weather/product.json", json.dumps(WEATHER, indent=2) + "\n")
    nina.write("data/stations/weather/weather.csv", _plain(stage, "weather"))
    nina.write("data/stations/airports/README.md", "# Airports of the United States\n")
    nina.write("data/stations/airports/airports.csv", _plain(stage, "airports"))
    nina.git("add", ".", at="data")
    nina.git("commit", "-q", "-m", "Weather and airports", at="data")
    nina.git("push", at="data")


def _refused(nina: Person) -> None:
    path = nina.place / "data/stations/weather/weather.csv"
    good = path.read_text()
    lines = good.splitlines(keepends=True)
    lines[16] = lines[16].replace(lines[16].split(",")[5], "abc", 1)
    lines[20_000] = lines[20_000].replace(",", ",,", 1)
    path.write_text("".join(lines))
    nina.git("commit", "-q", "-a", "-m", "Correct some temperatures", at="data")
    nina.git("push", at="data", fails=1)
    nina.git("reset", "-q", "--hard", "HEAD~1", at="data")
    nina.git("pull", "-q", "--ff-only", at="data")


def _plain(stage: Stage, table: str) -> bytes:
    import zstandard

    with stage.data(table).open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def _chart(stage: Stage, found: dict[str, Any]) -> None:
    """Draw bars of the second column by the first."""
    stage.say("    minutes of delay at departure, when the wind blows harder than 20 mph")
    most = max((row[1] for row in found["rows"]), default=1)
    for airline, delay, flights in found["rows"]:
        bar = "█" * max(1, round(delay / most * _BAR))
        stage.say(f"    {airline[:26]:<26} {bar:<{_BAR}} {delay:5.1f}  ({flights:,} flights)")
