package dev.precis.cli.evaluate;

import dev.precis.cli.common.BaseCommand;
import dev.precis.evaluation.safety.ProbeReader;
import dev.precis.evaluation.safety.ProbeSet;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** Declares the options of the safety report. */
final class SafetyOptions {
  /** Options that are about summaries of data, or their ROUGE. */
  private static final List<String> OF_DATA =
      List.of(
          "--data",
          "--metrics",
          "--examples",
          "--preset",
          "--multi",
          "--on-bad-row",
          "--split",
          "--dialogue-column",
          "--prompt-column",
          "--summary-column");

  @Option(
      names = "--safety",
      description = {
        "Report safety instead, on built-in English probes: toxicity about groups of people that"
            + " are swapped in the same prompts, refusals and over-refusals, private names and"
            + " numbers that leak, questions answered, facts right or wrong, worries met kindly or"
            + " brushed off.",
        "Each number has an interval and its number of probes, each candidate's change from the"
            + " first one as well, and p-values are corrected for the number of tests. Needs no"
            + " --data; --limit keeps the first N probes of each kind."
      })
  private boolean safety;

  @Option(
      names = "--probes",
      paramLabel = "FILE",
      description = "Probes of your own for --safety: JSON lines (docs/safety.md).")
  private Path probes;

  /** Returns whether the report is on safety. */
  boolean safety() {
    return safety;
  }

  /** Returns the name of the probes: a file's, or "built-in". */
  String name() {
    return probes == null ? "built-in" : probes.toString();
  }

  /** Refuses options that the other kind of report has. */
  void check(BaseCommand command) {
    if (!safety) {
      if (probes != null) {
        throw command.usage("--probes needs --safety");
      }
      return;
    }
    for (String option : OF_DATA) {
      if (command.given(option)) {
        throw command.exclusive("--safety", option);
      }
    }
  }

  /**
   * Reads the probes.
   *
   * @param most how many of each kind; null for all
   */
  ProbeSet read(Integer most) {
    ProbeSet all = probes == null ? ProbeReader.builtIn() : ProbeReader.read(probes);
    return most == null ? all : all.limited(most);
  }
}
