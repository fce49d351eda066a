"""Holds what is locked against known problems and licences: `python tools/dependencies.py` (part of `make lint`).

Known problems are in `advisories.toml` beside this file, so that the same commit gives the same answer with and without
a network. `--renew` asks OSV (https://google.github.io/osv.dev/post-v1-querybatch/) for what is known of the lock today
and adds it; where OSV cannot be reached it says so, and changes nothing.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import httpx
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
LOCK, KNOWN = ROOT / "requirements.lock", Path(__file__).with_name("advisories.toml")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_OLD_DAYS = 90
_SERVICE = "https://api.osv.dev/v1/querybatch"
# May be part of what an Apache-2.0 project needs to run (https://www.apache.org/legal/resolved.html, A and B).
_TAKEN = frozenset(
    (
        *("MIT", "MIT-0", "MIT License", "BSD-2-Clause", "BSD-3-Clause", "BSD License", "ISC", "0BSD", "Zlib"),
        *("Apache-2.0", "Apache Software License", "PSF-2.0", "Unlicense", "CC0-1.0"),
        *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
    )
)
# GPL with the exception that lets any program be linked with it; used as it is, and not changed.
_EXCEPTIONS = {"pygit2": "GPLv2 with linking exception"}


def pins(text: str) -> dict[str, str]:
    """Read the versions of a lock, by normalised name."""
    return {_normal(name): version for name, version in _PIN.findall(text)}


def problems(locked: Mapping[str, str], known: Mapping[str, Any]) -> Iterator[str]:
    """Name each locked package with a known problem."""
    for entry in known["advisory"]:
        version = locked.get(_normal(entry["package"]))
        if version and SpecifierSet(entry["affected"]).contains(version, prereleases=True):
            yield f"{entry['package']} {version} has a known problem: {entry['id']}, affected: {entry['affected']}"


def licences(name: str = "thinmesh") -> Iterator[str]:
    """Name each package that running the project needs, and whose licence is not one we may rely on."""
    for package, licence in sorted(_needed(name).items()):
        if _EXCEPTIONS.get(package) != licence and not _taken(licence):
            yield f"{package} comes under {licence or 'no licence that it names'}, which is on no list of ours"


def _taken(licence: str) -> bool:
    """Tell whether an expression is taken: all parts of AND, one of OR; classifiers are alternatives."""
    alternatives = re.split(r" OR |; ", licence)
    return any(all(part in _TAKEN for part in each.split(" AND ")) for each in alternatives)


def _needed(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = [Requirement(name)]
    while waiting:
        wanted = waiting.pop()
        package = _normal(wanted.name)
        if package in found:
            continue
        try:
            installed = distribution(wanted.name)
        except PackageNotFoundError:
            continue  # for another platform
        found[package] = _licence(installed.metadata)
        extras = ["", *wanted.extras]
        for line in installed.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


def _licence(metadata: Any) -> str:
    classified = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License")]
    return metadata.get("License-Expression") or "; ".join(classified) or (metadata.get("License") or "").split("\n")[0]


def _today() -> date:
    return datetime.now(UTC).date()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def renew(locked: Mapping[str, str]) -> str:
    """Add what OSV knows of the locked versions to the file; tell what came of it."""
    names = list(locked)
    wanted = [{"package": {"ecosystem": "PyPI", "name": name}, "version": locked[name]} for name in names]
    try:
        results = httpx.post(_SERVICE, json={"queries": wanted}, timeout=20).raise_for_status().json()["results"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return f"OSV cannot be reached ({error}); nothing was changed."
    present = KNOWN.read_text()
    lines = [
        f'[[advisory]]\npackage = "{name}"\naffected = "=={locked[name]}"\nid = "{each["id"]}"\n'
        for name, result in zip(names, results, strict=True)
        for each in result.get("vulns", [])
        if each["id"] not in present
    ]
    fresh = re.sub(r"^as_of = .*$", f"as_of = {_today()}", present, flags=re.MULTILINE)
    KNOWN.write_text("\n".join([fresh.rstrip("\n"), "", *lines]) if lines else fresh)
    return f"OSV knows of {len(lines)} more problems; the list is of today."


def main(arguments: list[str]) -> int:
    """Check, or renew; give the exit code."""
    locked = pins(LOCK.read_text())
    if arguments == ["--renew"]:
        print(renew(locked))
        return 0
    known = tomllib.loads(KNOWN.read_text())
    found = [*problems(locked, known), *licences()]
    for line in found:
        print(line, file=sys.stderr)
    age = (_today() - known["as_of"]).days
    told = f"{len(locked)} locked packages, {len(known['advisory'])} known problems as of {known['as_of']}"
    print(told + (": renew the list with `make advisories`" if age > _OLD_DAYS else ""))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
