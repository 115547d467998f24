"""Writes trl_ppo.json beside it: what PPOTrainer.step of TRL itself gives for the fixtures' T5.

    python make.py TRL-0.11.4 TRL-25fa1bd      (checkouts; torch, transformers 5, peft, accelerate)

The second is the commit that the course lab installs. What TRL imports and a step has no use for
(datasets, tyro, pandas) is replaced by empty modules. The model is in double precision; TRL itself
rounds logits and what it keeps of the first pass to single precision.
"""

import importlib.machinery
import json
import pathlib
import subprocess
import sys
import types
import typing

here = pathlib.Path(__file__).parent
fixtures = here.parent / "fixtures"


class Rows:
    """datasets.Dataset, as far as a step needs it."""

    @classmethod
    def from_dict(cls, columns):
        rows = cls()
        rows.columns = columns
        return rows

    def set_format(self, _):
        pass

    def __len__(self):
        return len(self.columns["queries"])

    def __getitem__(self, i):
        return {name: column[i] for name, column in self.columns.items()}


class Empty(types.ModuleType):
    Dataset = Rows
    conf = types.SimpleNamespace(arg=lambda **_: None, Suppress=typing.Optional)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def import_trl(folder):
    for name in ("datasets", "tyro", "pandas"):
        module = Empty(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__version__ = "2.0.0"
        sys.modules[name] = module
    sys.path.insert(0, folder)
    import peft
    import transformers

    for module, name in (
        (transformers, "top_k_top_p_filtering"),
        (peft, "prepare_model_for_int8_training"),
    ):
        if not hasattr(module, name):  # of old versions, and not used in a step
            setattr(module, name, None)
    import trl

    return trl


def run(trl, name, steps, **settings):
    import numpy as np
    import torch
    from peft import PeftModel
    from torch.utils.data import dataloader
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    torch.set_num_threads(1)
    torch.manual_seed(11)
    tokenizer = AutoTokenizer.from_pretrained(fixtures / "t5-tiny")
    base = T5ForConditionalGeneration.from_pretrained(fixtures / "t5-tiny", dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, fixtures / "t5-tiny-lora-after20", is_trainable=True)
    model = trl.AutoModelForSeq2SeqLMWithValueHead(adapted)
    model.is_peft_model = True
    model.is_sequential_parallel = False
    head = model.v_head.summary
    start = dict(weight=head.weight[0].tolist(), bias=head.bias.item())
    model.double().eval()
    config = trl.PPOConfig(batch_size=4, mini_batch_size=2, learning_rate=1e-3, seed=11, **settings)
    trainer = trl.PPOTrainer(config, model, None, tokenizer)
    # An iterator that the first update would use up: no later one would be cut.
    trainer.model_params = [p for p in model.parameters() if p.requires_grad]
    if settings.get("use_score_scaling"):  # 0.11.4 calls .to on what its update made a float
        update = trainer.running.update

        def updated(scores):
            result = update(scores)
            trainer.running.mean = torch.tensor(float(trainer.running.mean))
            trainer.running.std = torch.tensor(float(trainer.running.std))
            return result

        trainer.running.update = updated
    assert sum(p.numel() for p in trainer.optimizer.param_groups[0]["params"]) == 23105

    orders = []
    permutation = np.random.permutation

    def recorded(n):
        orders.append(permutation(n).tolist())
        return orders[-1]

    class Recorded(torch.utils.data.RandomSampler):
        def __iter__(self):
            orders.append(list(super().__iter__()))
            return iter(orders[-1])

    np.random.permutation = recorded
    dataloader.RandomSampler = Recorded
    dialogues = [json.loads(line)["dialogue"] for line in open(fixtures / "dialogues.jsonl")]
    done = []
    for step in range(steps):
        queries, responses, scores = [], [], []
        for i in range(4):
            ids = tokenizer("Summarize: " + dialogues[4 * step + i])["input_ids"][: 9 + 4 * i] + [1]
            queries.append(torch.tensor(ids))
            with torch.no_grad():
                out = adapted.generate(
                    input_ids=queries[-1][None],
                    do_sample=True,
                    top_k=0,
                    min_new_tokens=3,
                    max_new_tokens=6 + (step + i) % 4,
                )[0]
            if (step + i) % 3 == 0:  # an end before the limit, which the small model seldom finds
                out = torch.cat([out[: 5 + i], torch.tensor([1])])
            responses.append(out)
            scores.append(torch.randn(()))
        orders.clear()
        stats = trainer.step(queries, responses, scores)
        while len(orders) < config.ppo_epochs:  # epochs that an early stop left out
            orders.append([0, 1, 2, 3])
        done.append(
            dict(
                prompts=[q.tolist() for q in queries],
                responses=[r.tolist() for r in responses],
                scores=[s.item() for s in scores],
                orders=list(orders),
                statistics={
                    key: float(value)
                    for key, value in sorted(stats.items())
                    if not key.startswith("time/") and "time/" not in key and np.ndim(value) == 0
                },
            )
        )
        model.eval()
    np.random.permutation = permutation
    return dict(name=name, settings=settings, value_head=start, steps=done)


if len(sys.argv) == 3:
    runs = []
    for folder, which in ((sys.argv[1], "classic"), (sys.argv[2], "lab")):
        out = subprocess.run(
            [sys.executable, __file__, folder, which, "-"], check=True, stdout=subprocess.PIPE
        )
        runs += json.loads(out.stdout.splitlines()[-1])
    with open(here / "trl_ppo.json", "w") as file:
        json.dump(runs, file, separators=(",", ":"))
        file.write("\n")
else:
    trl = import_trl(sys.argv[1])
    if sys.argv[2] == "lab":
        runs = [run(trl, "lab", 5, ppo_epochs=2)]
        runs += [run(trl, "lab-early-stop", 2, early_stopping=True, target_kl=0.02)]
    else:
        runs = [run(trl, "classic", 5)]
        for penalty in ("abs", "mse", "full"):
            runs += [run(trl, penalty, 2, kl_penalty=penalty)]
        runs += [run(trl, "ratio-threshold", 2, ratio_threshold=1.02)]
        scaled = dict(use_score_scaling=True, use_score_norm=True, score_clip=0.8)
        runs += [run(trl, "scaled-scores", 3, **scaled)]
        runs += [run(trl, "early-stop", 2, early_stopping=True, target_kl=0.02)]
        runs += [run(trl, "whitened-rewards", 2, whiten_rewards=True, adap_kl_ctrl=False)]
        runs += [run(trl, "cut-gradients", 2, max_grad_norm=0.05, gamma=0.9)]
    print(json.dumps(runs))
