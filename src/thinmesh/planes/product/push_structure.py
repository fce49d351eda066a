"""Judge the structure of a push, and who may make it. Pure: a `PushedChange` in, violations out, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from thinmesh.kernel.errors import Violation
from thinmesh.kernel.repository import File

from .push import Edit, PushedChange, PushedEntry, folder_of
from .push_names import SERVERS, fault_of_path, is_part_of_product, table_of, twins

_SUBMODULE, _LINK, _FOLDER, _KIND = 0o160000, 0o120000, 0o040000, 0o170000
# INTERFACE: "files above 1 MB that are no part of a product".
_MAX_OTHER = 1024 * 1024
# Modes of a file: git takes any number for one, and says nothing of its size. Old versions of git wrote the last one.
_FILES = (0o100644, 0o100755, 0o100664)


def structural_faults(change: PushedChange, max_file: int) -> list[Violation]:
    """Find everything in a push that no product may do; `max_file` is `git.max_file` in bytes.

    Judged are all files that any of its commits brings, and the folders as they are at its tip.
    """
    return list(
        chain(
            _fault_of_nothing(change),
            _fault_of_entries(change, max_file),
            _faults_of_servers_files(change),
            (_twin(*pair) for pair in change.twins),
            chain.from_iterable(_faults_of_folder(change, folder) for folder in sorted(change.after)),
        )
    )


def folder_faults(paths: Iterable[str]) -> list[Violation]:
    """Find what the files of a product folder may not be together, after a merge too: two forms of a table, twins."""
    names: dict[str, set[str]] = {}
    for path in paths:
        domain, product, *below = path.split("/")
        for depth, name in enumerate(below):
            names.setdefault("/".join([domain, product, *below[:depth]]), set()).add(name)
    found = []
    for folder, inside in sorted(names.items()):
        found += [_twin(f"{folder}/{one}", f"{folder}/{other}") for one, other in twins(inside, inside)]
        found += [
            Violation(
                f"a table is either {name}.csv or files in {name}/, not both", "two_forms", file=f"{folder}/{name}.csv"
            )
            for name in sorted(inside)
            if f"{folder}/{name}" in names and f"{name}.csv" in inside
        ]
    return found


@dataclass(frozen=True, slots=True)
class _Fault:
    """A kind of entry that is never taken."""

    rule: str
    message: str


_KINDS = {
    _LINK: _Fault("symlink", "symbolic links are not taken; commit the file itself"),
    _SUBMODULE: _Fault("submodule", "submodules are not taken; commit the files themselves"),
    _FOLDER: _Fault("place", "a product has no folders below <domain>/<product>/<table>/"),
}


def _fault_of_nothing(change: PushedChange) -> Iterator[Violation]:
    """Refuse commits that change no file: rights are those of the folders changed, so that nobody's would be asked."""
    if change.commits and not change.touched:
        yield Violation("nothing to merge: these commits change no product's folder", "nothing")


def _fault_of_entries(change: PushedChange, max_file: int) -> Iterator[Violation]:
    seen: set[tuple[str, str]] = set()
    for entry in sorted(change.entries, key=lambda entry: entry.path):
        found = _fault_of_entry(entry, max_file)
        if found and (entry.path, found.rule) not in seen:
            seen.add((entry.path, found.rule))
            yield found


def _fault_of_entry(entry: PushedEntry, max_file: int) -> Violation | None:
    """Judge one file that a commit brings. The server's own files are judged by what the push comes to, see below."""
    kind = _KINDS.get(entry.file.mode & _KIND)
    if kind:
        return Violation(kind.message, kind.rule, file=entry.path)
    if entry.file.mode not in _FILES:
        return Violation(
            f"the mode {entry.file.mode:o} is none of a file; commit it with git add", "mode", file=entry.path
        )
    fault = None if entry.path in SERVERS else fault_of_path(entry.path)
    if fault:
        return Violation(fault[1], fault[0], file=entry.path)
    return _fault_of_size(entry.path, entry.file.size, max_file)


def _fault_of_size(path: str, size: int, max_file: int) -> Violation | None:
    product, name = path.split("/")[1:2], path.rpartition("/")[2]
    if is_part_of_product(path):
        if size <= max_file:
            return None
        message = f"{_mb(size)} is more than git takes here ({_mb(max_file)}); hand it in with: "
        return Violation(f"{message}thinmesh publish {''.join(product)} {name}", "max_file", file=path)
    if size <= _MAX_OTHER:
        return None
    return Violation(f"{_mb(size)} is too much for a file that is no table (1 MB)", "max_file", file=path)


def _faults_of_servers_files(change: PushedChange) -> Iterator[Violation]:
    """Refuse whatever touches a file of the server's, in any commit; merging `main` into a clone does not."""
    for name in SERVERS:
        if name in change.touched:
            yield Violation("this file is written by the server; leave it as it is on main", "server_file", file=name)


def _faults_of_folder(change: PushedChange, folder: str) -> Iterator[Violation]:
    before, after = change.before.get(folder, {}), change.after[folder]
    name = folder.partition("/")[2]
    if not before and not after:
        yield Violation(
            "files were added and removed again within the push; squash its commits (git rebase -i)",
            "squash",
            file=folder,
        )
    if before and not after:
        yield _gone(change, folder, before)
        return
    document = f"{folder}/product.json"
    if document in before and document not in after:
        yield Violation(f"cannot be deleted; to take the product off: thinmesh retire {name}", "deleted", file=document)
    yield from _faults_of_tables(folder, before, after)
    yield from (fault for fault in folder_faults(after) if fault.rule == "two_forms")


def _faults_of_tables(folder: str, before: Mapping[str, File], after: Mapping[str, File]) -> Iterator[Violation]:
    kept = {table_of(path) for path in after}
    for path in sorted(before):
        table = table_of(path)
        if table and table not in kept:
            yield Violation(
                f"the table {table} cannot be removed: consumers may read it; publish a new table beside it and mark "
                f"this one deprecated, or take the whole product off: thinmesh retire {folder.partition('/')[2]}",
                "deleted",
                file=path,
                table=table,
            )


def _gone(change: PushedChange, folder: str, before: Mapping[str, File]) -> Violation:
    """Say that a product's folder is gone, or where it went."""
    ids = {file.id for path, file in before.items() if path.endswith((".csv", "product.json"))}
    target = next((folder_of(path) for path, edit in sorted(change.net.items()) if _comes(edit, ids)), "")
    name = folder.partition("/")[2]
    if target and target != folder:
        message = (
            f"a product does not move (to {target}); register a new one and run: thinmesh retire {name} --successor …"
        )
        return Violation(message, "moved", file=folder)
    return Violation(f"a product's folder cannot be deleted; use: thinmesh retire {name}", "deleted", file=folder)


def _comes(edit: Edit, ids: set[str]) -> bool:
    return edit.old is None and edit.new is not None and edit.new.id in ids


def _twin(one: str, other: str) -> Violation:
    name = one.rpartition("/")[2]
    return Violation(f"some systems cannot tell this name from {name}", "twin", file=other)


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


def rights_faults(change: PushedChange, refusal: Callable[[str, Sequence[str]], str | None]) -> list[Violation]:
    """Find the product folders that the caller may not touch, in any commit of the push.

    `refusal` says of a folder, and the paths touched in it, why the caller may not, as of the old tip; or nothing.
    """
    found = []
    for folder, paths in change.folders().items():
        why = refusal(folder, paths)
        if why:
            message = f"{why} (commit {change.touched[paths[0]][:12]})"
            found.append(Violation(message, "not_allowed", file=folder))
    return found
