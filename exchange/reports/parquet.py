"""Rows as Parquet: a row group for each batch, so that memory stays flat."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

import pyarrow as pa
from pyarrow import parquet

KINDS = {
    "text": pa.string(),
    "date": pa.date32(),
    "moment": pa.timestamp("us", tz="UTC"),
    "integer": pa.int64(),
}


def write_parquet(file: IO[bytes], columns: Mapping[str, str], batches: Iterable[list[list[Any]]]) -> None:
    """Write columns of these kinds, in order."""
    schema = pa.schema([(name, KINDS[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            arrays = [
                pa.array(values, field.type) for values, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
