"""Tables of an Iceberg catalog, over files that are there already: the one home of pyiceberg.

pyiceberg tries a commit that met another one again on top of it, by which a file that both register is registered twice.
So tables are made to try once, and who registers reads anew how far the table is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    CommitFailedException,
    CommitStateUnknownException,
    ForbiddenError,
    NoSuchTableError,
    NotInstalledError,
    OAuthError,
    RESTError,
    TableAlreadyExistsError,
    UnauthorizedError,
    ValidationException,
)
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import ancestors_of
from pyiceberg.transforms import DayTransform, IdentityTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DoubleType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)
from requests import RequestException
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from schemas.errors import CatalogUnavailable, ConfigurationError
from sinks.archive.registration import Outrun, TableDeclaration, carried
from sinks.archive.shell.catalog_place import A_URI, CATALOG, CatalogPlace

TYPES = {
    "text": StringType(), "int8": LongType(), "int4": IntegerType(), "int2": IntegerType(), "float8": DoubleType(),
    "bool": BooleanType(), "timestamptz": TimestamptzType(), "date": DateType(), "bytea": BinaryType(),
}  # fmt: skip
ELEMENTS = {"float8[]": "float8", "timestamptz[]": "timestamptz", "date[]": "date", "char[]": "text"}
FIRST_PARTITION_FIELD = 1_000  # as the specification numbers them
ONE_TRY = {"commit.retry.num-retries": "0"}
# Of what a commit writes only so much is kept: metadata grows with every file otherwise.
BOUNDED = {
    "commit.manifest-merge.enabled": "true",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.metadata.metrics.column.value": "counts",
}
KEPT_SNAPSHOTS = 20


class Catalog:
    """The catalog that settings name. Every step raises CatalogUnavailable and ConfigurationError."""

    def __init__(self, place: CatalogPlace) -> None:
        """Open it, and make its namespace where there is none."""
        self.place = place
        try:
            with self.answering():
                self._catalog: Any = load_catalog(CATALOG, **place.properties)
                self._catalog.create_namespace_if_not_exists(place.namespace)
        except (ArgumentError, NotInstalledError, ImportError, ValueError):
            # without the text of it, in which the password may stand
            raise ConfigurationError(
                f"MDS_ICEBERG_CATALOG_URI: {place.shown} is no catalog that can be opened",
                remedy=A_URI,
            ) from None

    def table(self, declared: TableDeclaration, archive: str, *, make: bool = True) -> ArchiveTable | None:
        """Return a table, made where there is none; None where it is not to be made."""
        name = f"{self.place.namespace}.{declared.name}"
        with self.answering():
            try:
                found: Any = self._catalog.load_table(name)
            except NoSuchTableError:
                if not make:
                    return None
                found = self._made(name, declared, archive)
        return ArchiveTable(self, found, name, declared, archive)

    def _made(self, name: str, declared: TableDeclaration, archive: str) -> Any:
        schema = _schema(declared)
        properties = {
            "mds.archive": archive,
            "mds.of": declared.of,
            # files have no field ids
            "schema.name-mapping.default": schema.name_mapping.model_dump_json(),
        }
        with suppress(TableAlreadyExistsError):
            self._catalog.create_table(
                name,
                schema,
                partition_spec=_spec(declared, schema),
                properties=properties | BOUNDED | ONE_TRY,
            )
        return self._catalog.load_table(name)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say of any failure of the catalog, or of the place of its metadata, what it is."""
        try:
            yield
        except (UnauthorizedError, ForbiddenError, AuthorizationExpiredError, OAuthError) as error:
            raise ConfigurationError(
                f"the Iceberg catalog {self.place.shown} refuses us: {self.place.without_secrets(error)}",
                remedy="set MDS_ICEBERG_TOKEN or MDS_ICEBERG_CREDENTIAL to one that it takes",
            ) from None
        except ArgumentError:
            raise
        except (RESTError, SQLAlchemyError, RequestException, OSError, NoSuchTableError) as error:
            raise CatalogUnavailable(
                f"the Iceberg catalog {self.place.shown} does not take it now: {self.place.without_secrets(error)}"
            ) from None


