"""Maps of columns of pictures, on Daft.

>>> import cbam.daft, daft  # doctest: +SKIP
>>> photos = daft.read_parquet("photos/*.parquet")  # doctest: +SKIP
>>> maps = photos.select("key", cbam.daft.attend(photos["image"], maps=["fused"]).unnest())  # doctest: +SKIP
"""

# pyarrow says nothing of its types.
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import daft
import pyarrow as pa
import pyarrow.parquet as pq

from ._attend import ROW, Attend

if TYPE_CHECKING:
    import os

__all__ = ["attend", "finished"]


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

    To go on after a run was ended, look only at what is not written yet; Daft writes a file when it has rows enough for one::

        daft.set_execution_config(parquet_target_filesize=16 << 20)
        done = cbam.daft.finished("maps")
        if done:
            photos = photos.join(daft.read_parquet(done).select("key"), on="key", how="anti")

    Args:
        column: of files' bytes, of structures of ``bytes`` and ``path`` as ``datasets`` writes images, or of paths.
        maps, weights, class_, how: as in :class:`cbam.Attend`.
        batch_size: how many pictures are looked at together.
    """
    several = not (maps is None or isinstance(maps, str) or len(maps) == 1)
    attend = Attend(maps, weights, class_, **how)
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


def finished(folder: str | os.PathLike[str]) -> list[str]:
    """The Parquet files below a folder that were written to their end.

    Those that were not, which a killed run leaves there, are removed: nothing can be read of them, and no reader of the folder would get
    past them. Object stores have no such files.
    """
    whole: list[str] = []
    for path in sorted(Path(folder).rglob("*.parquet")):
        try:
            pq.read_metadata(path)
        except pa.ArrowInvalid:
            path.unlink()
        else:
            whole.append(str(path))
    return whole
