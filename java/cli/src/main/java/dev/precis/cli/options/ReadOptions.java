package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.DataResolver;
import dev.precis.data.BadRows;
import dev.precis.data.Columns;
import dev.precis.data.DataListener;
import dev.precis.data.DataOptions;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Option;

/** Declares how data is read: the policy for bad rows, and the split of a data set. */
public class ReadOptions {
  @Option(
      names = "--on-bad-row",
      paramLabel = "POLICY",
      description = {
        "fail: the first row that cannot be used is an error; skip: such rows are skipped, counted,"
            + " and the first three are named.",
        "Default: fail; in data to learn from, rows that are empty or have no answer are skipped."
      })
  private String onBadRow;

  @Option(
      names = "--split",
      paramLabel = "NAME",
      description =
          "The split of a folder or hub data set, such as train (default: the obvious one, which"
              + " is named).")
  private String split;

  private final Map<Path, Map<String, Object>> findings = new LinkedHashMap<>();

  /**
   * Data that was found.
   *
   * @param given the file, folder or hub ID that the command line names
   * @param path the file or folder
   * @param options how it is read
   */
  public record Data(Path given, Path path, DataOptions options) {}

  /** Returns data to learn from. */
  public Data training(BaseCommand command, Path given) {
    return find(command, given, BadRows.SKIP_UNUSABLE, split, DataOptions.TRAINING_SPLITS);
  }

  /** Returns data to evaluate on during training; null from null. */
  public Data validation(BaseCommand command, Path given) {
    // --split names a split of what is learned from.
    return given == null
        ? null
        : find(command, given, BadRows.SKIP_UNUSABLE, null, DataOptions.VALIDATION_SPLITS);
  }

  /** Returns data whose rows all count: what is generated from, scored or evaluated. */
  public Data complete(BaseCommand command, Path given) {
    return find(command, given, BadRows.FAIL, split, DataOptions.TEST_SPLITS);
  }

  private Data find(
      BaseCommand command, Path given, BadRows policy, String split, List<String> preferred) {
    BadRows chosen =
        onBadRow == null
            ? policy
            : switch (onBadRow) {
              case "fail" -> BadRows.FAIL;
              case "skip" -> BadRows.SKIP;
              default ->
                  throw command.usage("--on-bad-row must be fail or skip, not '" + onBadRow + "'");
            };
    Path path = DataResolver.resolve(given, command.terminal());
    return new Data(
        given,
        path,
        new DataOptions(chosen, columns(command), split, preferred, new Listener(command, given)));
  }

  /** Returns the names of columns. */
  protected Columns columns(BaseCommand command) {
    return Columns.WELL_KNOWN;
  }

  /** Returns the policy that was given; null where none was. */
  public String onBadRow() {
    return onBadRow;
  }

  /**
   * Returns what reading found out that decides what a run learns from: the number of rows that
   * were skipped, and columns other than the standard ones. Empty where there is nothing of the
   * kind.
   */
  public Map<String, Object> findings(Path given) {
    return findings.getOrDefault(given, Map.of());
  }

  private final class Listener implements DataListener {
    private final BaseCommand command;
    private final Path given;

    Listener(BaseCommand command, Path given) {
      this.command = command;
      this.given = given;
    }

    @Override
    public void note(String sentence) {
      command.note(sentence);
    }

    @Override
    public void finished(Path data, long rows, long skipped, Map<String, String> columns) {
      Map<String, Object> found = new LinkedHashMap<>();
      if (skipped > 0) {
        found.put("skipped_rows", skipped);
      }
      if (!columns.isEmpty()) {
        found.put("columns", columns);
      }
      findings.put(given, found);
    }
  }
}
