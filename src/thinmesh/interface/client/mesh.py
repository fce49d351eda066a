"""`thinmesh.connect`: the mesh in Python."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.errors import Internal, Malformed, MeshError, Unsupported
from thinmesh.kernel.progress import no_progress

from .discovery import Target, discover
from .files import FilePart, parts_of, whole_file
from .session import Answer, Document, Session

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    from pyarrow.lib import RecordBatch, Schema, Table

Files = str | Path | Sequence[str | Path]
_PAGE = 1000


def connect(where: str | Path | None = None, *, token: str | None = None, acting_as: str | None = None) -> Mesh:
    """Connect to a mesh: a home (a folder), a server (an http or https URL), or what the CLI would find here.

    `token` is for servers, `acting_as` a user to act as on a home. Raises NotFound where there is no mesh.
    """
    text = None if where is None else os.fspath(where)
    if text == "":
        raise Malformed("The mesh to connect to is an empty text.", help="Leave it out, or name a folder or a URL.")
    is_url = text is not None and text.startswith(("http://", "https://"))
    target = discover(None if is_url else text, text if is_url else None, token, acting_as)
    return Mesh(target)


class Mesh:
    """A mesh. Every method raises the MeshError that says what is wrong and what to do."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._session: Session | None = None

    def __repr__(self) -> str:
        return f"<Mesh at {self._target.url or self._target.home}>"

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; it opens again when it is needed."""
        if self._session:
            self._session.close()
            self._session = None

    # Producers ------------------------------------------------------------------------------------------------

    def register(
        self,
        descriptor: Mapping[str, Any] | str | bytes | Path,
        contract: Mapping[str, Any] | str | bytes | Path | None = None,
    ) -> Document:
        """Register a product or change it: a mapping, the text of a JSON or YAML document, or the path of one.

        It is a descriptor, an ODCS contract, or an ODPS product; `contract` is the ODCS contract that comes with it.
        """
        beside = _document(contract) if contract is not None else None
        return self._open().register(_document(descriptor), None, None, beside)

    def publish(self, product: str, files: Files | Table, *, mode: str = "replace", again: bool = False) -> Document:
        """Publish files (`<table>.csv`, `.csv.gz`, `.csv.zst`, `.parquet`) as one atomic load of a product.

        An Arrow table or a pandas or polars frame becomes the table of the product's own name.
        """
        session = self._open()
        if not isinstance(files, str | Path | Sequence):
            with tempfile.TemporaryDirectory(prefix="thinmesh-") as folder:
                part = FilePart(f"{product}.parquet", _written(files, Path(folder)))
                return session.publish(product, [part], mode, again, no_progress)
        return session.publish(product, self._parts(product, files), mode, again, no_progress)

    def check(self, product: str, files: Files) -> Document:
        """Check files against a product's contract; `ok` and `violations` tell the verdict."""
        return self._open().check(product, self._parts(product, files), no_progress)

    def accept(self, product: str) -> Document:
        """Make the inferred tables of a product its contract."""
        return self._open().accept(product)

    def retire(self, product: str, successor: str | None = None) -> Document:
        """Retire a product; its name stays taken."""
        return self._open().retire(product, successor)

    # Consumers ------------------------------------------------------------------------------------------------

    def sql(self, statement: str, limit: int | None = None) -> Result:
        """Run one read-only SQL statement; the result is read when it is first asked for.

        `limit` caps its rows. Parameters are not taken: values stand in the statement.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise Malformed(
                f"The limit is a number of rows, not {limit!r}.",
                help="A statement takes no parameters: write the values into it.",
            )
        return Result(self._open().query(statement, "arrow", limit))

    def products(self, domain: str | None = None, owner: str | None = None, tag: str | None = None) -> list[Document]:
        """List all products by name."""
        return list(self._all(lambda session, cursor: session.products(domain, owner, tag, _PAGE, cursor)))

    def product(self, name: str) -> Document:
        """Show a product: descriptor, tables, owner, storage, freshness, quality, lineage."""
        return self._open().show(name)

    def search(
        self,
        words: str,
        limit: int = 20,
        *,
        domain: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
    ) -> list[Document]:
        """Find products by words, the best first; only those of a domain, an owner or a tag, where given."""
        found: list[Document] = self._open().search(words, domain, owner, tag, limit, None)["items"]
        return found

    def history(self, product: str) -> list[Document]:
        """List what happened to a product, the newest first."""
        return list(self._all(lambda session, cursor: session.history(product, _PAGE, cursor)))

    def contract(self, product: str) -> bytes:
        """Give a product's contract as an ODCS document."""
        return self._open().contract(product)

    def odps(self, product: str) -> bytes:
        """Give a product as an ODPS document."""
        return self._open().odps(product)

    # Access ---------------------------------------------------------------------------------------------------

    def whoami(self) -> Document:
        """Tell who you are here."""
        return self._open().whoami()

    def request(self, product: str, purpose: str, duration: str = "P30D", team: str | None = None) -> Document:
        """Ask for the data of a closed product."""
        return self._open().request(product, purpose, duration, team)

    def requests(self) -> list[Document]:
        """List the requests that you made or decide."""
        return list(self._all(lambda session, cursor: session.requests(_PAGE, cursor)))

    def approve(self, id: str) -> Document:
        """Approve a request."""
        return self._open().approve(id)

    def deny(self, id: str, why: str) -> Document:
        """Deny a request, and say why."""
        return self._open().deny(id, why)

    def grants(self, product: str | None = None) -> list[Document]:
        """List the grants in force that you hold or decide."""
        return list(self._all(lambda session, cursor: session.grants(product, _PAGE, cursor)))

    def revoke(self, id: str) -> Document:
        """Take a grant back, or withdraw a request."""
        return self._open().revoke(id)

    # ----------------------------------------------------------------------------------------------------------

    def _open(self) -> Session:
        """Give a session; on a home it is chosen anew each time: `up` may have come or gone."""
        if self._target.home is not None:
            self.close()
        if self._session is None:
            self._session = self._target.session("python")
        return self._session

    def _parts(self, product: str, files: Files) -> list[FilePart]:
        named = [files] if isinstance(files, str | Path) else list(files)
        return parts_of(named, product)

    def _all(self, page: Any) -> Iterator[Document]:
        session, cursor = self._open(), None
        while True:
            found = page(session, cursor)
            yield from found["items"]
            cursor = found["next"]
            if cursor is None:
                return


