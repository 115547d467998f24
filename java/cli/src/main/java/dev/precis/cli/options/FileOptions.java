package dev.precis.cli.options;

import dev.precis.data.DataFiles;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The files that commands read and write; each command takes those that it has a use for. */
public final class FileOptions {
  /** The description of {@code --data} with dialogues. */
  public static final String DIALOGUES =
      "Dialogues with summaries: "
          + DataFiles.TABLES
          + "; a folder of them, or of datasets.save_to_disk; or the ID of a hub data set that was"
          + " downloaded.";

  private FileOptions() {}

  /** {@code --input}. */
  public static final class Input {
    @Option(
        names = "--input",
        required = true,
        paramLabel = "FILE",
        description =
            "The input: a file, a folder of files, or the ID of a hub data set that was downloaded;"
                + " - reads JSON lines from standard input.")
    private Path input;

    public Path input() {
      return input;
    }
  }

  /** {@code --output} of JSON lines. */
  public static final class Output {
    @Option(
        names = "--output",
        paramLabel = "FILE",
        description = {
          "Write the JSON lines to this file (default: standard output).",
          "It appears when it is complete; until then they are in FILE.partial."
        })
    private Path output;

    /** The file; null where none was given. */
    public Path output() {
      return output;
    }

    public boolean toStandardOutput() {
      return output == null || output.toString().equals("-");
    }
  }

  /** {@code --data} with dialogues. */
  public static final class Dialogues {
    @Option(names = "--data", required = true, paramLabel = "FILE", description = DIALOGUES)
    private Path data;

    /** The file; null where none was given. */
    public Path data() {
      return data;
    }
  }

  /** {@code --pairs}. */
  public static final class Pairs {
    @Option(
        names = "--pairs",
        paramLabel = "FILE",
        description =
            "Preferences: objects with 'chosen', 'rejected' and 'prompt' (or 'dialogue'), or one of"
                + " TRL's formats. kto takes each side as one answer.")
    private Path pairs;

    /** The file; null where none was given. */
    public Path pairs() {
      return pairs;
    }
  }

  /** {@code --eval-data}. */
  public static final class EvalData {
    @Option(
        names = "--eval-data",
        paramLabel = "FILE",
        description = {
          "Data of the same kind to evaluate on; the weights with the best evaluation are kept."
              + " ppo, grpo and rloo compare baseline and aligned responses on it.",
          "Default: none; reward: --holdout of the data; ppo, grpo, rloo: the last tenth of --data,"
              + " at most 256, which are then not trained on."
        })
    private Path evalData;

    /** The file; null where none was given. */
    public Path evalData() {
      return evalData;
    }
  }

  /** {@code --text-field}. */
  public static final class TextField {
    @Option(
        names = "--text-field",
        paramLabel = "NAME",
        description = "The field with the text (default: text, else summary, else completion).")
    private String textField;

    /** The field; null where none was given. */
    public String textField() {
      return textField;
    }
  }

  /** {@code --json}. */
  public static final class JsonOutput {
    @Option(names = "--json", description = "Print one JSON object instead of a table.")
    private boolean json;

    public boolean json() {
      return json;
    }
  }
}
