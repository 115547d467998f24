"""Lets PEFT 0.21 read what Précis wrote, and keeps the logits.

    python read.py

The folders in written are what Précis wrote after one step on the fixture t5-tiny: new vectors of IA3, vectors that
began as ia3-queries, and a new soft prompt. written.safetensors has PEFT's logits of the batch in golden.json, which
PeftMethodsTest compares with ours; it makes sure too that the same folders are still written. No build and no test needs
this script.
"""

import json
import pathlib

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import T5ForConditionalGeneration

HERE = pathlib.Path(__file__).parent
BASE = HERE.parent / "fixtures" / "t5-tiny"


def main():
    golden = json.loads((HERE / "golden.json").read_text())
    arrays = {}
    for folder in sorted((HERE / "written").iterdir()):
        model = PeftModel.from_pretrained(T5ForConditionalGeneration.from_pretrained(BASE), folder).eval()
        for i, (source, target) in enumerate(zip(golden["sources"], golden["targets"])):
            ids = torch.tensor([source])
            with torch.no_grad():
                logits = model(
                    input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.tensor([target])).logits
            arrays[f"{folder.name}.logits.{i}"] = logits[0].contiguous()
    save_file(arrays, HERE / "written.safetensors")


main()
