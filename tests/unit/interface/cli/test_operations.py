from thinmesh.interface.cli.operations import _backed_up, _rebuilt, _status

STATUS = {
    "version": "1.0", "started": "2026-01-01T00:00:00.000000Z", "uptime": 3700,
    "counts": {"products": 2, "retired": 0, "tables": 3, "publications": 3, "rows": 1200, "bytes": 73_000, "users": 3,
               "teams": 1},
    "log": {"tip": "8149cbbb60726f6b17a8", "sequence": 10},
    "projections": [{"name": "index", "sequence": 10, "lag": 0, "error": None}],
    "workers": {"engine": "duckdb", "version": "2.0.0", "memory": 512_000_000, "workers": {"idle": 2},
                "queue": {"running": 1, "waiting": 0}, "sandbox": {"limits": "on", "landlock": "off"}},
    "disk": {"free": 80_931_971_072, "total": 270_553_174_016}, "last_backup": None,
}  # fmt: skip


def test_the_status_is_a_small_table_with_units():
    assert _status(STATUS).splitlines() == [
        "version     1.0",
        "up for      1 h 1 min",
        "products    2 products, 0 retired, 3 tables, 3 publications",
        "open data   1,200 rows, 73.0 kB",
        "people      3 users, 1 team",
        "log         10 entries, tip 8149cbbb6072",
        "disk        80.9 GB free of 270.6 GB",
        "engine      duckdb 2.0.0, 512.0 MB a statement",
        "workers     2 idle",
        "statements  1 running, 0 waiting",
        "sandbox     landlock off",
        "backup      none yet",
        "",
        "projection  at entry  behind  error",
        "──────────  ────────  ──────  ─────",
        "index             10       0",
    ]


def test_what_another_engine_does_not_tell_is_left_out():
    assert "sandbox" not in _status({**STATUS, "workers": {"engine": "other"}})


def test_what_was_built_again_is_counted():
    found = {"rebuilt": {"index": {"entries": 10, "data_files": 3}}, "failed": ["warehouse: x"]}
    assert _rebuilt(found).splitlines()[2:] == ["index       10 entries, 3 data files", "failed: warehouse: x"]


def test_a_backup_says_its_size_and_what_is_not_in_it():
    found = {
        "file": "/b", "bytes": 21_046, "at": "2026", "sequence": 10, "products": 2, "data_files": 3, "keys": False,
        "missing": ["a", "b"], "missing_count": 5, "damaged": [], "damaged_count": 0,
    }  # fmt: skip
    assert _backed_up(found).splitlines() == [
        "backup       /b",
        "size         21.0 kB",
        "at           2026, entry 10 of the log",
        "holds        2 products, 3 data files",
        "signing key  not in it: tokens will be void on the restored home",
        "missing      a, b, and 3 more",
    ]
