"""Settings of a platform: an option, else `THINMESH_<SECTION>__<KEY>`, else the settings file, else the default.

The dataclasses below are the one table of all settings. What reads them, the commented file that `init` writes, and
the reference all come from it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .clock import duration
from .errors import Example, Malformed, Refused, Violation
from .names import nearest

PREFIX = "THINMESH_"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_UNITS = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b)", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Unfit(ValueError):
    """A value that a setting does not take; the message says what it takes."""


def size(value: object) -> int:
    """Read a number of bytes: `50MB`, `1.5 GiB`, or a whole number. Raises Unfit."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        return int(float(found[1]) * _UNITS[found[2].lower()])
    return whole_number(value, "a size like 50MB or 512MiB, or a number of bytes")


def memory(value: object) -> int:
    """Read a size of at least 64 MiB: below that no engine starts. Raises Unfit."""
    found = size(value)
    if found < 64 << 20:
        raise Unfit("a size like 512MiB, at least 64MiB")
    return found


def seconds(value: object) -> float:
    """Read a time span in seconds: `30s`, `5m`, `1h`, ISO 8601 (`PT30S`), or a number. Raises Unfit."""
    expected = "a time span like 30s, 5m or PT30S, or a number of seconds"
    text = value.strip() if isinstance(value, str) else ""
    found = _SPAN.fullmatch(text)
    if found:
        result = float(found[1]) * _SECONDS[found[2]]
    elif text.startswith("P"):
        result = _iso_seconds(text, expected)
    else:
        result = _number(value, expected)
    if not 0 < result <= timedelta(days=365).total_seconds():
        raise Unfit(f"{expected}, above 0 and at most a year")
    return result


def port(value: object) -> int:
    """Read a TCP port; 0 takes a free one. Raises Unfit."""
    found = whole_number(value, "a port from 0 to 65535")
    if found > 65535:
        raise Unfit("a port from 0 to 65535")
    return found


def count(value: object) -> int:
    """Read a whole number from 1 to 1000. Raises Unfit."""
    found = whole_number(value, "a whole number from 1 to 1000")
    if not 1 <= found <= 1000:
        raise Unfit("a whole number from 1 to 1000")
    return found


def rate(value: object) -> int:
    """Read requests per second, from 1 to a million. Raises Unfit."""
    found = whole_number(value, "requests per second, from 1 to 1000000")
    if not 1 <= found <= 10**6:
        raise Unfit("requests per second, from 1 to 1000000")
    return found


def truth(value: object) -> bool:
    """Read true or false. Raises Unfit."""
    words = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise Unfit("true or false")


def text(value: object) -> str:
    """Read a text on one line. Raises Unfit."""
    if isinstance(value, str) and value.isprintable():
        return value.strip()
    raise Unfit("a text on one line")


def web_address(value: object) -> str:
    """Read an http or https URL without a password in it, or nothing. Raises Unfit."""
    expected = "an http or https URL without user and password"
    found = text(value).rstrip("/")
    if found and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", found):
        raise Unfit(expected)
    return found


def secret(value: object) -> str:
    """Read a secret, or the path of a file that holds it. Raises Unfit, without the value."""
    if isinstance(value, str) and value.isprintable():
        return value.strip()
    raise Unfit("a text on one line, or the path of a file that holds it (beginning with / or ~)")


def instance(value: object) -> str:
    """Read a name of small letters, digits, `_` and `-`, or nothing. Raises Unfit."""
    found = text(value)
    if found and not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", found):
        raise Unfit("a name of small letters, digits, _ and -, 32 at most, with a letter first")
    return found


def revealed(value: str) -> str:
    """Give the secret that a setting of the kind `secret` stands for: itself, or what its file holds.

    Raises Refused where the file cannot be read.
    """
    if not value.startswith(("/", "~")):
        return value
    path = Path(value).expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"The secret in {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.",
            help="Make the file readable to the user who runs thinmesh, and to nobody else.",
        ) from error


def provider_address(value: object) -> str:
    """Read an address of https, or of http on this machine, without a user, a query or a fragment. Raises Unfit."""
    found = text(value)
    if found and not is_safe_address(found):
        raise Unfit("an https address, or an http one on this machine, without a query")
    return found


def is_safe_address(address: str, query: bool = False) -> bool:
    """Tell whether what is sent to an address cannot be read on its way: https, or http that stays on this machine.

    One that names a user or a fragment is none, nor, unless `query` is set, one with a query.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port  # a port that is none raises
    except ValueError:
        return False
    plain = address.isascii() and address.isprintable() and " " not in address and "\\" not in address
    bare = "@" not in parts.netloc and not parts.fragment and (query or not parts.query)
    known = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    return plain and bare and known and bool(host) and port != 0


def whole_number(value: object, expected: str) -> int:
    """Read a whole number that is not negative. Raises Unfit, with what is expected."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value.strip())
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise Unfit(expected)


