"""Makes the Arrow and Parquet files of the tests. Needs pyarrow (25.0) and datasets (5.0), which no
build or test needs:

    python make_tables.py . ../../../../../data-parquet/src/test/resources/dialogues
"""

import shutil
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet

out = Path(sys.argv[1])
tables = Path(sys.argv[2])

talk = [
    {"role": "user", "content": "Who waters the plants?"},
    {"role": "assistant", "content": "Paul does, after lunch."},
]
table = pa.table(
    {
        "id": pa.array([7, 8, None], pa.int64()),
        "dialogue": pa.array(["A: Tea?\nB: Yes, please.", "A: Grüße! \U0001f600", "A: Bye."], pa.string()),
        "summary": pa.array([["B wants tea.", "Tea."], [], None], pa.list_(pa.string())),
        "topic": pa.array(["tea", None, "tea"]).dictionary_encode(),
        "view": pa.array(["short", "a text of more than twelve bytes", None], pa.string_view()),
        "large": pa.array(["x", "", "z"], pa.large_string()),
        "score": pa.array([1.5, None, -2.0], pa.float32()),
        "half": pa.array([0.5, 1.0, None], pa.float16()),
        "good": pa.array([True, False, None], pa.bool_()),
        "small": pa.array([-1, 2, 3], pa.int8()),
        "unsigned": pa.array([1, 2, 2**32 - 1], pa.uint32()),
        "when": pa.array([0, 1, None], pa.timestamp("ms")),
        "bytes": pa.array([b"a", None, b"c"], pa.binary()),
        "nothing": pa.nulls(3),
        "pair": pa.array([[1, 2], None, [5, 6]], pa.list_(pa.int32(), 2)),
        "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())),
        "messages": pa.array(
            [talk, talk[:1], None],
            pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
        ),
    }
)
with ipc.new_stream(out / "stream.arrow", table.schema) as writer:
    writer.write_table(table.slice(0, 2))
    writer.write_table(table.slice(2))
with ipc.new_file(out / "file.arrow", table.schema) as writer:
    writer.write_table(table)
options = ipc.IpcWriteOptions(compression="zstd")
with ipc.new_stream(tables / "zstd.arrow", table.schema, options=options) as writer:
    writer.write_table(table)
simple = table.select(["id", "dialogue", "summary"])
feather.write_feather(simple, out / "lz4.feather")
parquet.write_table(simple, tables / "lz4.parquet", compression="lz4")
parquet.write_table(table.select(["id", "messages"]).slice(0, 2), tables / "messages.parquet", compression="snappy")

saved = datasets.DatasetDict(
    {
        split: datasets.Dataset.from_dict(
            {"id": [f"{split}-{i}" for i in range(n)], "dialogue": [f"A: {i}" for i in range(n)], "summary": ["s"] * n}
        )
        for split, n in [("train", 3), ("test", 2)]
    }
)
folder = out / "saved"
shutil.rmtree(folder, ignore_errors=True)
saved.save_to_disk(folder, num_shards={"train": 2, "test": 1})