class Result:
    """The result of a statement. It is read whole once, and kept; `to_parquet` of one not yet read streams it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._table: Table | None = None

    @property
    def statement(self) -> str:
        """Give the statement's id."""
        return self._answer.statement

    @property
    def columns(self) -> list[str]:
        """Name the columns."""
        return list(self.arrow().column_names)

    def arrow(self) -> Table:
        """Give a pyarrow Table."""
        if self._table is None:
            from pyarrow.lib import Table

            self._table = Table.from_batches(*self._read())
        return self._table

    def pandas(self) -> pd.DataFrame:
        """Give a pandas DataFrame."""
        _require("pandas")
        return self.arrow().to_pandas()

    def polars(self) -> pl.DataFrame:
        """Give a polars DataFrame."""
        _require("polars")
        import polars as pl

        return pl.DataFrame(self.arrow())

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give the rows as tuples of Python values."""
        table = self.arrow()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []

    def to_parquet(self, path: str | Path) -> None:
        """Write a Parquet file, whole or not at all; memory stays flat where the result was not read before."""
        import pyarrow.parquet as pq
        from pyarrow.ipc import open_stream

        try:
            with whole_file(Path(path)) as file:
                if self._table is not None:
                    pq.write_table(self._table, file)
                else:
                    source = _Chunks(self._answer)
                    reader = open_stream(io.BufferedReader(source))
                    with pq.ParquetWriter(file, reader.schema) as writer:
                        for batch in reader:
                            writer.write_batch(batch)
                    source.finish()
        finally:
            self._answer.close()

    def __len__(self) -> int:
        return int(self.arrow().num_rows)

    def __repr__(self) -> str:
        return f"<Result of {self.statement}>"

    def _repr_html_(self) -> str:
        return str(self.pandas()._repr_html_())

    def _read(self) -> tuple[list[RecordBatch], Schema]:
        from pyarrow.ipc import open_stream
        from pyarrow.lib import ArrowInvalid

        try:
            source = _Chunks(self._answer)
            reader = open_stream(io.BufferedReader(source))
            batches = list(reader)
            source.finish()
            return batches, reader.schema
        except ArrowInvalid as error:
            raise Internal(f"The answer is not an Arrow stream: {error}.") from error
        finally:
            self._answer.close()


class _Chunks(io.RawIOBase):
    """An answer as the file that Arrow reads. What breaks the answer off is raised as it is."""

    def __init__(self, answer: Answer) -> None:
        self._chunks = answer.chunks()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def finish(self) -> None:
        """Read what follows Arrow's end mark: only then is the answer known to be whole."""
        for _ in self._chunks:
            pass

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _document(descriptor: Mapping[str, Any] | str | bytes | Path) -> bytes:
    if isinstance(descriptor, bytes):
        return descriptor
    if isinstance(descriptor, Path):
        return descriptor.read_bytes()
    if isinstance(descriptor, str):
        # A document has lines or braces; a path has neither.
        is_text = "\n" in descriptor or descriptor.lstrip().startswith("{")
        return descriptor.encode() if is_text else Path(descriptor).read_bytes()
    return json.dumps(descriptor, indent=2, ensure_ascii=False).encode()


def _written(frame: Any, folder: Path) -> Path:
    """Write what exports Arrow data (PyCapsule interface: pyarrow, pandas, polars) as a Parquet file."""
    import pyarrow.parquet as pq
    from pyarrow.lib import table as table_of

    if not hasattr(frame, "__arrow_c_stream__"):
        raise Unsupported(
            f"A {type(frame).__name__} cannot be published.",
            help="Give files, an Arrow table, or a pandas or polars frame.",
        )
    path = folder / "table.parquet"
    pq.write_table(table_of(frame), path)
    return path


def _require(library: str) -> None:
    import importlib.util

    if importlib.util.find_spec(library) is None:
        raise MeshError(f"{library} is not installed.", help=f"Install it: pip install {library}")
