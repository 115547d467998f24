package dev.precis.cli.align;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.AlignMethodOptions;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.ModelOption;
import dev.precis.cli.options.PairColumnOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RunOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.options.TargetOptions;
import java.util.List;
import java.util.Map;
import java.util.Set;
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
      "With --rounds they sample the pairs themselves: iterative DPO (Xu et al. 2023). Round K"
          + " samples with the policy of round K-1, keeps the best and the worst sample of each"
          + " dialogue by the reward, and trains on these pairs. The policy at the start of a round"
          + " is its reference. RUN then holds config.json, metrics.jsonl (one line per round),"
          + " report.html, round-K/pairs.jsonl, round-K/run (a run folder) and the last adapter.",
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
      "  precis align --algorithm dpo --rounds 3 --samples 8 --reward facts \\",
      "      --model google/flan-t5-base --data dialogues.jsonl --output run",
      "  precis align ... --output run --resume"
    })
public final class AlignCommand extends BaseCommand {
  private static final List<String> POLICY_ALGORITHMS = List.of("ppo", "grpo", "rloo");
  private static final String POLICY = "%nppo, grpo, rloo:%n";
  private static final String REWARD = "%nReward of ppo, grpo, rloo, and of --rounds:%n";
  private static final String ROUNDS = "%nRounds of dpo and its family, and of kto:%n";

  /** Options of ppo, grpo and rloo that rounds sample by too. */
  private static final Set<String> SAMPLING =
      Set.of("--max-new-tokens", "--min-new-tokens", "--temperature", "--top-k", "--top-p");

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
  @Mixin private AlignMethodOptions method = new AlignMethodOptions();
  @Mixin private PromptOptions prompts = new PromptOptions();
  @Mixin private TargetOptions targets = new TargetOptions();
  @Mixin private StepOptions steps = new StepOptions();

  @ArgGroup(validate = false, heading = REWARD, order = 5)
  private RewardOptions reward = new RewardOptions();

  @ArgGroup(validate = false, heading = POLICY, order = 10)
  private PolicyOptions policy = new PolicyOptions();

  @ArgGroup(validate = false, heading = PREFERENCE, order = 20)
  private PreferenceOptions preference = new PreferenceOptions();

  @ArgGroup(validate = false, heading = ROUNDS, order = 30)
  private RoundOptions rounds = new RoundOptions();

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
    boolean inRounds = rounds.given();
    if (given("--samples") && !inRounds) {
      throw usage("--samples needs --rounds");
    }
    if (toReward) {
      refuse(
          algorithm,
          List.of(PREFERENCE, ROUNDS),
          List.of(
              "--pairs",
              "--max-target-length",
              "--truncate",
              "--chosen-column",
              "--rejected-column"));
    } else if (inRounds) {
      refuse(
          algorithm + " with --rounds",
          List.of(POLICY),
          List.of(
              "--pairs",
              "--feedback",
              "--eval-data",
              "--reference",
              "--chosen-column",
              "--rejected-column",
              "--probe-good",
              "--probe-bad",
              "--no-preflight"));
    } else {
      refuse(algorithm, List.of(POLICY, REWARD), List.of("--data"));
    }
    method.check(this);
    steps.check(this);
    prompts.check(this);
    boolean compares = toReward || PreferenceOptions.needsReference(algorithm);
    String adapter = method.initAdapter();
    if (!compares && reference != null) {
      throw usage("--reference does not apply to " + algorithm);
    }
    if (adapter != null && reference == null && compares && !inRounds) {
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
            adapter,
            !compares
                ? "none"
                : reference != null ? reference : adapter != null ? "adapter:" + adapter : "base",
            run.target(),
            method,
            prompts,
            steps.dropout());
    if (inRounds) {
      return new PreferenceRounds(
              setup, dialogues.data(), reading, targets, preference, steps, reward, policy, rounds)
          .run();
    }
    return toReward
        ? new PolicyAlignment(setup, dialogues.data(), reading, reward, policy, steps).run()
        : new PreferenceAlignment(setup, preferences.pairs(), reading, targets, preference, steps)
            .run();
  }

  /** Refuses options that belong to other algorithms: by the sections of the help, and by name. */
  private void refuse(String what, List<String> headings, List<String> names) {
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptionsSet()) {
      String name = option.longestName();
      String heading = option.group() == null ? null : option.group().heading();
      boolean shared = rounds.given() && SAMPLING.contains(name);
      if (heading != null && headings.contains(heading) && !shared || names.contains(name)) {
        throw usage(name + " does not apply to " + what);
      }
    }
  }
}
