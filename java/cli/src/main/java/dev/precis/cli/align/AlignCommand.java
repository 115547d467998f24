package dev.precis.cli.align;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

@Command(
    name = "align",
    header = "Aligns a model to a reward, or to what people prefer.",
    description = {
      "ppo, grpo and rloo: the model responds to prompts, a reward scores the responses, and the"
          + " model learns to get more, held close to a reference that is named, not guessed."
          + " Checks come first, each with a number, and a watchdog goes back to the last"
          + " checkpoint when the run goes wrong.",
      "dpo, cdpo, robust, ipo, hinge, orpo, simpo and kto: the model learns from pairs of answers"
          + " of which people prefer one (kto: from answers that they called good or bad), without"
          + " a reward model.",
      "A run folder holds config.json (everything, defaults included), metrics.jsonl (TRL's names),"
          + " report.html, checkpoints/step-N, and the result in adapter or model; of ppo, grpo and"
          + " rloo also preflight.json, rollouts.jsonl (every response and its score) and"
          + " comparison.jsonl (responses before and after, sorted by gain); of the others"
          + " reference.jsonl (what the reference gives to each answer).",
      "A run that is killed at any moment and resumed ends with the same bits as one left alone."
    },
    footer = {
      "",
      "Examples:",
      "  precis align --algorithm ppo --model google/flan-t5-base --adapter sft/adapter \\",
      "      --reference adapter:sft/adapter --data dialogues.jsonl \\",
      "      --reward-model facebook/roberta-hate-speech-dynabench-r4-target \\",
      "      --reward-label nothate --output run",
      "  precis align --algorithm grpo --group-size 4 --model google/flan-t5-base \\",
      "      --reference base --data dialogues.jsonl --reward rouge:rougeL --output run",
      "  precis align --algorithm dpo --model google/flan-t5-base --adapter sft/adapter \\",
      "      --reference adapter:sft/adapter --pairs pairs.jsonl --output run",
      "  precis align ... --output run --resume"
    })
public final class AlignCommand extends BaseCommand {
  private static final List<String> POLICY_ALGORITHMS = List.of("ppo", "grpo", "rloo");
  private static final String POLICY = "%nppo, grpo, rloo:%n";

  @Option(
      names = "--algorithm",
      paramLabel = "A",
      defaultValue = "ppo",
      description = {
        "ppo, grpo or rloo; dpo, cdpo, robust, ipo, hinge, orpo, simpo or kto (default:"
            + " ${DEFAULT-VALUE})."
      })
  private String algorithm;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "MODEL",
      description = "A model's folder, or a hub id already downloaded.")
  private String model;

  @Option(
      names = "--adapter",
      paramLabel = "A",
      description = "The PEFT folder that the policy starts from; a value head in it is used too.")
  private String adapter;

  @Option(
      names = "--reference",
      paramLabel = "R",
      description =
          "What the policy is held close to: base, adapter:DIR or checkpoint:DIR (default: base;"
              + " with --adapter it must be given).")
  private String reference;

  @Option(
      names = "--method",
      paramLabel = "M",
      defaultValue = "lora",
      description = "lora: adapters on frozen weights; full: all weights (default: lora).")
  private String method;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "RUN",
      description = "The run's folder.")
  private Path output;

  @Option(names = "--resume", description = "Go on with the run from its newest checkpoint.")
  private boolean resume;

  @Option(
      names = "--rank",
      paramLabel = "R",
      defaultValue = "32",
      description = "LoRA: rank of a new adapter (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--lora-alpha",
      paramLabel = "X",
      defaultValue = "32",
      description = "LoRA: the update is scaled by alpha / rank (default: ${DEFAULT-VALUE}).")
  private float loraAlpha;

  @Option(
      names = "--target-modules",
      paramLabel = "NAMES",
      defaultValue = "q,v",
      description = {
        "LoRA: layers of a new adapter, as for 'precis train' (default: ${DEFAULT-VALUE}).",
        "'decoder\\..*\\.(q|v)' leaves the encoder as it is: it then runs once for policy,"
            + " reference and updates, and a step takes a fraction of the time."
      })
  private String targetModules;

  @Option(
      names = "--dropout",
      paramLabel = "P",
      defaultValue = "0",
      description =
          "Of the model and of the adapter's input; any makes log-probabilities noisy"
              + " (default: ${DEFAULT-VALUE}).")
  private float dropout;

  @Option(
      names = "--template",
      paramLabel = "T",
      description = "A prompt template, a text or a file, with {dialogue} in it.")
  private String template;

  @Option(
      names = "--max-source-length",
      paramLabel = "N",
      defaultValue = "1024",
      description = "Longer prompts are left out (default: ${DEFAULT-VALUE} tokens).")
  private int maxSourceLength;

  @Mixin private AlignmentFlags steps = new AlignmentFlags();

  @ArgGroup(validate = false, heading = POLICY, order = 10)
  private PolicyAlignment policy = new PolicyAlignment();

  @ArgGroup(validate = false, heading = PreferenceAlignment.HEADING, order = 20)
  private PreferenceAlignment preference = new PreferenceAlignment();

  @Override
  public Integer call() {
    boolean toReward = POLICY_ALGORITHMS.contains(algorithm);
    if (!toReward && !PreferenceAlignment.ALGORITHMS.contains(algorithm)) {
      throw usage(
          "--algorithm must be one of %s, %s, not '%s'"
              .formatted(
                  String.join(", ", POLICY_ALGORITHMS),
                  String.join(", ", PreferenceAlignment.ALGORITHMS),
                  algorithm));
    }
    refuse(toReward ? PreferenceAlignment.HEADING : POLICY);
    boolean compares = toReward || PreferenceAlignment.needsReference(algorithm);
    if (!compares && reference != null) {
      throw usage("--reference has no part in " + algorithm);
    }
    if (!method.equals("lora") && !method.equals("full")) {
      throw usage("--method must be lora or full, not '" + method + "'");
    }
    if (method.equals("full") && adapter != null) {
      throw usage("--adapter needs --method lora: merge it into the model first");
    }
    if (adapter != null
        && (given("--rank") || given("--lora-alpha") || given("--target-modules"))) {
      throw usage("--adapter brings its own rank, alpha and target modules");
    }
    if (adapter != null && reference == null && compares) {
      throw usage(
          "--reference is missing: base holds the policy close to the model without the adapter,"
              + " adapter:"
              + adapter
              + " to where it starts");
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw usage("--dropout must be at least 0 and below 1, not " + dropout);
    }
    AlignmentStart start =
        new AlignmentStart(
            algorithm,
            model,
            adapter,
            !compares ? "none" : reference == null ? "base" : reference,
            method,
            output,
            resume,
            rank,
            loraAlpha,
            targetModules,
            dropout,
            template,
            maxSourceLength);
    return toReward ? policy.run(this, start, steps) : preference.run(this, start, steps);
  }

  /** Refuses options that belong to other algorithms. */
  private void refuse(String heading) {
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptionsSet()) {
      for (ArgGroupSpec group = option.group(); group != null; group = group.parentGroup()) {
        if (heading.equals(group.heading())) {
          throw usage(option.longestName() + " has no part in " + algorithm);
        }
      }
    }
  }
}
