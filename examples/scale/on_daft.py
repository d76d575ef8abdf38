"""Maps of a folder of Parquet files with pictures, on Daft: on_daft.py PICTURES MAPS

The same command again goes on where it was, whatever ended it: it looks only at pictures whose keys are not in MAPS. What is lost is the
file that was being written, of 16 MB at most.
"""

import sys

import cbam.daft
import daft

pictures, maps = sys.argv[1:]
daft.set_execution_config(parquet_target_filesize=16 << 20)
photos = daft.read_parquet(f"{pictures}/*.parquet")
done = cbam.daft.finished(maps)
if done:
    photos = photos.join(daft.read_parquet(done).select("key"), on="key", how="anti")
rows = photos.select("key", cbam.daft.attend(photos["image"], maps=["fused", "patch"]).explode().unnest())
rows.write_parquet(maps)
