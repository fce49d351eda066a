"""Regular expressions of contracts: RE2, which searches in time linear in the value."""

from __future__ import annotations


def fault_of_pattern(pattern: str) -> str | None:
    """Say why RE2 does not take a pattern, or nothing."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return f"RE2 does not take this pattern: {said}"
    return None
