"""Maps of tables of pictures, for the engines that run over tables."""

# pyarrow says nothing of its types.
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from . import __version__, _cbam
from ._asked import Asked, Opening, said
from .errors import ArgumentError, PhotoError

if TYPE_CHECKING:
    import os

_TEXT, _WHOLE, _REAL = pa.string(), pa.int32(), pa.float32()

ROW = pa.struct(
    [
        ("error", _TEXT),
        ("class", _WHOLE),
        ("label", _TEXT),
        ("probability", _REAL),
        ("map_name", _TEXT),
        ("map_class", _WHOLE),
        ("map", pa.list_(_REAL)),
        ("map_height", _WHOLE),
        ("map_width", _WHOLE),
        *[(name, _REAL) for name in ("min", "max", "mean", "peak_x", "peak_y", "centroid_x", "centroid_y", "entropy", "coverage")],
        *[(name, _WHOLE) for name in ("width", "height", "seen_left", "seen_top", "seen_width", "seen_height")],
        ("note", _TEXT),
        ("version", _TEXT),
        ("weights", _TEXT),
    ]
)
"""What is said of a picture and a map, as an Arrow type."""

_KEYS = ("key", "__key__")
_MOST = 2**31 - 1  # offsets of a list are of 32 bits


class Attend:
    """Maps of tables of pictures: a callable from an Arrow table to an Arrow table, for Ray Data, Daft, Spark and their like.

    It is cheap to make and to pickle; the network is opened where it is first called, once in a process. It uses the threads that
    :func:`cbam.threads` tells: those of ``OMP_NUM_THREADS``, which engines set for their workers.

    Args:
        maps: the maps that are wanted, by name, as in :func:`cbam.look`.
        weights: a weights file, which every worker must find there; by default the bundled network.
        class_: the class that maps of a class are of, by number or by name; by default each picture's likeliest.
        image: the column of the pictures: bytes; structures of ``bytes`` and ``path``, as ``datasets`` writes images; or text, which is
            a path. By default the only column that can be no other.
        key: the column that tells pictures apart, of text or whole numbers, which it stays. By default ``key`` or ``__key__``, or else
            the path.
        how: as in :func:`cbam.look`.

    Calling it gives a table with a row for each picture and map, in their order:

    ================================== ==========================================================================================
    ``key``, ``path``                  the picture: what tells it apart, and its path if it has one
    ``error``                          why it cannot be looked at; then all that follows but the last two is null
    ``class``, ``label``               the likeliest class, its number and name
    ``probability``                    how likely it is, 0 to 1
    ``map_name``, ``map_class``        the map, and the class that it is of, if it is of one
    ``map``                            its values, row by row, float32, at least 0 and unscaled
    ``map_height``, ``map_width``      its grid; null for a channel gate, which is of no place
    ``min`` … ``coverage``             its :class:`cbam.Statistics`: places are fractions of the picture's width and height
    ``width``, ``height``              the picture's, upright, in pixels
    ``seen_left`` … ``seen_height``    the part of it that the network saw, in pixels; null if that is all of it
    ``note``                           what of the picture is broken or was assumed, though it was looked at
    ``version``, ``weights``           of cbam, and the SHA-256 of the network's configuration and tensors
    ================================== ==========================================================================================

    Raises:
        ArgumentError: for an argument, or a column, that cannot be, or a table whose maps have more numbers than one list can.
        FileError, WeightsError: when it is called, for weights that cannot be read.

    Example:
        >>> import cbam, pyarrow as pa
        >>> attend = cbam.Attend(maps=["fused"])
        >>> rows = attend(pa.table({"image": ["assets/images/chelsea.jpg", "README.md"]}))
        >>> rows["label"].to_pylist()
        ['Egyptian cat', None]
    """

    def __init__(
        self,
        maps: str | Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        class_: int | str | None = None,
        *,
        image: str | None = None,
        key: str | None = None,
        **how: Any,
    ) -> None:
        self.image, self.key = image, key
        asked = {name: how.pop(name) for name in list(how) if name in Asked.WORDS}
        self._weights, self._opening = weights, Opening.of(how)
        self._asked = Asked.of(maps, class_, asked)
        self.__setstate__({})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_network", "_opened")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._network: _cbam.Network | None = None
        self._opened = Lock()  # several threads may call it first

    def __call__(self, table: pa.Table | pa.RecordBatch) -> pa.Table:
        pictures, paths = self._pictures(table)
        keys = self._keys(table, paths)
        rows, numbers = self._rows(pictures, [path or str(key) for path, key in zip(paths, keys.to_pylist())])
        at = pa.array(numbers, pa.int32())
        return pa.table(
            {
                "key": keys.take(at),
                "path": pa.array(paths, _TEXT).take(at),
                **{field.name: rows.field(place) for place, field in enumerate(ROW)},
            }
        )

    def of_array(self, column: pa.Array) -> tuple[pa.StructArray, list[int]]:
        """The rows of pictures, as :data:`ROW` has them, and to which picture each belongs."""
        pictures, paths = _values(column, "pictures")
        return self._rows(pictures, [path or "picture" for path in paths])

    def names(self) -> list[str]:
        """The maps of each picture, by the names that its rows have, in their order."""
        return self._open().chosen(self._asked)

    def maker(self) -> dict[str, str]:
        """What every row says of what made it: cbam's version, and the hash of the network, of how it was opened and what it is asked."""
        weights = (self._open().fingerprint or b"").hex()
        more = sorted({**said(self._opening), **said(self._asked, ("maps",))}.items())
        if more:
            weights = hashlib.sha256(f"{weights} {more}".encode()).hexdigest()
        return {"version": __version__, "weights": weights}

    def _pictures(self, table: Any) -> tuple[list[Any], list[str | None]]:
        schema: pa.Schema = table.schema
        name = self.image or _image_column(schema)
        column = _column(table, "image", name)
        pictures, paths = _values(column, name)
        if _is_bytes(column.type) and name != "path" and schema.names.count("path") == 1 and _is_text(schema.field("path").type):
            paths = [path or None for path in table.column("path").to_pylist()]
        return pictures, paths

    def _keys(self, table: Any, paths: list[str | None]) -> Any:
        schema: pa.Schema = table.schema
        name = self.key or next((name for name in _KEYS if name in schema.names), None)
        if name is None:
            if not all(paths):
                raise ArgumentError("key: some pictures have no path: name a column that tells pictures apart")
            return pa.array(paths, _TEXT)
        column = _column(table, "key", name)
        kind = column.type
        if not (_is_text(kind) or pa.types.is_integer(kind)):
            raise ArgumentError(f"key: column {name!r} holds {kind}, and keys are text or whole numbers")
        if column.null_count:
            raise ArgumentError(f"key: column {name!r} has rows without a key")
        return column

    def _rows(self, pictures: list[Any], names: list[str]) -> tuple[pa.StructArray, list[int]]:
        network = self._open()
        maker = self.maker()
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        # A few at a time: a look keeps its picture's pixels.
        few = 4 * _cbam.threads()
        everything = list(zip(names, pictures))
        for first in range(0, len(everything), few):
            given = everything[first : first + few]
            looks = iter(network.look([of for of in given if of[1] is not None], self._asked))
            for number, (name, picture) in enumerate(given, first):
                look = PhotoError(f"{name}: the row has no picture") if picture is None else next(looks)
                made = [{"error": str(look)}] if isinstance(look, Exception) else _of_look(look)
                rows += [{**row, **maker} for row in made]
                numbers += [number] * len(made)
        return _struct(rows), numbers

    def _open(self) -> _cbam.Network:
        with self._opened:
            if self._network is None:
                self._network = _cbam.Network(self._weights, self._opening, True)
            return self._network

    def __repr__(self) -> str:
        return f"Attend(maps={self._asked.maps or None}, weights={self._weights!r})"


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _column(table: Any, argument: str, name: str) -> Any:
    """The column of a table that an argument names."""
    names: list[str] = table.schema.names
    if names.count(name) != 1:
        raise ArgumentError(f"{argument}: there are {names.count(name)} columns {name!r} among {', '.join(names)}")
    column = table.column(name)
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _part(kind: pa.DataType, name: str) -> pa.DataType | None:
    """The type of a structure's field, if it is what pictures have under that name."""
    place = kind.get_field_index(name)
    if place < 0:
        return None
    of = kind.field(place).type
    return of if (_is_bytes if name == "bytes" else _is_text)(of) else None


