"""Writes published-keys.json: the keys that transformers 5.17 and PEFT write or document (python keys.py)."""

import dataclasses
import json
import pathlib

from peft import IA3Config, LoraConfig, PromptTuningConfig
from transformers import (
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MT5Config,
    RobertaConfig,
    T5Config,
    UMT5Config,
    XLMRobertaConfig,
)

keys = {}
ENCODERS = (RobertaConfig, XLMRobertaConfig, BertConfig, DistilBertConfig, ElectraConfig, DebertaV2Config)
for kind in (T5Config, MT5Config, UMT5Config, *ENCODERS):
    config = kind()
    names = set(config.to_dict()) | {f.name for f in dataclasses.fields(kind)} | set(kind.attribute_map)
    keys[kind.__name__] = sorted(names | {"torch_dtype", "num_labels", "task_specific_params"})
for kind in (LoraConfig, IA3Config, PromptTuningConfig):
    keys[kind.__name__] = sorted({f.name for f in dataclasses.fields(kind)} | set(kind().to_dict()))
(pathlib.Path(__file__).parent / "published-keys.json").write_text(json.dumps(keys, indent=1) + "\n")
