package dev.precis.cli.align;

import dev.precis.alignment.policy.Preflight;
import dev.precis.alignment.reward.ClassifierReward.ProbeTexts;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.train.RunConfig;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import picocli.CommandLine.Option;

/** Declares the reward of an alignment: its terms, and the checks before the first update. */
final class RewardOptions extends RewardTermOptions {
  @Option(
      names = "--probe-good",
      paramLabel = "TEXT",
      description =
          "Preflight: a text that must get more reward from each classifier than that of"
              + " --probe-bad; both can be repeated (default: a friendly and a rude sentence).")
  private List<String> good = new ArrayList<>();

  @Option(
      names = "--probe-bad",
      paramLabel = "TEXT",
      description = "Preflight: the text that must get less reward.")
  private List<String> bad = new ArrayList<>();

  @Option(
      names = "--no-preflight",
      paramLabel = "CHECKS",
      split = ",",
      description = {
        "Leave out preflight checks, by name: kl_at_start, sampler_and_scorer, batch_and_singles,"
            + " reward_label (the order of the probes), special_tokens_in_text,"
            + " empty_responses.",
      })
  private List<String> checksOff = new ArrayList<>();

  /** Returns the texts that each classifier's order is checked with. */
  List<ProbeTexts> probes() {
    return good.isEmpty()
        ? List.of(ProbeTexts.STANDARD)
        : IntStream.range(0, good.size())
            .mapToObj(i -> new ProbeTexts(good.get(i), bad.get(i)))
            .toList();
  }

  /** Returns the names of the preflight checks that are left out. */
  Set<String> checksOff() {
    return new LinkedHashSet<>(checksOff);
  }

  @Override
  void check(BaseCommand command) {
    super.check(command);
    if (good.size() != bad.size()) {
      throw command.usage(
          "--probe-good and --probe-bad belong together: there are %d and %d of them"
              .formatted(good.size(), bad.size()));
    }
    if (!has(command, RewardSpec.Kind.CLASSIFIER) && !good.isEmpty()) {
      throw command.usage("--probe-good and --probe-bad need a classifier in the reward");
    }
    for (String name : checksOff) {
      if (!Preflight.NAMES.contains(name)) {
        throw command.usage(
            "--no-preflight has no check '%s'; the checks are %s"
                .formatted(name, String.join(", ", Preflight.NAMES)));
      }
    }
  }

  @Override
  void writeTo(RunConfig config, BaseCommand command, List<RewardTemplate> reads) {
    super.writeTo(config, command, reads);
    if (!good.isEmpty()) {
      config.put("probe_good", good).put("probe_bad", bad);
    }
    if (!checksOff.isEmpty()) {
      config.put("no_preflight", checksOff);
    }
  }
}
