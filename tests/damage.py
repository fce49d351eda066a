"""Damage done to repositories on purpose."""

import subprocess


def lose(repository, id):
    """Take one object away from a repository, whether it lies loose or in a pack; all others stay."""
    for pack in sorted((repository / "objects" / "pack").glob("*.pack")):
        aside = repository / pack.name
        pack.rename(aside)
        pack.with_suffix(".idx").unlink()
        with aside.open("rb") as content:
            subprocess.run(["git", "-C", repository, "unpack-objects", "-q"], stdin=content, check=True)
        aside.unlink()
    (repository / "objects" / id[:2] / id[2:]).unlink()
