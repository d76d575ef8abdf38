"""Maps of data sets of pictures, on Ray Data.

>>> import cbam.ray, ray  # doctest: +SKIP
>>> pictures = ray.data.read_binary_files("s3://bucket/photos/", include_paths=True)  # doctest: +SKIP
>>> cbam.ray.attend(pictures, maps=["fused"]).write_parquet("s3://bucket/maps/")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ray.data
from ray.data import DataContext

from ._attend import Attend
from .errors import ArgumentError

if TYPE_CHECKING:
    import os

__all__ = ["attend"]


def attend(
    dataset: ray.data.Dataset,
    maps: str | Sequence[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    class_: int | str | None = None,
    *,
    image: str | None = None,
    key: str | None = None,
    batch_size: int = 64,
    actors: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
    ray_remote_args: dict[str, Any] | None = None,
    **how: Any,
) -> ray.data.Dataset:
    """The maps of a data set's pictures, as :class:`cbam.Attend` has them: a row for each picture and map.

    Actors look at the pictures: each opens the network once and uses as many threads as it has cores. A picture that cannot be looked at
    is a row with ``error``; a worker that dies is begun anew by Ray, and its batch with it.

    To go on after a driver was killed, let Ray keep the keys of what is written, before the data set is read::

        from ray.data import DataContext
        from ray.data.checkpoint import CheckpointConfig

        DataContext.get_current().checkpoint_config = CheckpointConfig("key", "/shared/checkpoint")

    Ray writes blocks of rows, and one with a row of a picture has all of it for the checkpoint. Blocks are not cut within a picture as
    long as the rows of a batch are less than half of the largest block (``DataContext.target_max_block_size``, 128 MB); with a
    checkpoint, what is more is refused.

    Args:
        dataset: of files' bytes (``ray.data.read_binary_files``), of images as ``datasets`` writes them, or of paths.
        maps, weights, class_, image, key, how: as in :class:`cbam.Attend`.
        batch_size: how many pictures an actor is given at a time.
        actors: how many there are, or the least and the most; by default from one to as many as the cluster has cores for.
        num_cpus: the cores of an actor, and the threads that it uses. One actor with most of a machine's cores is faster than many with one
            each; other stages want cores too.
        ray_remote_args: what else Ray is told of the actors.
    """
    arguments: dict[str, Any] = {"maps": maps, "weights": weights, "class_": class_, "image": image, "key": key, **how}
    Attend(**arguments)  # what cannot be is said here, not by a worker
    least, most = actors if isinstance(actors, tuple) else (actors or 1, actors)
    pool = ray.data.ActorPoolStrategy(min_size=least, max_size=most)
    return dataset.map_batches(
        _Attend,
        fn_constructor_kwargs=arguments,
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=pool,
        num_cpus=num_cpus,
        **(ray_remote_args or {}),
    )


class _Attend(Attend):
    """``Attend``, whose rows Ray can keep together."""

    def __call__(self, table: Any) -> Any:
        rows = super().__call__(table)
        context = DataContext.get_current()
        most = (context.target_max_block_size or 0) // 2
        if context.checkpoint_config is not None and 0 < most < rows.nbytes and len(rows) > len(table):
            raise ArgumentError(
                f"batch_size: the rows of {len(table)} pictures are {rows.nbytes} bytes, and Ray keeps those of one picture together up to "
                f"{most}, half of its target_max_block_size: take a smaller batch_size, or larger blocks"
            )
        return rows
