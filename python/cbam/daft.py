"""Maps of columns of pictures, on Daft.

>>> import cbam.daft, daft  # doctest: +SKIP
>>> photos = daft.read_parquet("photos/*.parquet")  # doctest: +SKIP
>>> cbam.daft.write(photos, "maps", ["fused", "patch"])  # doctest: +SKIP
"""

# pyarrow says nothing of its types.
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
import pyarrow.parquet as pq
from daft import col

from ._attend import ROW, Attend
from .errors import ArgumentError

__all__ = ["attend", "write"]


def attend(
    column: daft.Expression,
    maps: str | Sequence[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    class_: int | str | None = None,
    *,
    batch_size: int = 64,
    **how: Any,
) -> daft.Expression:
    """The maps of a column's pictures, as :class:`cbam.Attend` has them but for their keys.

    Of one map it is a column of structures: ``unnest()`` makes columns of it. Of several it is a column of lists of such, in the order of
    ``maps``: ``explode`` makes rows of it.

    Args:
        column: of files' bytes, of structures of ``bytes`` and ``path`` as ``datasets`` writes images, or of paths.
        maps, weights, class_, how: as in :class:`cbam.Attend`.
        batch_size: how many pictures are looked at together.
    """
    several = not (maps is None or isinstance(maps, str) or len(maps) == 1)
    return _attended(Attend(maps, weights, class_, **how), column, several, batch_size)


def _attended(attend: Attend, column: daft.Expression, several: bool, batch_size: int) -> daft.Expression:
    row = daft.DataType.from_arrow_type(ROW)
    kind = daft.DataType.list(row) if several else row

    @daft.cls(use_process=False, name_override="cbam")
    class Attended:
        def __init__(self, attend: Attend) -> None:
            self.attend = attend

        @daft.method.batch(return_dtype=kind, batch_size=batch_size)
        def rows(self, pictures: daft.Series) -> pa.Array:
            rows, numbers = self.attend.of_array(pictures.to_arrow())
            if not several:
                return rows
            ends = [0, *(end + 1 for end, number in enumerate(numbers) if end + 1 == len(numbers) or numbers[end + 1] != number)]
            return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), rows)

    return Attended(attend).rows(column)


def write(
    pictures: daft.DataFrame,
    folder: str | os.PathLike[str],
    maps: str | Sequence[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    class_: int | str | None = None,
    *,
    image: str = "image",
    key: str = "key",
    batch_size: int = 64,
    file_size: int = 16 << 20,
    **how: Any,
) -> daft.DataFrame:
    """Writes the rows of a frame's pictures that a folder does not have yet, as Parquet files, and returns their paths.

    The same call again goes on where the last one was ended, whatever ended it: it looks at the pictures whose rows are not all there
    and adds those that are missing. Only one such call at a time may write into a folder. Files that a killed one left unfinished in a
    local folder are removed, since no reader of the folder would get past them; object stores have none.

    Args:
        pictures: a frame with a column of pictures, as :func:`attend` takes it, and one that tells them apart.
        folder: where the files are and come to be: a local folder, or an address that Daft knows.
        maps, weights, class_, how: as in :class:`cbam.Attend`.
        image, key: the names of the two columns. The column of rows is called ``key``.
        batch_size: how many pictures are looked at together.
        file_size: how large a file becomes, in bytes before compression; at most as much of each writer is lost when a run is killed.

    Raises:
        ArgumentError: for an argument that cannot be, or where the folder has rows that another version, other weights or other
            keywords made.
    """
    attend = Attend(maps, weights, class_, **how)
    names = attend.names()
    if len(set(names)) < len(names):
        raise ArgumentError(f"maps: some are there twice: {', '.join(names)}")
    cut = None
    there = _there(folder)
    if there is not None:
        _check_maker(there, attend, folder)
        rows = there.select("key", "map_name", col("error").not_null().alias("failed"))
        counted = rows.where(col("failed") | col("map_name").is_in(names)).groupby("key").agg(
            col("map_name").count().alias("rows"), col("failed").cast(daft.DataType.int64()).max().alias("failed")
        )
        counted = counted.with_column("whole", (col("rows") >= daft.lit(len(names))) | (col("failed") > daft.lit(0))).collect()
        whole = counted.where(col("whole")).select(col("key").alias(key))
        pictures = pictures.join(whole, on=key, how="anti")
        # Where Daft ended a file between the rows of one picture, and the next file was lost.
        cut = rows.join(counted.where(~col("whole")), on="key", how="semi").select("key", "map_name").collect()
    several = len(names) > 1
    attended = _attended(attend, pictures[image], several, batch_size)
    made = pictures.select(pictures[key].alias("key"), _path(pictures, image), attended.alias("row"))
    made = (made.explode("row") if several else made).select("key", "path", col("row").unnest())
    if cut is not None and len(cut):
        made = made.join(cut, on=["key", "map_name"], how="anti")
    with daft.execution_config_ctx(parquet_target_filesize=file_size, parquet_target_row_group_size=file_size):
        return made.write_parquet(os.fspath(folder))


def _path(pictures: daft.DataFrame, image: str) -> daft.Expression:
    kind = pictures.schema()[image].dtype
    text = daft.DataType.string()
    if kind == text:
        return pictures[image].alias("path")
    if kind.is_struct() and "path" in kind.fields:
        return pictures[image]["path"].alias("path")
    return daft.lit(None).cast(text).alias("path")


def _there(folder: str | os.PathLike[str]) -> daft.DataFrame | None:
    """The rows of a folder's files."""
    if "://" in os.fspath(folder):
        try:
            found = daft.from_glob_path(f"{folder}/**/*.parquet").to_pydict()["path"]
        except FileNotFoundError:
            found = []
    else:
        found = _finished(Path(folder))
    return daft.read_parquet(found) if found else None


def _finished(folder: Path) -> list[str]:
    """The Parquet files below a folder that were written to their end. Those that were not are removed."""
    whole: list[str] = []
    for path in sorted(folder.rglob("*.parquet")):
        try:
            pq.read_metadata(path)
        except pa.ArrowInvalid:
            path.unlink()
        else:
            whole.append(str(path))
    return whole


def _check_maker(there: daft.DataFrame, attend: Attend, folder: str | os.PathLike[str]) -> None:
    maker = attend.maker()
    for row in there.select(*maker).distinct().to_pylist():
        for name, value in maker.items():
            if row[name] != value:
                raise ArgumentError(
                    f"{os.fspath(folder)}: holds rows of {name} {row[name]}, and this is {value}: take another folder, or the same {name} and keywords"
                )