def _image_column(schema: pa.Schema) -> str:
    """The only column that can hold pictures: a structure of bytes, or else bytes."""
    structures = [field.name for field in schema if pa.types.is_struct(field.type) and _part(field.type, "bytes") is not None]
    plain = [field.name for field in schema if _is_bytes(field.type)]
    usual = [field.name for field in schema if field.name == "image" and _is_text(field.type)]
    for found in (structures, plain, usual):
        if len(found) == 1:
            return found[0]
        if found:
            raise ArgumentError(f"image: several columns can hold pictures: say which of {', '.join(found)}")
    raise ArgumentError(f"image: no column holds pictures for sure: say which of {', '.join(schema.names)}")


def _values(column: pa.Array, name: str) -> tuple[list[Any], list[str | None]]:
    """The pictures of a column, as the extension takes them, and their paths."""
    kind = column.type
    if _is_text(kind):
        paths = [path or None for path in column.to_pylist()]
        return list(paths), paths
    if _is_bytes(kind) or pa.types.is_null(kind):
        return column.to_pylist(), [None] * len(column)
    if pa.types.is_struct(kind) and (_part(kind, "bytes") or _part(kind, "path")):
        rows = [row or {} for row in column.to_pylist()]
        paths = [(row.get("path") if _part(kind, "path") else None) or None for row in rows]
        stored = [row.get("bytes") if _part(kind, "bytes") else None for row in rows]
        return [path if of is None else of for of, path in zip(stored, paths)], paths
    raise ArgumentError(
        f"{name}: holds {kind}, and pictures are bytes of files, structures of bytes and path, or paths "
        "(of pixels in memory, cbam.look makes maps)"
    )


