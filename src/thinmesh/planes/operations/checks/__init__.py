"""Everything that `doctor` holds the home against, by the invariant's name, in the order in which it is told."""

from __future__ import annotations

from collections.abc import Mapping

from . import files, home, ledger
from .scene import Check

# These hold the home against the log: where it does not stand, what they find, and what heals it, follows from that.
BY_THE_LOG = frozenset(
    {
        "main_follows_log",
        "index_is_the_log",
        "documents_registered",
        "folders_registered",
        "csvs_are_the_tables",
        "closed_data_unshared",
        "projections_follow",
        "data_files_whole",
        "superseded_files_kept",
        "no_orphan_files",
    }
)
CHECKS: Mapping[str, Check] = {
    "settings_readable": home.settings_readable,
    "database_whole": home.database_whole,
    "audit_unbroken": home.audit_unbroken,
    "log_whole": ledger.log_whole,
    "log_unbroken": ledger.log_unbroken,
    "data_repository_whole": ledger.data_repository_whole,
    "main_follows_log": ledger.main_follows_log,
    "index_follows_log": ledger.index_follows_log,
    "index_is_the_log": ledger.index_is_the_log,
    "documents_registered": ledger.documents_registered,
    "folders_registered": ledger.folders_registered,
    "csvs_are_the_tables": ledger.csvs_are_the_tables,
    "closed_data_unshared": ledger.closed_data_unshared,
    "closed_data_never_shared": ledger.closed_data_never_shared,
    "projections_follow": ledger.projections_follow,
    "data_files_whole": files.data_files_whole,
    "superseded_files_kept": files.superseded_files_kept,
    "no_orphan_files": files.no_orphan_files,
    "home_writable": home.home_writable,
    "keys_private": home.keys_private,
    "somebody_administers": home.somebody_administers,
    "owners_exist": home.owners_exist,
    "hooks_in_force": home.hooks_in_force,
    "queries_sandboxed": home.queries_sandboxed,
    "no_stale_locks": home.no_stale_locks,
    "clock_sane": home.clock_sane,
    "disk_has_room": home.disk_has_room,
}
