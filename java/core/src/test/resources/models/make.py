"""Writes the models, adapters and golden.json beside it: python make.py (torch, transformers 5.17, peft).

The models are random and tiny; golden.json has what transformers computes with them. The adapters belong to
../fixtures/t5-tiny. Nothing that builds or tests Precis runs this script.
"""

import json
import pathlib
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers import UMT5Config, UMT5ForConditionalGeneration

here = pathlib.Path(__file__).parent
fixture = here.parent / "fixtures" / "t5-tiny"
torch.set_num_threads(1)
golden = {}


def sources(vocab, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, vocab, (n,), generator=generator).tolist() + [1] for n in (5, 23, 1, 140)]


def generated(model, ids, **options):
    rows = []
    for source in ids:
        out = model.generate(
            input_ids=torch.tensor([source]), max_new_tokens=20, do_sample=False, output_scores=True,
            return_dict_in_generate=True, **options)
        tokens = out.sequences[0].tolist()[1:]
        if options.get("num_beams", 1) > 1:
            score = out.sequences_scores[0].item()
        else:
            score = sum(torch.log_softmax(s[0].double(), 0)[t].item() for s, t in zip(out.scores, tokens))
        rows.append({"tokens": tokens, "score": score})
    return rows


def record(name, model, ids):
    model.eval()
    golden[name] = {
        "sources": ids, "greedy": generated(model, ids), "beam4": generated(model, ids, num_beams=4)}


def randomize(model, deviation):
    """Larger values than the initializer's, so that every bias and norm shows in the result."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "relative_attention_bias" in name:
                parameter.normal_(0, 1.5)
            elif "layer_norm" in name:
                parameter.uniform_(0.6, 1.4)
            elif ".q.weight" in name:
                parameter.mul_(3)
            elif "wo.weight" in name or ".o.weight" in name:
                parameter.mul_(deviation)


def gradients(name, model, ids, labels):
    model.train()
    model.zero_grad()
    total = 0
    for source, label in zip(ids, labels):
        out = model(input_ids=torch.tensor([source]), labels=torch.tensor([label]))
        total = total + out.loss * len(label)
    loss = total / sum(map(len, labels))
    loss.backward()
    golden[name]["labels"] = labels
    golden[name]["loss"] = loss.item()
    golden[name]["gradient_norms"] = {
        n: p.grad.norm().item() for n, p in model.named_parameters()}
    save_file(
        {n: p.grad.contiguous() for n, p in model.named_parameters() if "relative_attention_bias" in n},
        here / f"{name}-gradients.safetensors")


def write(model, folder):
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)


# UMT5: a relative attention bias in every layer of both stacks.
torch.manual_seed(11)
umt5 = UMT5ForConditionalGeneration(UMT5Config(
    vocab_size=416, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2, num_heads=4,
    dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1))
randomize(umt5, 2)
write(umt5, here / "umt5-tiny")
umt5 = UMT5ForConditionalGeneration.from_pretrained(
    here / "umt5-tiny", attn_implementation="eager")
record("umt5-tiny", umt5, sources(416, 1))
generator = torch.Generator().manual_seed(2)
gradients("umt5-tiny", umt5, sources(416, 1),
          [torch.randint(3, 416, (n,), generator=generator).tolist() + [1] for n in (7, 19, 3, 30)])

# ByT5's shape: three times as many encoder as decoder layers, 259 bytes and special tokens + 125 extra ids.
torch.manual_seed(12)
byt5 = T5ForConditionalGeneration(T5Config(
    vocab_size=384, d_model=32, d_kv=8, d_ff=40, num_layers=6, num_decoder_layers=2, num_heads=4,
    dropout_rate=0.0, feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0))
randomize(byt5, 2)
write(byt5, here / "byt5-tiny")
byt5 = T5ForConditionalGeneration.from_pretrained(here / "byt5-tiny")
record("byt5-tiny", byt5, sources(384, 3))

# mT5: t5-tiny's tensors under an mT5's configuration.
work = here / "work"
shutil.rmtree(work, ignore_errors=True)
shutil.copytree(fixture, work)
(work / "generation_config.json").unlink()
config = json.loads((work / "config.json").read_text())
config.update(model_type="mt5", architectures=["MT5ForConditionalGeneration"], tie_word_embeddings=True)
(work / "config.json").write_text(json.dumps(config))
record("mt5", MT5ForConditionalGeneration.from_pretrained(work), sources(416, 4))
shutil.rmtree(work)


# Adapters of t5-tiny.
def adapter(name, save_embedding_layers="auto", **options):
    torch.manual_seed(13)
    base = T5ForConditionalGeneration.from_pretrained(fixture)
    if save_embedding_layers is True:
        with torch.no_grad():
            base.shared.weight.add_(torch.randn_like(base.shared.weight), alpha=0.2)
    base.generation_config = type(base.generation_config)(
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
    model = get_peft_model(base, LoraConfig(task_type="SEQ_2_SEQ_LM", **options))
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_B" in n:
                p.normal_(0, 0.2)
            elif "lora_magnitude" in n:
                p.mul_(torch.empty_like(p).uniform_(0.7, 1.4))
            elif "modules_to_save" in n and p.ndim == 2:
                p.add_(torch.randn_like(p), alpha=0.2)
            elif "modules_to_save" in n:
                p.mul_(torch.empty_like(p).uniform_(0.7, 1.4))
    folder = here / name
    shutil.rmtree(folder, ignore_errors=True)
    # The folder that the base was read from is nobody else's.
    model.peft_config["default"].base_model_name_or_path = "t5-tiny"
    model.save_pretrained(folder, save_embedding_layers=save_embedding_layers)
    (folder / "README.md").unlink(missing_ok=True)
    again = PeftModel.from_pretrained(T5ForConditionalGeneration.from_pretrained(fixture), folder)
    again.base_model.model.generation_config = base.generation_config
    record(name, again, sources(416, 5))
    again.eval()
    with torch.no_grad():
        source = sources(416, 5)[1]
        logits = again(input_ids=torch.tensor([source]), labels=torch.tensor([source])).logits[0]
    golden[name]["logits"] = logits[:, :24].tolist()


adapter("adapter-dora", r=2, lora_alpha=6, target_modules=["q", "v", "wo"], use_dora=True)
adapter("adapter-saved-modules", r=2, lora_alpha=4, target_modules=["q", "wi_1"],
        modules_to_save=["lm_head", "final_layer_norm"])
adapter("adapter-saved-embedding", r=2, lora_alpha=4, target_modules=["q"], save_embedding_layers=True)
adapter("adapter-saved-projection", r=2, lora_alpha=4, target_modules=["v"],
        modules_to_save=["decoder.block.1.layer.1.EncDecAttention.k"])

text = json.dumps(golden)
(here / "golden.json").write_text(text)
