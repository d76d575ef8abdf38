"""Maps of a folder of Parquet files with pictures, on Daft: on_daft.py PICTURES MAPS

The same command again goes on where it was, whatever ended it: it looks only at pictures whose keys are not in MAPS.
"""

import sys
from pathlib import Path

import cbam.daft
import daft

pictures, maps = sys.argv[1:]
photos = daft.read_parquet(f"{pictures}/*.parquet")
if any(Path(maps).glob("*.parquet")):
    photos = photos.join(daft.read_parquet(f"{maps}/*.parquet").select("key"), on="key", how="anti")
rows = photos.select("key", cbam.daft.attend(photos["image"], maps=["fused", "patch"]).explode().unnest())
rows.write_parquet(maps)
