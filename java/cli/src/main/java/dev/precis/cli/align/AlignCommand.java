package dev.precis.cli.align;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.MethodOptions;
import dev.precis.cli.options.ModelOption;
import dev.precis.cli.options.PairColumnOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RunOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.options.TargetOptions;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

@Command(
    name = "align",
    header = "Aligns a model to a reward, or to human preferences.",
    description = {
      "ppo, grpo and rloo sample responses to prompts and score them with a reward; the policy"
          + " learns to get more of it, regularized towards a reference (KL penalty). Preflight"
          + " checks run first, and a watchdog rolls back to the last checkpoint when the run"
          + " diverges.",
      "dpo, cdpo, robust, ipo, hinge, orpo and simpo learn from pairs of a chosen and a rejected"
          + " answer, kto from answers that are labelled good or bad. They need no reward model.",
      "The run folder holds config.json (all options, defaults included), metrics.jsonl (TRL's"
          + " names), report.html, checkpoints/step-N and the result in adapter or model. ppo, grpo"
          + " and rloo add preflight.json, rollouts.jsonl (every response and its score) and"
          + " comparison.jsonl (baseline and aligned responses, sorted by gain); the others add"
          + " reference.jsonl (log-probabilities under the reference).",
      "A killed run resumes bitwise identically."
    },
    footer = {
      "",
      "Examples:",
      "  precis align --algorithm ppo --model google/flan-t5-base \\",
      "      --adapter sft/adapter --reference adapter:sft/adapter \\",
      "      --data dialogues.jsonl --reward-label nothate --output run \\",
      "      --reward-model facebook/roberta-hate-speech-dynabench-r4-target",
      "  precis align --algorithm grpo --group-size 4 --model google/flan-t5-base \\",
      "      --reference base --data dialogues.jsonl --reward rouge:rougeL \\",
      "      --output run",
      "  precis align --algorithm dpo --model google/flan-t5-base \\",
      "      --adapter sft/adapter --reference adapter:sft/adapter \\",
      "      --pairs pairs.jsonl --output run",
      "  precis align ... --output run --resume"
    })
public final class AlignCommand extends BaseCommand {
  private static final List<String> POLICY_ALGORITHMS = List.of("ppo", "grpo", "rloo");
  private static final String POLICY = "%nppo, grpo, rloo:%n";
  private static final String REWARD = "%nReward of ppo, grpo, rloo:%n";
  private static final String PREFERENCE =
      "%ndpo, cdpo, robust, ipo, hinge, orpo, simpo, kto (default --batch-size 8,%n"
          + "--max-grad-norm 1, --checkpoint-every 0):%n";

  @Option(
      names = "--algorithm",
      paramLabel = "A",
      defaultValue = "ppo",
      description = {
        "ppo, grpo or rloo; dpo, cdpo, robust, ipo, hinge, orpo, simpo or kto (default:"
            + " ${DEFAULT-VALUE})."
      })
  private String algorithm;

  @Mixin private ModelOption model = new ModelOption();

  @Option(
      names = "--reference",
      paramLabel = "R",
      description =
          "What the policy is regularized towards: base, adapter:DIR or checkpoint:DIR (default:"
              + " base; with --adapter it must be given).")
  private String reference;

  @ArgGroup(validate = false)
  private FileOptions.Dialogues dialogues = new FileOptions.Dialogues();

  @Mixin private FileOptions.Pairs preferences = new FileOptions.Pairs();
  @Mixin private PairColumnOptions reading = new PairColumnOptions();
  @Mixin private RunOptions run = new RunOptions();
  @Mixin private MethodOptions method = new MethodOptions();
  @Mixin private PromptOptions prompts = new PromptOptions();
  @Mixin private TargetOptions targets = new TargetOptions();
  @Mixin private StepOptions steps = new StepOptions();

  @ArgGroup(validate = false, heading = REWARD, order = 5)
  private RewardOptions reward = new RewardOptions();

  @ArgGroup(validate = false, heading = POLICY, order = 10)
  private PolicyOptions policy = new PolicyOptions();

  @ArgGroup(validate = false, heading = PREFERENCE, order = 20)
  private PreferenceOptions preference = new PreferenceOptions();

  @Override
  protected Map<String, String> defaults() {
    return Map.of(
        "--max-source-length", "1024",
        "--lora-dropout", "0",
        "--dropout", "0",
        "--batch-size", "16",
        "--max-grad-norm", "0",
        "--checkpoint-every", "10",
        "--max-new-tokens", "64",
        "--top-k", "0");
  }

  @Override
  public Integer call() {
    boolean toReward = POLICY_ALGORITHMS.contains(algorithm);
    if (!toReward && !PreferenceOptions.ALGORITHMS.contains(algorithm)) {
      throw usage(
          "--algorithm must be one of %s, %s, not '%s'"
              .formatted(
                  String.join(", ", POLICY_ALGORITHMS),
                  String.join(", ", PreferenceOptions.ALGORITHMS),
                  algorithm));
    }
    if (toReward) {
      refuse(
          List.of(PREFERENCE),
          List.of(
              "--pairs",
              "--max-target-length",
              "--truncate",
              "--chosen-column",
              "--rejected-column"));
    } else {
      refuse(List.of(POLICY, REWARD), List.of("--data"));
    }
    method.check(this);
    steps.check(this);
    prompts.check(this);
    boolean compares = toReward || PreferenceOptions.needsReference(algorithm);
    String adapter = method.initAdapter();
    if (!compares && reference != null) {
      throw usage("--reference does not apply to " + algorithm);
    }
    if (adapter != null && reference == null && compares) {
      throw usage(
          "--reference is missing: base regularizes towards the model without the adapter, adapter:"
              + adapter
              + " towards the policy's start");
    }
    PolicySetup setup =
        new PolicySetup(
            this,
            algorithm,
            model.name(),
            !compares ? "none" : reference == null ? "base" : reference,
            run,
            method,
            prompts,
            steps.dropout());
    return toReward
        ? new PolicyAlignment(setup, dialogues.data(), reading, reward, policy, steps).run()
        : new PreferenceAlignment(setup, preferences.pairs(), reading, targets, preference, steps)
            .run();
  }

  /** Refuses options that belong to other algorithms: by the sections of the help, and by name. */
  private void refuse(List<String> headings, List<String> names) {
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptionsSet()) {
      String heading = option.group() == null ? null : option.group().heading();
      if (heading != null && headings.contains(heading) || names.contains(option.longestName())) {
        throw usage(option.longestName() + " does not apply to " + algorithm);
      }
    }
  }
}
