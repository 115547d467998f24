"""Makes generation_config.json of this folder: the tokens and scores of transformers' generate() for
one setting of generation_config.json after another, on the fixture t5-tiny.

    python make_generation_config_golden.py FIXTURES > generation_config.json

Needs torch and transformers 5.17; no build and no test needs it. A score is the sum of the tokens'
log-probabilities before any processor, of beams transformers' sequences_scores. The list "keys" has
the attributes of transformers' GenerationConfig.
"""

import json
import sys

import torch
from safetensors.torch import load_file
from transformers import GenerationConfig, T5ForConditionalGeneration, __version__

fixtures = sys.argv[1]
model = T5ForConditionalGeneration.from_pretrained(f"{fixtures}/t5-tiny").eval()
arrays = load_file(f"{fixtures}/golden/forward_t5-tiny.safetensors")
sources = [
    [int(t) for t, keep in zip(ids, mask) if keep]
    for ids, mask in zip(arrays["input_ids"], arrays["attention_mask"])
]

BEAMS = {"num_beams": 4}
ALONE = [
    {},
    {"decoder_start_token_id": 55},
    {"decoder_start_token_id": None, "bos_token_id": 60},
    {"eos_token_id": [1, 17]},
    {"eos_token_id": [1, 17, 36], "min_new_tokens": 6},
    {"eos_token_id": [25]},
    {"max_length": 8, "max_new_tokens": None},
    {"max_length": 8, "max_new_tokens": 12},
    {"eos_token_id": [1, 17], "min_length": 9},
    {"eos_token_id": [1, 17], "min_length": 9, "min_new_tokens": 3},
    {"eos_token_id": [1, 17], "min_length": 40},
    {"repetition_penalty": 1.8},
    {"no_repeat_ngram_size": 2},
    {"encoder_no_repeat_ngram_size": 1},
    {"encoder_no_repeat_ngram_size": 3},
    {"encoder_repetition_penalty": 1.5},
    {"encoder_repetition_penalty": 0.6},
    {"bad_words_ids": [[98], [55, 25], [1], [0, 117], [25, 17, 117]]},
    {"sequence_bias": [[[98], -8.0], [[55, 25], -3.5], [[4], 2.5]]},
    {"suppress_tokens": [98, 55]},
    {"begin_suppress_tokens": [98, 55]},
    {"begin_suppress_tokens": [55], "forced_bos_token_id": 60},
    {"forced_bos_token_id": 60},
    {"forced_eos_token_id": 1},
    {"forced_eos_token_id": [1, 17], "eos_token_id": [1, 17]},
    {"forced_bos_token_id": 60, "forced_eos_token_id": 1, "max_new_tokens": 1},
    {"exponential_decay_length_penalty": [4, 1.02]},
    {"exponential_decay_length_penalty": [6, 0.9], "eos_token_id": [1, 17]},
    {"remove_invalid_values": True},
    {"renormalize_logits": True, "suppress_tokens": [98]},
    {"do_sample": True, "top_k": 1, "temperature": 0.7},
    {"do_sample": True, "top_k": 0, "top_p": 1e-6, "bad_words_ids": [[98]]},
    {
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 3,
        "encoder_no_repeat_ngram_size": 4,
        "encoder_repetition_penalty": 1.1,
        "bad_words_ids": [[98], [55, 25]],
        "sequence_bias": [[[36], 1.5]],
        "min_length": 12,
        "forced_bos_token_id": 60,
        "forced_eos_token_id": 1,
        "suppress_tokens": [102],
        "begin_suppress_tokens": [25],
        "eos_token_id": [1, 17],
    },
]
SEARCHED = [
    {"length_penalty": 2.0},
    {"length_penalty": -1.0, "early_stopping": True},
    {"early_stopping": "never", "eos_token_id": [1, 17, 36]},
    {"num_return_sequences": 3},
    {"num_beams": 4, "no_repeat_ngram_size": 3, "length_penalty": 2.0, "early_stopping": True},
    {"num_beams": 2, "eos_token_id": [1, 17, 36, 25]},
]


def generate(settings):
    values = {
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "max_new_tokens": 24,
        **settings,
    }
    ends = values["eos_token_id"]
    ends = ends if isinstance(ends, list) else [ends]
    model.generation_config = GenerationConfig(**values)
    model.config.decoder_start_token_id = values["decoder_start_token_id"]
    rows = []
    for source in sources:
        out = model.generate(
            torch.tensor([source]),
            attention_mask=torch.ones(1, len(source), dtype=torch.long),
            return_dict_in_generate=True,
            output_logits=True,
            output_scores=True,
        )
        results = []
        for i, sequence in enumerate(out.sequences.tolist()):
            tokens = sequence[1:]
            end = next((n for n, t in enumerate(tokens) if t in ends), len(tokens) - 1)
            tokens = tokens[: end + 1]
            if getattr(out, "sequences_scores", None) is not None:
                score = out.sequences_scores[i].item()
            else:
                score = sum(
                    out.logits[n][i].log_softmax(-1)[t].item() for n, t in enumerate(tokens)
                )
            results.append({"tokens": tokens, "score": round(score, 5)})
        rows.append(results)
    return {"settings": {k: v for k, v in values.items() if v is not None}, "results": rows}


cases = []
with torch.no_grad():
    for settings in ALONE:
        cases.append(generate(settings))
        # transformers 5.17 applies encoder_repetition_penalty to the first row of a batch of beams only.
        # Two forced tokens have the same score, of which a search may take either.
        alone = {"do_sample", "encoder_repetition_penalty"} & settings.keys()
        if not alone and not isinstance(settings.get("forced_eos_token_id"), list):
            cases.append(generate({**BEAMS, **settings}))
    for settings in SEARCHED:
        cases.append(generate({**BEAMS, **settings}))
keys = sorted(k for k in vars(GenerationConfig()))
json.dump({"transformers": __version__, "keys": keys, "sources": sources, "cases": cases}, sys.stdout)
print()
