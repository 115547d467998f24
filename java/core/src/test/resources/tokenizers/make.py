"""Makes the folders beside this file and their goldens with transformers 5.17 and sentencepiece 0.2.

    python make.py        writes mt5/, madlad/, t5-converted/, codet5/, byt5/ and golden.json

Each folder holds a tokenizer as people have it, of a few pieces; golden.json holds what transformers
makes of the texts below. No build and no test needs this script.
"""

import json
import os

import transformers
from sentencepiece import sentencepiece_model_pb2 as spm
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = [
    "",
    " ",
    "a",
    "hello world",
    "  hello   world \n\t hello  ",
    "Tom: hi 你",
    "你好 world",
    "naïve café e\u0301",
    "\U0001f600 and \U0001f469\u200d\U0001f4bb",
    "hello</s> world <pad>hello",
    "<extra_id_0> hello <extra_id_1>world<extra_id_99>",
    "<2en> hello <2de>world",
    "{x} < y\n{z}\n\nend",
    "don't you'll 12 345",
    "<0x41> is no byte",
    "ends </s>",
    "a\u00a0b\u3000c",
    "def f(x):\n    return x+1\n",
]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def pieces(extra=()):
    result = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2)]
    result += extra
    result += [("\u2581", -2.0, 1), ("\u2581hello", -4.0, 1), ("\u2581world", -4.5, 1), ("ell", -5.0, 1)]
    result += [(c, -6.0 - i / 8, 1) for i, c in enumerate(LETTERS + "THINE.,:'!?123()+=")]
    result += [("\u2581" + c, -5.5 - i / 8, 1) for i, c in enumerate("abcdexyz")]
    return result


def sentence_piece(folder, extra, config, byte_fallback=False):
    model = spm.ModelProto()
    for text, score, kind in pieces(extra):
        model.pieces.add(piece=text, score=score, type=kind)
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id, model.trainer_spec.pad_id, model.trainer_spec.eos_id = 2, 0, 1
    model.trainer_spec.bos_id = -1
    model.trainer_spec.byte_fallback = byte_fallback
    model.normalizer_spec.add_dummy_prefix = True
    # A map without rules: a trie of 256 empty units, and no replacement.
    model.normalizer_spec.precompiled_charsmap = (1024).to_bytes(4, "little") + bytes(1024 + 1)
    write(folder, "spiece.model", model.SerializeToString())
    write(folder, "tokenizer_config.json", config)


def write(folder, name, content):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False, indent=1).encode()
    with open(os.path.join(HERE, folder, name), "wb") as file:
        file.write(data)


def main():
    t5 = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    bytes_ = [(f"<0x{b:02X}>", 0.0, 6) for b in range(256)]
    sentence_piece("mt5", bytes_, {**t5, "extra_ids": 0}, byte_fallback=True)
    languages = [(f"<2{name}>", 0.0, 4) for name in ("en", "de", "fr")]
    sentence_piece("madlad", languages, {**t5, "extra_ids": 0})
    sentence_piece("t5-added", [], {**t5, "extra_ids": 100})
    size = len(pieces()) + 100
    write("t5-added", "added_tokens.json", {"{": size, "}": size + 1, "\n": size + 2, "<": size + 3})
    vocab = [[p, s] for p, s, _ in pieces()]
    vocab += [[f"<extra_id_{i}>", 0.0] for i in range(99, -1, -1)]
    special = [i for i, (p, _) in enumerate(vocab) if p.startswith("<") and p.endswith(">")]
    meta = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    write("t5-converted", "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": vocab[i][0], "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True} for i in special],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, meta]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "decoder": meta,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": False}})
    write("t5-converted", "tokenizer_config.json", {**t5, "extra_ids": 100, "legacy": True, "clean_up_tokenization_spaces": True})

    base = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    symbols = [chr(b) for b in base] + [chr(0x100 + i) for i in range(256 - len(base))]
    merges = ["h e", "l l", "he ll", "hell o", "\u0120 w", "o r", "\u0120w or", "\u0120 hello", "r e", "t u"]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] + symbols + [m.replace(" ", "") for m in merges]
    code = {"tokenizer_class": "RobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
            "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>",
            "additional_special_tokens": [f"<extra_id_{i}>" for i in range(99, -1, -1)]}
    for folder, prefix in (("codet5", False), ("codet5-prefix", True)):
        write(folder, "vocab.json", {t: i for i, t in enumerate(tokens)})
        write(folder, "merges.txt", ("#version: 0.2\n" + "\n".join(merges) + "\n").encode())
        write(folder, "added_tokens.json", {f"<extra_id_{i}>": len(tokens) + 99 - i for i in range(100)})
        write(folder, "tokenizer_config.json", {**code, "add_prefix_space": prefix})
    write("byt5", "tokenizer_config.json", {
        "tokenizer_class": "ByT5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
        "extra_ids": 125, "additional_special_tokens": [f"<extra_id_{i}>" for i in range(125)]})

    golden = {"transformers": transformers.__version__}
    for folder in sorted(os.listdir(HERE)):
        if not os.path.isdir(os.path.join(HERE, folder)):
            continue
        tokenizer = AutoTokenizer.from_pretrained(os.path.join(HERE, folder))
        cases = []
        for text in TEXTS:
            ids = tokenizer(text).input_ids
            cases.append({
                "text": text, "ids": ids,
                "bare": tokenizer(text, add_special_tokens=False).input_ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=True),
                "decoded_with_special": tokenizer.decode(ids)})
        golden[folder] = {"size": len(tokenizer), "cases": cases}
    with open(os.path.join(HERE, "golden.json"), "w", encoding="utf-8") as file:
        json.dump(golden, file, indent=1)


main()
