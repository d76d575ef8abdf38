"""Writes one record of TensorBoard's own event writer: python gen.py (tensorboard)."""

import io
import os

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

HERE = os.path.dirname(os.path.abspath(__file__))
event = Event(wall_time=12.5, step=300, summary=Summary(value=[Summary.Value(tag="train/loss", simple_value=1.5)]))
out = io.BytesIO()
RecordWriter(out).write(event.SerializeToString(deterministic=True))
with open(os.path.join(HERE, "scalar.bin"), "wb") as file:
    file.write(out.getvalue())