def _number(value: object, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit(expected)
    try:
        return float(value)
    except ValueError:
        raise Unfit(expected) from None


def _iso_seconds(value: str, expected: str) -> float:
    try:
        return duration(value).total_seconds()
    except Malformed:
        raise Unfit(expected) from None


def _setting(default: str | int | bool, read: Callable[[object], Any], about: str) -> Any:
    """Declare a setting: its default as it is written in the file, how it is read, and a line about it."""
    told = read is not secret
    return field(default=read(default), repr=told, metadata={"written": default, "read": read, "about": about})


@dataclass(frozen=True, slots=True)
class Server:
    """How `thinmesh up` serves."""

    host: str = _setting("127.0.0.1", text, "The address to listen on; any but loopback needs `--behind-proxy`.")
    port: int = _setting(8080, port, "The port to listen on; 0 takes a free one.")
    workers: int = _setting(1, count, "Server processes; this shape runs in one, whatever is set, and says so.")
    url: str = _setting("", text, "The URL that others reach the mesh at; empty: host and port.")
    max_upload: int = _setting("10GB", size, "The most that one publication or check may send over HTTP.")
    rate_limit: int = _setting(
        1000,
        rate,
        "Requests per second of one user, and ten times as many at once after a pause;"
        " a tenth of both for one address without a valid token.",
    )


@dataclass(frozen=True, slots=True)
class Git:
    """What the repository takes."""

    max_file: int = _setting(
        "50MB", size, "The largest CSV in git: `publish` puts larger ones into the lake, a push of one is refused."
    )
    fsync: bool = _setting(True, truth, "Whether what was acknowledged survives a power failure.")


@dataclass(frozen=True, slots=True)
class Query:
    """What one SQL statement may use."""

    workers: int = _setting(2, count, "Statements that run at the same time, each in a process of its own.")
    memory: int = _setting("512MiB", memory, "Memory of one statement, and of one check of data files.")
    timeout: float = _setting("60s", seconds, "The longest that a statement runs, waiting for a worker included.")


@dataclass(frozen=True, slots=True)
class Datahub:
    """The DataHub that is told of every product."""

    url: str = _setting("", web_address, "The URL of its metadata service (GMS); empty: no DataHub.")
    token: str = _setting("", secret, "Its access token, or the path of a file that holds it (`/` or `~` first).")
    instance: str = _setting("", instance, "What this mesh is called there, where more than one feeds it.")


@dataclass(frozen=True, slots=True)
class Oidc:
    """Signing in to the pages by an OpenID provider; needs `server.url` (`docs/sign-in.md`)."""

    issuer: str = _setting(
        "", provider_address, "The provider's issuer, as its discovery document writes it; empty: none."
    )
    client_id: str = _setting("", text, "What the provider calls this mesh.")
    client_secret_file: str = _setting(
        "", text, "A file with the secret that the provider gave, under the home or absolute; empty: a public client."
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, by section."""

    server: Server = field(default_factory=Server)
    git: Git = field(default_factory=Git)
    query: Query = field(default_factory=Query)
    datahub: Datahub = field(default_factory=Datahub)
    oidc: Oidc = field(default_factory=Oidc)


SECTIONS: Mapping[str, type] = {"server": Server, "git": Git, "query": Query, "datahub": Datahub, "oidc": Oidc}


def load_settings(
    file: Path | None, environ: Mapping[str, str], options: Mapping[tuple[str, str], object] | None = None
) -> Settings:
    """Read the settings; `options` are those given by the caller, by (section, key), where not None.

    Raises Malformed for a file that is no TOML, Refused with every unknown name and unfit value at once.
    """
    faults: list[Violation] = []
    layers = [
        [] if file is None else list(_of_file(file, faults)),
        list(_of_environment(environ, faults)),
        [_Given(*name, value, "option", None) for name, value in (options or {}).items() if value is not None],
    ]
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for given in (each for layer in layers for each in layer):
        setting = _declared(given.section)[given.key]
        try:
            values[given.section][given.key] = setting.metadata["read"](given.value)
        except Unfit as error:
            said = "" if setting.metadata["read"] is secret else f", not {given.value!r}"
            message = f"{given.section}.{given.key} must be {error}{said}"
            faults.append(_fault(message, "value", given.source, given.line))
    _refuse(faults)
    found = Settings(**{section: kind(**values[section]) for section, kind in SECTIONS.items()})
    _refuse([_fault(message, "value", None, None) for message in _missing_for_oidc(found)])
    return found


def _missing_for_oidc(found: Settings) -> Iterator[str]:
    """Name what signing in by a provider needs beside its issuer: it must not fail at the first who tries."""
    if found.oidc.issuer and not found.oidc.client_id:
        yield "oidc.client_id must be set where oidc.issuer is: what the provider calls this mesh"
    if found.oidc.issuer and not found.server.url:
        yield "server.url must be set where oidc.issuer is: the provider sends people back to it"
    elif found.oidc.issuer and not is_safe_address(found.server.url):
        yield f"server.url must be an https address, or an http one on this machine, not {found.server.url!r}"


def _refuse(faults: Sequence[Violation]) -> None:
    if not faults:
        return
    first = faults[0]
    place = ":".join(str(part) for part in (first.file, *(each.line for each in first.examples)) if part)
    told = ": ".join(part for part in ("The settings are wrong", place, first.message) if part)
    raise Refused(
        told if told.endswith("?") else f"{told}.",
        help="Correct the settings that are listed; `docs/reference/settings.md` has all of them.",
        violations=faults,
    )


def settings_file() -> str:
    """Write the settings file of a new home: every setting, commented, at its default."""
    lines = [
        "# Settings of this platform home. An option of a command comes first, then the environment",
        "# (THINMESH_SERVER__PORT=8081), then this file. A line that begins with # is the default.",
    ]
    for section, kind in SECTIONS.items():
        lines += ["", f"# {kind.__doc__}", f"[{section}]"]
        for each in fields(kind):
            lines += [f"# {each.metadata['about']}", f"#{each.name} = {_toml(each.metadata['written'])}"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Write the reference of all settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "In `thinmesh.toml` of the platform home. An option of a command comes first, then the environment variable,",
        "then the file. Sizes are written like `50MB` (10^6) or `512MiB` (2^20), time spans like `30s`, `5m`, `1h` or",
        "in ISO 8601 (`PT30S`).",
    ]
    for section, kind in SECTIONS.items():
        lines += ["", f"## {section}", "", kind.__doc__ or "", ""]
        lines += ["| key | default | environment | |", "|---|---|---|---|"]
        for each in fields(kind):
            default = _toml(each.metadata["written"])
            variable = _variable(section, each.name)
            lines.append(f"| `{each.name}` | `{default}` | `{variable}` | {each.metadata['about']} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that somebody gave a setting, and where."""

    section: str
    key: str
    value: object
    source: str
    line: int | None


def _of_file(file: Path, faults: list[Violation]) -> Iterator[_Given]:
    try:
        content = file.read_text(encoding="utf-8")
        found = tomllib.loads(content)
    except OSError as error:
        raise Malformed(f"{file} cannot be read: {error.strerror}.", help="Make it readable to this user.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        twice = "Cannot declare" in str(error)
        help = "The section is in the file already: put the keys under it." if twice else "Correct that line."
        raise Malformed(f"{file} is no valid TOML: {error}.", help=help) from error
    for section, members in found.items():
        if section not in SECTIONS or not isinstance(members, dict):
            known = ", ".join(SECTIONS)
            message = (
                f"[{section}] is no section{_near(section, SECTIONS)}"
                if section not in SECTIONS
                else (f"{section} is a section: write [{section}]; the sections are {known}")
            )
            faults.append(_fault(message, "unknown_setting", str(file), _line(content, None, section)))
            continue
        for key, value in members.items():
            line = _line(content, section, key)
            if key in _declared(section):
                yield _Given(section, key, value, str(file), line)
            else:
                message = f"{section}.{key} is no setting{_near(key, _declared(section))}"
                faults.append(_fault(message, "unknown_setting", str(file), line))


def _of_environment(environ: Mapping[str, str], faults: list[Violation]) -> Iterator[_Given]:
    names = {_variable(section, key): (section, key) for section in SECTIONS for key in _declared(section)}
    for variable, value in environ.items():
        if variable in names:
            yield _Given(*names[variable], value, variable, None)
        elif variable.startswith(PREFIX) and "__" in variable:
            message = f"{variable} is no setting{_near(variable, names)}"
            faults.append(_fault(message, "unknown_setting", "environment", None))


def _declared(section: str) -> dict[str, Field[Any]]:
    return {each.name: each for each in fields(SECTIONS[section]) if each.default is not MISSING}


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section.upper()}__{key.upper()}"


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else f"; there are {', '.join(known)}"


def _fault(message: str, rule: str, source: str | None, line: int | None) -> Violation:
    return Violation(message, rule, file=source, examples=(Example(line),) if line else ())


def _line(content: str, section: str | None, key: str) -> int | None:
    """Find the line that sets a key, or opens a section; tomllib does not tell."""
    name = rf"[\"']?{re.escape(key)}[\"']?"
    opening = re.compile(rf"\s*(\[\s*{name}\s*[\].]|{name}\s*[=.])")
    header = re.compile(r"\s*\[\s*[\"']?([^\]\"']+?)[\"']?\s*\]")
    current = None
    for number, line in enumerate(content.splitlines(), 1):
        found = header.match(line)
        if section is None and opening.match(line):
            return number
        before = "" if current == section else rf"{re.escape(section or '')}\s*\.\s*" if current is None else None
        if found:
            current = found[1]
        elif before is not None and re.match(rf"\s*{before}{name}\s*=", line):
            return number
    return None


def _toml(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
