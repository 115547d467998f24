package dev.precis.cli.compare;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.FileOptions;
import dev.precis.io.AtomicFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "compare",
    header = "Compares runs: curves, results, costs and options.",
    description = {
      "Reads the folders that train, align and reward write, also of runs that are going on, and"
          + " prints a table: the results of each run, what they cost, and the options that"
          + " differ. --output writes a page with the curves of all runs over each other.",
      "Results on different data cannot be compared; a line says so. 'precis evaluate' measures"
          + " several models on the same dialogues."
    },
    footer = {
      "",
      "Examples:",
      "  precis compare runs/lora runs/full",
      "  precis compare runs/* --output compare.html",
      "  precis compare runs/a runs/b --json | jq .options"
    })
public final class CompareCommand extends BaseCommand {
  @Parameters(
      arity = "1..*",
      paramLabel = "RUN",
      description = "The folders of two or more runs, which have config.json and metrics.jsonl.")
  private List<Path> folders = List.of();

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = "Also write an HTML page with curves, such as compare.html.")
  private Path output;

  @Mixin private FileOptions.JsonOutput json = new FileOptions.JsonOutput();

  @Override
  public Integer call() {
    if (folders.size() < 2) {
      throw usage("One run alone has nothing to be compared with: name two or more folders");
    }
    if (output != null && Files.isDirectory(output)) {
      throw usage("--output names a file, but " + output + " is a folder");
    }
    List<String> names = names();
    List<ComparedRun> runs = new ArrayList<>();
    for (int i = 0; i < folders.size(); i++) {
      runs.add(ComparedRun.read(names.get(i), folders.get(i)));
    }
    RunComparison comparison = new RunComparison(runs);
    if (output != null) {
      AtomicFile.writeText(output, new RunComparisonPage(comparison).html());
      note("Done: " + output);
    }
    terminal()
        .print(
            json.json()
                ? new RunComparisonJson(comparison).toString()
                : new RunTable(comparison).toString());
    return DONE;
  }

  /** Returns the last names of the folders where these are different; otherwise their paths. */
  private List<String> names() {
    Set<Path> different = new HashSet<>();
    for (Path folder : folders) {
      if (!different.add(folder.toAbsolutePath().normalize())) {
        throw usage(folder + " is given twice");
      }
    }
    List<String> last =
        folders.stream()
            .map(folder -> folder.toAbsolutePath().normalize().getFileName())
            .map(String::valueOf)
            .toList();
    return new HashSet<>(last).size() == last.size()
        ? last
        : folders.stream().map(Path::toString).toList();
  }
}
