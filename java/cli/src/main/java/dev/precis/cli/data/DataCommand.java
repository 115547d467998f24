package dev.precis.cli.data;

import dev.precis.cli.common.BaseCommand;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import dev.precis.tools.DialogueTokenizers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "data",
    header = "Writes synthetic dialogues with summaries (CC0).",
    description = {
      "Writes the built-in data set: short English dialogues in 27 situations, composed of the"
          + " project's own sentences (CC0). Names, numbers, times and places are sampled for each"
          + " dialogue, so that only a model that reads it can summarize it. The same --seed gives"
          + " the same files on every machine."
    },
    footer = {
      "",
      "Files:",
      "  train.jsonl, validation.jsonl, test.jsonl   80, 10 and 10 %% of the dialogues:",
      "      id, dialogue, summary1 to summary3, topic, rude; toxic dialogues also",
      "      have polite_summary and rude_summary",
      "  train-pairs.jsonl, ...   the toxic ones as preferences: id, prompt, chosen",
      "      (the polite summary), rejected (the toxic one)",
      "  train-labels.jsonl, ...  summaries with a label, nothate, or hate where an",
      "      insult is repeated: id, text, label",
      "  tokenizer/   with --tokenizer: tokenizer.json and tokenizer_config.json;",
      "      with --byte-level: vocab.json and merges.txt",
      "",
      "Examples:",
      "  precis data --output dialogues",
      "  precis data --output dialogues --count 20000 --tokenizer 2048"
    })
public final class DataCommand extends BaseCommand {
  @Option(
      names = "--output",
      required = true,
      paramLabel = "DIR",
      description = "The folder to write to; it is created if needed.")
  private Path output;

  @Option(
      names = "--count",
      paramLabel = "N",
      defaultValue = "" + BuiltInDialogues.DEFAULT_COUNT,
      description = "Number of dialogues (default: ${DEFAULT-VALUE}).")
  private int count;

  @Option(
      names = "--tokenizer",
      paramLabel = "N",
      description = "Also train a T5 tokenizer of at most N tokens.")
  private Integer tokenizer;

  @Option(
      names = "--byte-level",
      paramLabel = "N",
      description = "Also train a RoBERTa tokenizer of at most N tokens on the summaries.")
  private Integer byteLevel;

  @Override
  public Integer call() {
    if (tokenizer != null && byteLevel != null) {
      throw exclusive("--tokenizer", "--byte-level");
    }
    BuiltInDialogues dialogues = BuiltInDialogues.generate(common().seed(), count);
    Path folder = folder(output);
    DialogueFiles.write(dialogues, folder);
    if (tokenizer != null) {
      DialogueTokenizers.unigram(dialogues, tokenizer).write(folder(folder.resolve("tokenizer")));
    }
    if (byteLevel != null) {
      DialogueTokenizers.byteLevel(dialogues, byteLevel).write(folder(folder.resolve("tokenizer")));
    }
    terminal()
        .println(
            "%d training, %d validation and %d test dialogues in %s"
                .formatted(
                    dialogues.train().size(),
                    dialogues.validation().size(),
                    dialogues.test().size(),
                    output));
    return DONE;
  }

  private static Path folder(Path path) {
    if (Files.exists(path) && !Files.isDirectory(path)) {
      throw new InvalidInputException(path + " is a file; name a folder");
    }
    try {
      return Files.createDirectories(path);
    } catch (IOException e) {
      throw new InvalidInputException("Cannot create the folder " + path + ": " + Reason.of(e), e);
    }
  }
}
