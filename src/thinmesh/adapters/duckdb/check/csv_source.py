"""A CSV file made ready for the check: unpacked, scanned, its header read, and the relation DuckDB reads it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Example, Violation
from thinmesh.kernel.progress import Progress
from thinmesh.planes.product.model import Upload
from thinmesh.planes.product.push_messages import quoted

from . import lexical, rules
from .formats import refuse_other_format
from .header import Header, read_header
from .quoting import literal, literals
from .records import Normalised, normalise
from .scan import BLOCK, Scan, Unreadable, scan
from .uploads import ending

# DuckDB's own limit for a line is 2 MB; longer ones are announced to it.
_USUAL_LINE = 1_900_000
_WILD = set("*?[]{}")


class CsvSource:
    """One CSV file under check. `name` is the name it had when handed in."""

    def __init__(self, upload: Upload, work: Path, limit: int, progress: Progress) -> None:
        """Scan the file. Raises Unreadable."""
        self.name, self.present = upload.name, upload.present
        self._work = work
        self._progress = progress
        compression = {".csv.gz": "gz", ".csv.zst": "zst"}.get(ending(upload.name) or "", "")
        plain = work / "plain.csv"
        self.scan: Scan = scan(
            tame(upload.path, work),
            compression,
            plain,
            limit,
            lambda done, total: progress(f"scan {self.name}", done, total),
        )
        self.size = self.scan.size
        self.normalised: Normalised | None = None
        refuse_other_format(self.scan.head, compression)
        try:
            self.header: Header = read_header(self.scan.head)
        except ValueError as error:
            raise Unreadable("header", str(error)) from error
        self._path = self.scan.path

    @property
    def doubtful(self) -> bool:
        """Tell whether DuckDB would misread the file, or the scan knows a fault of its structure."""
        found, width = self.scan, len(self.header.names)
        ragged = found.separators != found.records * (width - 1)
        return found.faulty or found.mixed or ragged or (found.blank and width > 1)

    @property
    def records(self) -> int:
        """Count the records without the header, as the reader must find them."""
        return self.normalised.records if self.normalised else self.scan.records - 1

    def read_exactly(self) -> None:
        """Find every fault of the structure, and read the normalised copy from now on."""
        if self.normalised is None:
            self.normalised = normalise(
                self.scan.path,
                self._work / "normal.csv",
                len(self.header.names),
                lambda: self._progress(f"look closer at {self.name}", 0, self.size),
            )
            self._path = self.normalised.path

    def structural(self, columns: Mapping[int, Column], table: str) -> list[Violation]:
        """Give the faults of the structure as violations."""
        found = []
        for n, name in enumerate(self.header.names):
            if "\ufffd" in name or "\0" in name:
                says = "in the header is not UTF-8; save the file as UTF-8"
                found.append(violation("encoding", says, self.name, table, None, 1, [Example(1, name, n + 1)]))
        for (rule, at), fault in (self.normalised.faults if self.normalised else {}).items():
            named = columns.get(at) if at is not None else None
            column = named.name if named else (self.header.names[at] if at is not None else None)
            found.append(violation(rule, fault.says, self.name, table, column, fault.count, fault.examples))
        return found

    def relation(self, fields: Sequence[int] | None = None) -> str:
        """Give the SQL that reads fields as text, f0, f1, …: unquoted empty is NULL, quoted is the empty text."""
        width = len(self.header.names)
        columns = ", ".join(f"'f{n}': 'VARCHAR'" for n in range(width))
        wanted = ", ".join(f"f{n}" for n in fields) if fields else "*"
        return f"SELECT {wanted} FROM read_csv({literal(str(self._path))}, columns = {{{columns}}}, {self._options()})"

    def plain_rows(self, most: int) -> list[tuple[str | None, ...]] | None:
        """Give all records as texts, as `relation` does, where they are few and their form leaves nothing to a reader.

        None where they are more than `most`, or a quote, an odd line end or a fault of the structure may be in them.
        """
        found = self.scan
        plain = not (self.normalised or self.doubtful or found.quotes or found.crlf or found.blank)
        if not plain or found.size > len(found.head) or self.records > most:
            return None
        lines = found.head.decode("utf-8-sig").removesuffix("\n").split("\n")[1:]
        rows = [tuple(value or None for value in line.split(",")) for line in lines]
        return rows if {len(row) for row in rows} <= {len(self.header.names)} else None

    def _options(self) -> str:
        longest = max(self.scan.longest, self.normalised.longest if self.normalised else 0)
        options = (
            "header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"',"
            " nullstr = '', allow_quoted_nulls = false, compression = 'none'"
        )
        if longest > _USUAL_LINE:
            options += f", max_line_size = {longest + BLOCK}, buffer_size = {2 * longest + 32 * BLOCK}"
        # Where a block begins inside a quoted field, parallel readers have to guess.
        return options + (", parallel = false" if self.scan.quoted_lines else "")

    def view(self, columns: Mapping[int, Column], table: Table, *, record: bool = False) -> str:
        """Give the SQL of the mapped fields as c<n> (text) and v<n> (typed), with `record` (from 0) if wanted."""
        fields = sorted(columns)
        texts = [f"{_nulled(f'f{n}', rules.null_tokens(columns[n], table))} AS c{n}" for n in fields]
        values = [f"{lexical.value(columns[n], f'c{n}')} AS v{n}" for n in fields]
        number = ["row_number() OVER () - 1 AS record"] if record else []
        inner = f"SELECT {', '.join(number + texts)} FROM ({self.relation(fields)})"
        return f"SELECT *, {', '.join(values)} FROM ({inner})"

    def lines(self, records: Sequence[int]) -> dict[int, int]:
        """Give the physical line where each of the records begins."""
        if self.normalised:
            return {record: self.normalised.line(record) for record in records}
        if self.scan.quoted_lines:
            return _count_lines(self.scan.path, sorted(set(records)))
        return {record: record + 1 + self.header.lines for record in records}


def violation(
    rule: str, says: str, file: str, table: str, column: str | None, count: int, examples: Sequence[Example]
) -> Violation:
    """Make a violation whose message quotes its first value: `"abc" is not a number`."""
    value = examples[0].value if examples else None
    subject = quoted(value) if value is not None else "the value" if rule == "required" else "the record"
    return Violation(f"{subject} {says}", rule, file, table, column, count, tuple(examples), f"a value {says}")


def _nulled(text: str, tokens: Sequence[str]) -> str:
    return f"CASE WHEN {text} IN ({literals(tokens)}) THEN NULL ELSE {text} END" if tokens else text


def tame(path: Path, work: Path) -> Path:
    """Give a path without wildcards, which DuckDB would expand: a link in the work folder if need be."""
    path = path.absolute()
    if not _WILD & set(str(path)):
        return path
    link = work / "input"
    link.symlink_to(path)
    return link


def _count_lines(path: Path, records: Sequence[int]) -> dict[int, int]:
    """Find the lines of records in a file whose quoted fields hold line ends, by the parity of quotes."""
    wanted = numpy.asarray(records, dtype=numpy.int64)
    found: dict[int, int] = {}
    inside, line, record = 0, 1, -1
    with path.open("rb") as source:
        # Record -1 is the header. Record r begins after the r+1-th line end outside quotes.
        for block in iter(lambda: source.read(BLOCK), b""):
            array = numpy.frombuffer(block, numpy.uint8)
            parity = (numpy.cumsum(array == 34, dtype=numpy.uint8) & 1) ^ numpy.uint8(inside)
            ends = numpy.flatnonzero(array == 10)
            real = numpy.flatnonzero(parity[ends] == 0)
            here = wanted[(wanted > record) & (wanted <= record + len(real))]
            for one in here:
                found[int(one)] = line + int(real[int(one) - record - 1]) + 1
            record += len(real)
            line += len(ends)
            inside = int(parity[-1])
    return found
