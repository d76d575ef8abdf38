"""Maps of a folder of Parquet files with pictures, on Ray Data: on_ray.py PICTURES MAPS CHECKPOINT

The same command again goes on where it was, whatever ended it: Ray keeps the keys of what is written in CHECKPOINT. On a cluster all
three are places that every machine sees.
"""

import sys

import cbam.ray
import ray
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig

pictures, maps, checkpoint = sys.argv[1:]
DataContext.get_current().checkpoint_config = CheckpointConfig("key", checkpoint, delete_checkpoint_on_success=False)
rows = cbam.ray.attend(ray.data.read_parquet(pictures), maps=["fused", "patch"])
rows.write_parquet(maps)
