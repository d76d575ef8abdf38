"""Maps of a folder of Parquet files with pictures, on Daft: on_daft.py PICTURES MAPS

The same command again goes on where it was, whatever ended it: it looks only at pictures whose rows are not in MAPS.
"""

import sys

import cbam.daft
import daft

pictures, maps = sys.argv[1:]
cbam.daft.write(daft.read_parquet(f"{pictures}/*.parquet"), maps, ["fused", "patch"])
