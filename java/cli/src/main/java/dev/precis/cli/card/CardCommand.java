package dev.precis.cli.card;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.report.RunTitle;
import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "card",
    header = "Writes a model card: lineage with hashes, results, people, limits.",
    description = {
      "Follows the run that made a model back to where it started: a run comes after another if it"
          + " read weights of the SHA-256 that the other left. The card has what each run read,"
          + " with hashes, its results with intervals, its cost, its divergence from the reference"
          + " and its options; scores of evaluations; what people chose and approved, by number and"
          + " not by name; and what nobody has measured.",
      "It is Markdown with the head that model hubs read. Paths are cut to their last name."
    },
    footer = {
      "",
      "Examples:",
      "  precis card runs/ppo --evaluation results --output runs/ppo/adapter/README.md",
      "  precis card runs/ppo runs/sft --review votes --queue queue.jsonl"
    })
public final class CardCommand extends BaseCommand {
  /** The folder in a run's folder where its safety report is looked for. */
  private static final String SAFETY = "safety";

  @Parameters(
      arity = "1..*",
      paramLabel = "RUN",
      description =
          "The folder of the run that made the model; behind it, earlier runs whose folders have"
              + " moved since.")
  private List<Path> folders = List.of();

  @Option(
      names = "--evaluation",
      paramLabel = "FOLDER",
      description =
          "What precis evaluate --output kept, with --safety or without; the last candidate is the"
              + " model. Can be repeated. A safety report in RUN/safety is taken in by itself.")
  private List<Path> evaluations = List.of();

  @Option(
      names = "--review",
      paramLabel = "FOLDER",
      description = "A project of blind comparisons that precis review start made; repeatable.")
  private List<Path> reviews = List.of();

  @Option(
      names = "--queue",
      paramLabel = "FILE",
      description = "A queue that precis generate --hold made; repeatable.")
  private List<Path> queues = List.of();

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "The name of the model (default: that of the run's folder).")
  private String name;

  @Option(
      names = "--license",
      paramLabel = "ID",
      description = "SPDX identifier of the model's licence, such as apache-2.0.")
  private String license;

  @Option(
      names = "--language",
      paramLabel = "CODE",
      description = "ISO 639 code of its language, such as en.")
  private String language;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = "A new file for the card, such as README.md (default: standard output).")
  private Path output;

  @Override
  public Integer call() {
    check("--license", license, "[A-Za-z0-9][A-Za-z0-9.+-]*", "an SPDX identifier");
    check("--language", language, "[a-z]{2,3}", "an ISO 639 code");
    if (output != null && Files.exists(output)) {
      throw new InvalidInputException(output + " exists: name a new file");
    }
    List<TrainingRun> runs = folders.stream().map(TrainingRun::read).toList();
    Lineage lineage = Lineage.of(runs.getFirst(), runs.subList(1, runs.size()));
    CardMetadata metadata =
        new CardMetadata(
            name == null ? nameOf(folders.getFirst()) : name, lineage, license, language);
    List<EvaluationScores> scores =
        evaluations.stream()
            .filter(each -> SafetyScores.file(each) == null)
            .map(EvaluationScores::read)
            .toList();
    ModelCard card =
        new ModelCard(
            metadata,
            scores,
            safety(),
            reviews.stream().map(PeopleSummary::comparisons).toList(),
            queues.stream().map(PeopleSummary::gate).toList());
    String text = metadata.yaml(scores) + card.markdown();
    if (output == null) {
      terminal().print(text);
    } else {
      AtomicFile.writeText(output, text);
      note("Done: " + output);
    }
    return DONE;
  }

  /** Reads the safety reports that were named, and the one in the run's own folder. */
  private List<SafetyScores> safety() {
    Set<Path> files = new LinkedHashSet<>();
    Stream.concat(evaluations.stream(), Stream.of(folders.getFirst().resolve(SAFETY)))
        .map(SafetyScores::file)
        .filter(Objects::nonNull)
        .forEach(file -> files.add(file.toAbsolutePath().normalize()));
    return files.stream().map(SafetyScores::read).toList();
  }

  private static String nameOf(Path run) {
    return RunTitle.shortName(run.toAbsolutePath().normalize().toString());
  }

  private void check(String option, String value, String form, String what) {
    if (value != null && !value.matches(form)) {
      throw usage("%s must be %s, not '%s'".formatted(option, what, value));
    }
  }
}
