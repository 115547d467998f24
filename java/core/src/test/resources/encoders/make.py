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
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast
from transformers import BertConfig, DistilBertConfig, ElectraConfig, XLMRobertaConfig
from transformers import T5Config, T5ForConditionalGeneration, T5ForTokenClassification

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
        with torch.no_grad():
            logits = model(**inputs).logits[0].tolist()
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


def main():
    judges()
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

    names = ["bert-tiny", "distilbert-tiny", "electra-tiny", "xlm-roberta-tiny"]
    rows = {name: golden(HERE / name) for name in names}
    rows["roberta-tiny"] = golden(HERE.parent / "fixtures" / "roberta-tiny")
    text(HERE, "golden.json", json.dumps(rows, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
