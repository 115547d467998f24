"""Makes the adapters beside this file and their goldens with PEFT 0.21 and transformers 5.17.

    python make.py

The base model is the fixture t5-tiny. ia3 and prompt are what PEFT saves of its defaults for a T5, ia3-queries scales
other layers. golden.json has the token ids and what the models generate; golden.safetensors has logits, losses,
gradients, and the values after five steps of AdamW. No build and no test needs this script.
"""

import json
import pathlib
import shutil

import torch
from peft import IA3Config, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file
from transformers import T5ForConditionalGeneration

HERE = pathlib.Path(__file__).parent
BASE = HERE.parent / "fixtures" / "t5-tiny"
SOURCES = [[17, 45, 230, 8, 99, 12, 1], [300, 4, 1], [77, 78, 79, 80, 81, 15, 16, 399, 5, 6, 7, 8, 1]]
TARGETS = [[9, 33, 210, 1], [64, 1], [5, 6, 250, 251, 252, 1]]
STEPS = 5
KINDS = {
    "ia3": IA3Config(task_type="SEQ_2_SEQ_LM"),
    "ia3-queries": IA3Config(
        task_type="SEQ_2_SEQ_LM", target_modules=["q", "o", "wi_0"], feedforward_modules=["o"]),
    "prompt": PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=5),
}


def batch():
    longest = max(map(len, SOURCES))
    target = max(map(len, TARGETS))
    return {
        "input_ids": torch.tensor([s + [0] * (longest - len(s)) for s in SOURCES]),
        "attention_mask": torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in SOURCES]),
        "labels": torch.tensor([t + [-100] * (target - len(t)) for t in TARGETS]),
    }


def plain(name):
    """Returns a parameter's name as files have it."""
    if name.startswith("prompt_encoder."):
        return "prompt_embeddings"
    return name.replace("base_model.model.", "").replace(".default", "")


def of(name, parameter):
    """Returns what is trained of a parameter: the decoder's virtual tokens never are."""
    return parameter[:5] if name.startswith("prompt_encoder.") else parameter


def make(name, config, arrays):
    torch.manual_seed(11)
    base = T5ForConditionalGeneration.from_pretrained(BASE)
    model = get_peft_model(base, config)
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    with torch.no_grad():
        for _, parameter in trained:
            offset = 0 if name == "prompt" else 1
            parameter.copy_(offset + 0.4 * torch.randn_like(parameter))
    shutil.rmtree(HERE / name, ignore_errors=True)
    model.save_pretrained(HERE / name)
    (HERE / name / "README.md").unlink()
    file = HERE / name / "adapter_config.json"
    written = json.loads(file.read_text())
    written["base_model_name_or_path"] = "t5-tiny"
    file.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    model.eval()
    generated = []
    for i, source in enumerate(SOURCES):
        ids = torch.tensor([source])
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.tensor([TARGETS[i]])).logits
            tokens = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, num_beams=1,
                                    do_sample=False)[0, 1:]
        arrays[f"{name}.logits.{i}"] = logits[0].contiguous()
        generated.append(tokens.tolist())
    model.train()  # the fixture has no dropout
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=0.01, weight_decay=0)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batch()).loss
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            for n, p in trained:
                arrays[f"{name}.grad.{plain(n)}"] = of(n, p.grad).clone()
        optimizer.step()
    for n, p in trained:
        arrays[f"{name}.after.{plain(n)}"] = of(n, p.detach()).clone()
    return {"generated": generated, "losses": losses}


def main():
    arrays = {}
    golden = {"sources": SOURCES, "targets": TARGETS}
    for name, config in KINDS.items():
        golden[name] = make(name, config, arrays)
    save_file(arrays, HERE / "golden.safetensors")
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