def _of_look(look: _cbam.Look) -> list[dict[str, Any]]:
    of = _of_picture(look)
    return [{**of, **_of_map(look, name)} for name in look.asked]


def _of_picture(look: _cbam.Look) -> dict[str, Any]:
    top = look.top[0] if look.top else (None, None, None)
    (width, height), seen = look.size, look.seen
    part = (None,) * 4 if seen == (0, 0, width, height) else seen
    notes = [*([] if look.damage is None else [look.damage]), *look.notes]
    return {
        **dict(zip(("class", "label", "probability"), top)),
        **dict(zip(("seen_left", "seen_top", "seen_width", "seen_height"), part)),
        "width": width,
        "height": height,
        "note": "; ".join(notes) or None,
    }


def _of_map(look: _cbam.Look, name: str) -> dict[str, Any]:
    values = look.map(name)
    of: dict[str, Any] = {"map_name": name, "map": values.ravel()}
    if look.explained is not None and look.is_of_class(name):
        of["map_class"] = look.explained[0]
    if values.ndim == 2:
        of["map_height"], of["map_width"] = values.shape
        said = look.statistics(name)
        for place in ("peak", "centroid"):
            of[f"{place}_x"], of[f"{place}_y"] = said.pop(place)
        of.update(said)
    return of


def _struct(rows: Sequence[Mapping[str, Any]]) -> pa.StructArray:
    """Rows as Arrow has them; maps without a copy of each number."""
    fields = [ROW.field(place) for place in range(ROW.num_fields)]
    arrays = [
        _lists(row.get("map") for row in rows) if of.name == "map" else pa.array([row.get(of.name) for row in rows], of.type)
        for of in fields
    ]
    return pa.StructArray.from_arrays(arrays, fields=fields)


def _lists(maps: Iterable[Any]) -> pa.ListArray:
    taken = list(maps)
    ends = np.cumsum([0, *(0 if of is None else of.size for of in taken)])
    if ends[-1] > _MOST:
        raise ArgumentError(f"table: its maps have {ends[-1]} numbers, and an Arrow list {_MOST} at most: give fewer pictures at a time")
    there = [of for of in taken if of is not None]
    flat = np.concatenate(there) if there else np.zeros(0, np.float32)
    missing = pa.array([of is None for of in taken], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat, _REAL), mask=missing)
