"""Makes the classifiers beside this file and golden.json with transformers 5.17.

    python make.py

Each folder holds a classifier of a family with small random weights and a tokenizer as people have
it, but for t5-encoder-tiny, whose tokenizer is that of the fixture t5-tiny. golden.json holds what
transformers makes of the texts and pairs below, judges.json what judges answer. roberta-tiny is the one
of the fixtures, which is read for its pairs alone. No build and no test needs this script.
"""

import json
import pathlib

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DebertaV2Tokenizer, PreTrainedTokenizerFast
from transformers import BertConfig, DebertaV2Config, DistilBertConfig, ElectraConfig, XLMRobertaConfig
from transformers import T5Config, T5ForConditionalGeneration, T5ForTokenClassification
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "",
    "hello world",
    "  Hello,   WORLD!\tAnna's cat-sat on 12.5% ",
    "na\u00efve caf\u00e9 e\u0301 \u00c5ngstr\u00f6m",
    "\u4f60\u597d world \U0001f600 a\u00a0b\u3000c\u200bd",
    "x" * 120 + " end",
    "[CLS] is [SEP] no [MASK] text [UNK]",
    "tab\x00nul\x7fdel\ufffd \u00ad soft",
]
PAIRS = [
    ("Anna: I lost the cat.\nBob: Not the dog?", "Anna lost the cat."),
    ("", "hello"),
    ("hello", ""),
    ("a b c " * 40, "the end of the world"),
    ("Caf\u00e9 \u4f60\u597d!", "caf\u00e9 hello [SEP] world"),
]
MAX_LENGTH = 64
WORDS = "hello world the cat dog anna bob lost not end of is no text i a b c ##s ##t ##llo he".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = list(".,!?'-%:;()[]#\u4f60\u597d\u00e9\u00efHACWORLD")


def word_pieces():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS
    tokens += list(LETTERS) + ["##" + c for c in LETTERS] + MARKS + ["##\u00e9", "##\u00ef", "##H"]
    return list(dict.fromkeys(tokens))


def save(name, config, seed):
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if parameter.dim() == 1 else 0.0))
    model.save_pretrained(HERE / name)
    return HERE / name


def text(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) + "\n")