class ArchiveTable:
    """A table over files of one archive."""

    def __init__(
        self, catalog: Catalog, table: Any, name: str, declared: TableDeclaration, archive: str
    ) -> None:
        """Raise ConfigurationError where it is of something else."""
        self._catalog, self._table = catalog, table
        self.name = name
        said = table.properties.get("mds.archive"), table.properties.get("mds.of")
        if said != (archive, declared.of):
            raise ConfigurationError(
                f"the table {name} is of {said[1]} in {said[0]}, not of {declared.of} in {archive}",
                remedy="choose another MDS_ICEBERG_NAMESPACE, or drop the table in the catalog, no file goes with it",
            )

    def said(self) -> dict[str, str]:
        """Return what its snapshots say of how far it is; raises ConfigurationError where they do not any more."""
        snapshots = ancestors_of(self._table.current_snapshot(), self._table.metadata)
        return carried((each.summary.additional_properties for each in snapshots if each.summary), self.name)

    def register(self, file: str, said: Mapping[str, str], gone: Sequence[str] = ()) -> None:
        """Add a file, in place of those that are `gone`, in one commit that says so much; raises Outrun."""
        with self._committing():
            if ONE_TRY.items() - self._table.properties.items():  # somebody set it back
                with self._table.transaction() as once:
                    once.set_properties(ONE_TRY)
            with self._table.transaction() as transaction:
                if not gone:
                    transaction.add_files([file], dict(said), check_duplicate_files=False)
                else:
                    self._exchange(transaction, [file], said, gone)

    def forget(self, files: Sequence[str]) -> int:
        """Take files out, and every snapshot that has them; return how many were in it. Raises Outrun.

        Raises ConfigurationError where a branch or tag would keep such a snapshot.
        """
        others = sorted(name for name in self._table.refs() if name != "main")
        if others:
            raise ConfigurationError(
                f"the table {self.name} has the branches or tags {', '.join(others)}, which keep what is to be pruned",
                remedy="remove them in the catalog, then prune",
            )
        with self._committing():
            count = 0
            if self._table.current_snapshot() is not None:
                with self._table.transaction() as transaction:
                    count = self._exchange(transaction, [], self.said(), files)
            self._expire(keep=1)
        return count

    def bound(self) -> None:
        """Let the oldest snapshots go where there are many; those that are gone for good cost nothing any more."""
        if len(self._table.snapshots()) >= 2 * KEPT_SNAPSHOTS:
            with suppress(Outrun), self._committing():
                self._expire(keep=KEPT_SNAPSHOTS)

    def reload(self) -> None:
        """Read it anew."""
        with self._catalog.answering():
            self._table.refresh()

    def _exchange(
        self, transaction: Any, files: Sequence[str], said: Mapping[str, str], gone: Sequence[str]
    ) -> int:
        named = frozenset(gone)
        held = [task.file for task in self._table.scan().plan_files() if task.file.file_path in named]
        if held or files:
            with transaction.update_snapshot(snapshot_properties=dict(said)).overwrite() as producer:
                for data_file in held:
                    producer.delete_data_file(data_file)
                for file in files:
                    metadata = transaction.table_metadata
                    producer.append_data_file(parquet_file_to_data_file(self._table.io, metadata, file))
        return len(held)

    def _expire(self, *, keep: int) -> None:
        """Let all but the newest snapshots go, with the metadata that only they have; never a file of the archive."""
        heads = {ref.snapshot_id for ref in self._table.refs().values()}
        snapshots = sorted(self._table.snapshots(), key=lambda each: each.sequence_number)
        expired = [each for each in snapshots[:-keep] if each.snapshot_id not in heads]
        if not expired:
            return
        chosen = {each.snapshot_id for each in expired}
        io = self._table.io
        living = {
            each.manifest_path
            for snapshot in snapshots
            if snapshot.snapshot_id not in chosen
            for each in snapshot.manifests(io)
        }
        lists = [each.manifest_list for each in expired]
        dead = {each.manifest_path for snapshot in expired for each in snapshot.manifests(io)} - living
        self._table.maintenance.expire_snapshots().by_ids(sorted(chosen)).commit()
        for path in (*dead, *lists):
            with suppress(OSError):  # what stays is metadata that nobody reads
                io.delete(path)

    @contextmanager
    def _committing(self) -> Iterator[None]:
        try:
            with self._catalog.answering():
                try:
                    yield
                except (CommitFailedException, CommitStateUnknownException, ValidationException) as error:
                    raise Outrun(self.name) from error
        except ValueError as error:
            raise ConfigurationError(
                f"a file does not fit the table {self.name}: {error}",
                remedy="drop the table in the catalog, no file goes with it; `mds archive iceberg` makes it again",
            ) from error


def _schema(declared: TableDeclaration) -> Any:
    """Return the schema; elements of lists are numbered behind all columns, as the catalog numbers them anew."""
    fields, elements = [], count(len(declared.columns) + 1)
    for number, column in enumerate(declared.columns, start=1):
        of = ELEMENTS.get(column.type)
        kind = (
            TYPES[column.type] if of is None else ListType(next(elements), TYPES[of], element_required=False)
        )
        fields.append(NestedField(number, column.name, kind, required=not column.nullable))
    return Schema(*fields)


def _spec(declared: TableDeclaration, schema: Any) -> Any:
    days = declared.partitioned_by[-1]
    return PartitionSpec(
        *(
            PartitionField(
                schema.find_field(name).field_id,
                FIRST_PARTITION_FIELD + number,
                DayTransform() if name == days else IdentityTransform(),
                f"{name}_day" if name == days else name,
            )
            for number, name in enumerate(declared.partitioned_by)
        )
    )
