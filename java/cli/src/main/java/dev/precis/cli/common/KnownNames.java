package dev.precis.cli.common;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Knows what other programs, above all transformers and TRL, call our options. */
final class KnownNames {
  private KnownNames() {}

  /** Names of others, and ours in the order of preference. */
  private static final List<String> TABLE =
      List.of(
          "lr=learning-rate",
          "lr-scheduler-type=schedule",
          "lr-scheduler=schedule",
          "scheduler=schedule",
          "num-train-epochs=epochs",
          "num-epochs=epochs",
          "total-episodes=max-steps",
          "num-steps=max-steps",
          "steps=max-steps",
          "lora-r=rank",
          "lora-rank=rank",
          "r=rank",
          "alpha=lora-alpha",
          "lora-target-modules=target-modules",
          "use-rslora=rslora",
          "use-peft=method",
          "use-lora=method",
          "per-device-train-batch-size=batch-size",
          "per-device-eval-batch-size=batch-size",
          "train-batch-size=batch-size",
          "eval-batch-size=batch-size",
          "bs=batch-size",
          "gradient-accumulation-steps=gradient-accumulation",
          "grad-accum=gradient-accumulation",
          "num-mini-batches=mini-batch-size",
          "num-generations=group-size",
          "rloo-k=group-size",
          "max-length=max-new-tokens,max-source-length",
          "max-seq-length=max-source-length",
          "max-input-length=max-source-length",
          "max-prompt-length=max-source-length",
          "max-completion-length=max-new-tokens,max-target-length",
          "max-output-length=max-new-tokens,max-target-length",
          "val-max-target-length=max-target-length",
          "generation-max-length=max-new-tokens,eval-max-new-tokens",
          "response-length=max-new-tokens",
          "max-tokens=max-new-tokens",
          "min-length=min-new-tokens",
          "beams=num-beams",
          "generation-num-beams=num-beams",
          "beam-size=num-beams",
          "do-sample=sample",
          "beta=kl-coef",
          "init-kl-coef=kl-coef",
          "kl-beta=kl-coef",
          "adap-kl-ctrl=fixed-kl",
          "target=target-kl",
          "horizon=kl-horizon",
          "num-ppo-epochs=ppo-epochs",
          "num-iterations=ppo-epochs",
          "cliprange=clip-range",
          "epsilon=clip-range",
          "cliprange-value=clip-range-value",
          "vf-coef=value-coef",
          "lam=lambda",
          "ent-coef=entropy-coef",
          "epsilon-high=clip-range-high",
          "cliprange-high=clip-range-high",
          "trainer=algorithm",
          "label-smoothing-factor=label-smoothing",
          "gradient-checkpointing=recompute",
          "optim=optimizer",
          "weight-decay-rate=weight-decay",
          "warmup-ratio=warmup-steps",
          "num-warmup-steps=warmup-steps",
          "clip-grad=max-grad-norm",
          "gradient-clipping=max-grad-norm",
          "save-steps=checkpoint-every",
          "save-strategy=checkpoint-every",
          "save-total-limit=keep-checkpoints",
          "metric-for-best-model=eval-metric",
          "predict-with-generate=eval-metric",
          "max-eval-samples=eval-limit",
          "eval-steps=eval-every",
          "evaluation-strategy=eval-every",
          "eval-strategy=eval-every",
          "resume-from-checkpoint=resume",
          "model-name-or-path=model",
          "model-name=model",
          "pretrained-model-name-or-path=model",
          "sft-model-path=model",
          "base-model=model",
          "model-id=model",
          "tokenizer-name=model",
          "adapter-name-or-path=adapter",
          "peft-model=adapter",
          "ref-model=reference",
          "reference-model=reference",
          "reward-model-path=reward-model",
          "reward-model-name=reward-model",
          "reward-funcs=reward",
          "reward-weights=reward",
          "output-dir=output",
          "out=output",
          "o=output",
          "train-file=data",
          "train-data=data",
          "dataset-name=data",
          "dataset=data",
          "data-path=data",
          "test-file=data,input",
          "validation-file=eval-data",
          "eval-file=eval-data",
          "eval-dataset=eval-data",
          "input-file=input",
          "source-prefix=template",
          "prompt-template=template",
          "bf16=dtype",
          "fp16=dtype",
          "torch-dtype=dtype",
          "load-in-8bit=dtype",
          "no-cuda=device",
          "use-cpu=device",
          "num-threads=threads",
          "num-proc=threads",
          "verbose=debug");

  private static final Map<String, List<String>> OURS = new HashMap<>();

  static {
    for (String row : TABLE) {
      int equals = row.indexOf('=');
      OURS.put(row.substring(0, equals), List.of(row.substring(equals + 1).split(",")));
    }
  }

  /**
   * Lengths where the data's texts are learned from: a command that samples some itself, as
   * distillation does, has max-new-tokens for those alone.
   */
  private static final Map<String, String> OF_DATA =
      Map.of(
          "max-length", "max-source-length",
          "max-completion-length", "max-target-length",
          "max-output-length", "max-target-length");

  /**
   * Returns our name for an option.
   *
   * @param argument as given, perhaps with a value behind "="
   * @param options of the command
   */
  static Optional<String> ours(String argument, Set<String> options) {
    if (!argument.startsWith("-")) {
      return Optional.empty();
    }
    String name =
        argument
            .replaceFirst("^--?", "")
            .replaceFirst("=.*", "")
            .replace('_', '-')
            .toLowerCase(Locale.ROOT);
    if (options.contains("--" + name)) {
      return Optional.of("--" + name);
    }
    if (options.contains("--on-policy") && OF_DATA.containsKey(name)) {
      return Optional.of("--" + OF_DATA.get(name));
    }
    return OURS.getOrDefault(name, List.of()).stream()
        .map(each -> "--" + each)
        .filter(options::contains)
        .findFirst();
  }
}