def golden(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = []
    for first, second in [(t, None) for t in TEXTS] + PAIRS:
        how = {"truncation": True} if second is None else {"truncation": "only_first"}
        texts = ([first],) if second is None else ([first], [second])  # a text of its own is no pair if empty
        rows_of = tokenizer(*texts, max_length=MAX_LENGTH, return_token_type_ids=True, **how)
        row = {key: value[0] for key, value in rows_of.items()}
        inputs = {"input_ids": torch.tensor([row["input_ids"]])}
        types = row.get("token_type_ids") or [0] * len(row["input_ids"])
        if model.config.model_type not in ("distilbert", "roberta", "xlm-roberta"):
            inputs["token_type_ids"] = torch.tensor([types])
        if model.config.model_type == "deberta-v2":  # in a batch that has padding behind the shorter row
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            n = len(row["input_ids"])
            width = min(2 * n, MAX_LENGTH)
            inputs = {key: torch.cat([value.repeat(1, 2)[:, :width],
                                      torch.nn.functional.pad(value, (0, width - n))])
                      for key, value in inputs.items()}
        with torch.no_grad():
            logits = model(**inputs).logits[-1].tolist()
        decoded = tokenizer.decode(row["input_ids"], skip_special_tokens=True)
        rows.append({"first": first, "second": second, "ids": row["input_ids"], "types": types,
                     "logits": logits, "decoded": decoded})
    return rows


JUDGED = [
    ("Anna: I lost the cat.", "Anna lost the cat."),
    ("hello world. " * 12, "The world says hello."),
    ("", "Nobody knows."),
]
# The tiny vocabulary begins Yes, No, A and B with one token, so other words take their place.
PROMPTS = {
    "minicheck": ("predict: {prompt}</s>{completion}", ["1", "0"]),
    "unieval": ("question: Is this claim consistent with the document? </s> claim: {completion} </s>"
                " document: {prompt}", ["the", "it"]),
    "steamshp": ("POST: {prompt}\n\n RESPONSE A: {completion}\n\n RESPONSE B: .\n\n"
                 " Which response is better? RESPONSE", ["the"]),
}
HHEM = ("<pad> Determine if the hypothesis is true given the premise?\n\nPremise: {prompt}\n\n"
        "Hypothesis: {completion}")


def judges():
    """Probabilities of the first answer among the answers; of one answer, among all tokens."""
    source = HERE.parent / "fixtures" / "t5-tiny"
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = T5ForConditionalGeneration.from_pretrained(source).eval()
    rows = {}
    for name, (prompt, answers) in PROMPTS.items():
        ids = [tokenizer(a, add_special_tokens=False).input_ids[0] for a in answers]
        rows[name] = {"answers": answers, "scores": []}
        for premise, claim in JUDGED:
            text_ids = tokenizer(prompt.replace("{prompt}", premise).replace("{completion}", claim),
                                 return_tensors="pt").input_ids
            with torch.no_grad():
                start = torch.tensor([[model.config.decoder_start_token_id]])
                logits = model(input_ids=text_ids, decoder_input_ids=start).logits[0, 0]
            chosen = logits.log_softmax(-1)[ids]
            score = chosen[0].exp() if len(ids) == 1 else chosen.softmax(-1)[0]
            rows[name]["scores"].append(score.item())
    folder = HERE / "t5-encoder-tiny"
    torch.manual_seed(5)
    encoder = T5ForTokenClassification(T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu", num_labels=2)).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if parameter.dim() == 1 else 0.0))
    encoder.save_pretrained(folder)
    rows["hhem"] = {"answers": [], "scores": []}
    for premise, claim in JUDGED:
        text_ids = tokenizer(HHEM.replace("{prompt}", premise).replace("{completion}", claim),
                             return_tensors="pt").input_ids
        with torch.no_grad():
            rows["hhem"]["scores"].append(encoder(input_ids=text_ids).logits[0, 0].softmax(-1)[1].item())
    text(HERE, "judges.json", json.dumps({"pairs": JUDGED, "prompts": rows}, indent=1) + "\n")


# As microsoft/deberta-v3 has it, and what else a checkpoint may have. Sequences are longer than the buckets.
DEBERTA = {
    "deberta-v3-tiny": dict(pos_att_type=["p2c", "c2p"], share_att_key=True, position_buckets=12,
                            max_relative_positions=-1, norm_rel_ebd="layer_norm", position_biased_input=False,
                            type_vocab_size=0),
    "deberta-c2p-tiny": dict(pos_att_type=["c2p"], share_att_key=False, position_buckets=9, max_relative_positions=20,
                             norm_rel_ebd="none", position_biased_input=True, type_vocab_size=2, hidden_size=21,
                             num_attention_heads=3),
    "deberta-p2c-tiny": dict(pos_att_type="p2c", share_att_key=False, position_buckets=-1, max_relative_positions=11,
                             norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=2),
    "deberta-both-tiny": dict(pos_att_type="p2c|c2p", share_att_key=False, position_buckets=4,
                              max_relative_positions=64, norm_rel_ebd="layer_norm", position_biased_input=True,
                              type_vocab_size=0),
}


def deberta(labels):
    """Tokenizers of each kind that DeBERTa's folders have: of transformers 4, with and without do_lower_case and
    split_by_punct, and of transformers 5."""
    pieces = [("[PAD]", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[UNK]", 0.0)]
    pieces += [("\u2581" + w, -3.0 - i / 8) for i, w in enumerate(WORDS) if "#" not in w]
    pieces += [("\u2581", -4.0)] + [(c, -6.0 - i / 8) for i, c in enumerate(LETTERS + "ABH.,!?'")]
    for i, (name, sizes) in enumerate(DEBERTA.items()):
        config = dict(vocab_size=len(pieces) + 1, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                      intermediate_size=24, max_position_embeddings=MAX_LENGTH, relative_attention=True,
                      pooler_hidden_act="gelu", pad_token_id=0, **labels)
        folder = save(name, DebertaV2Config(**{**config, **sizes, "pooler_hidden_size": sizes.get("hidden_size", 16)}),
                      6 + i)
        if name == "deberta-both-tiny":
            tokenizer = DebertaV2Tokenizer(vocab=pieces, unk_id=3, model_max_length=MAX_LENGTH, split_by_punct=True,
                                           do_lower_case=True)
            tokenizer.save_pretrained(folder)
            continue
        lower = name == "deberta-c2p-tiny"
        unigram = Tokenizer(models.Unigram(pieces, unk_id=3))
        unigram.normalizer = normalizers.Sequence(
            [normalizers.Lowercase()] * lower
            + [normalizers.Strip(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
        unigram.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Punctuation(behavior="isolated")] * lower
            + [pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")])
        unigram.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
        unigram.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        PreTrainedTokenizerFast(tokenizer_object=unigram, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
                                unk_token="[UNK]", mask_token="[MASK]", model_max_length=MAX_LENGTH
                                ).save_pretrained(folder)


def deberta_rows():
    """The row of the table of relative positions for the distances from -(m + 3) to m + 3, by buckets and m."""
    rows = {}
    for buckets, most in [(256, 512), (12, 64), (9, 20), (4, 64), (7, 33), (32, 128), (256, 1024), (128, 512)]:
        distances = torch.arange(-(most + 3), most + 4)
        bucket = make_log_bucket_position(distances, buckets, most).to(torch.long)
        rows[f"{buckets},{most}"] = torch.clamp(bucket + buckets, 0, 2 * buckets - 1).tolist()
    text(HERE, "deberta-rows.json", json.dumps(rows) + "\n")


CANDIDATES = ["the cat is lost", "hello world.", "", "Anna lost not the dog, Bob is of no text"]
REFERENCES = [["Anna lost the cat."], ["the end of the world", "hello"], ["no text"], ["the dog, not the cat", "", "Bob"]]


def bertscore():
    """Precision, recall and F1 in double precision on transformers' hidden states in double precision."""
    rows = []
    for name, layer, idf in [("bert-tiny", 1, False), ("bert-tiny", 2, True), ("deberta-v3-tiny", 2, False),
                             ("xlm-roberta-tiny", 0, True), ("roberta-tiny", 1, False)]:
        folder = HERE.parent / "fixtures" / name if name == "roberta-tiny" else HERE / name
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval().double()

        def read(text):
            ids = tokenizer(" " + text if name == "roberta-tiny" and text else text).input_ids
            with torch.no_grad():
                states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
            return ids, states / states.norm(dim=-1, keepdim=True)

        all_references = [set(read(text)[0]) for texts in REFERENCES for text in texts]
        special = set(tokenizer("").input_ids)

        def weights(ids):
            if not idf:
                return torch.tensor([0.0 if i in special else 1.0 for i in ids], dtype=torch.float64)
            counts = [sum(i in reference for reference in all_references) for i in ids]
            return torch.log((len(all_references) + 1) / (torch.tensor(counts, dtype=torch.float64) + 1))

        scores = []
        for candidate, references in zip(CANDIDATES, REFERENCES):
            of = []
            for reference in references:
                (ids, c), (other, r) = read(candidate), read(reference)
                w, v, cosines = weights(ids), weights(other), c @ r.T
                if w.sum() == 0 or v.sum() == 0:
                    of.append([0.0, 0.0, 0.0])
                    continue
                p = (w * cosines.max(1).values).sum() / w.sum()
                q = (v * cosines.max(0).values).sum() / v.sum()
                of.append([p.item(), q.item(), (2 * p * q / (p + q)).item()])
            scores.append([max(column) for column in zip(*of)])
        rows.append({"model": name, "layer": layer, "idf": idf, "scores": scores})
    text(HERE, "bertscore.json", json.dumps({"candidates": CANDIDATES, "references": REFERENCES, "rows": rows},
                                            indent=1) + "\n")


def main():
    judges()
    deberta_rows()
    vocab = word_pieces()
    labels = {"id2label": {0: "no", 1: "unsure", 2: "yes"}, "label2id": {"no": 0, "unsure": 1, "yes": 2}}
    sizes = dict(vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                 intermediate_size=24, max_position_embeddings=MAX_LENGTH, **labels)
    folder = save("bert-tiny", BertConfig(**sizes), 1)
    text(folder, "vocab.txt", "\n".join(vocab) + "\n")

    folder = save("distilbert-tiny", DistilBertConfig(
        vocab_size=len(vocab), dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=MAX_LENGTH,
        **labels), 2)
    text(folder, "vocab.txt", "\n".join(vocab) + "\n")
    text(folder, "tokenizer_config.json", {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False,
                                           "tokenize_chinese_chars": False, "model_max_length": MAX_LENGTH})

    folder = save("electra-tiny", ElectraConfig(**{**sizes, "hidden_act": "gelu_new", "embedding_size": 8}), 3)
    text(folder, "vocab.txt", "\n".join(vocab) + "\n")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    (folder / "vocab.txt").unlink()

    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [("\u2581" + w, -3.0 - i / 8) for i, w in enumerate(WORDS) if "#" not in w]
    pieces += [("\u2581", -4.0)] + [(c, -6.0 - i / 8) for i, c in enumerate(LETTERS + "ABH.,!?'")]
    xlm = Tokenizer(models.Unigram(pieces, unk_id=3))
    xlm.normalizer = normalizers.NFKC()
    xlm.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    xlm.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    folder = save("xlm-roberta-tiny", XLMRobertaConfig(**{
        **sizes, "vocab_size": len(pieces), "max_position_embeddings": MAX_LENGTH + 2, "type_vocab_size": 1,
        "pad_token_id": 1}), 4)
    PreTrainedTokenizerFast(tokenizer_object=xlm, bos_token="<s>", cls_token="<s>", eos_token="</s>",
                            sep_token="</s>", pad_token="<pad>", unk_token="<unk>",
                            model_max_length=MAX_LENGTH).save_pretrained(folder)

    deberta(labels)
    names = ["bert-tiny", "distilbert-tiny", "electra-tiny", "xlm-roberta-tiny", *DEBERTA]
    rows = {name: golden(HERE / name) for name in names}
    rows["roberta-tiny"] = golden(HERE.parent / "fixtures" / "roberta-tiny")
    text(HERE, "golden.json", json.dumps(rows, ensure_ascii=True, separators=(",", ":")) + "\n")
    bertscore()


main()
