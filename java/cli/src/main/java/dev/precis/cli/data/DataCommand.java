package dev.precis.cli.data;

import dev.precis.cli.common.BaseCommand;
import dev.precis.data.JsonLinesWriter;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import dev.precis.text.PromptTemplate;
import dev.precis.tools.DialogueTokenizers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "data",
    header = "Makes dialogues with summaries, free of rights.",
    description = {
      "Writes the built-in data set: short English dialogues in 27 situations, made from the"
          + " project's own sentences (CC0). Names, numbers, times and places are drawn for each"
          + " dialogue, so that only a model that reads it can summarise it. The same --seed gives"
          + " the same files on every machine."
    },
    footer = {
      "",
      "What is written:",
      "  train.jsonl, validation.jsonl, test.jsonl   eight, one and one of ten dialogues:",
      "                    id, dialogue, summary1 to summary3, topic, rude, and of rude dialogues",
      "                    polite_summary and rude_summary",
      "  train-pairs.jsonl, ...   the rude ones as preferences: id, prompt, chosen (the polite",
      "                    summary), rejected (the rude one)",
      "  train-labels.jsonl, ...  summaries with a label, nothate, or hate where an insult is"
          + " repeated: id, text, label",
      "  tokenizer/        with --tokenizer: tokenizer.json and tokenizer_config.json; with",
      "                    --byte-level: vocab.json and merges.txt",
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
      description = "The folder to write to; it is made where it does not exist.")
  private Path output;

  @Option(
      names = "--count",
      paramLabel = "N",
      defaultValue = "" + BuiltInDialogues.DEFAULT_COUNT,
      description = "Dialogues in all (default: ${DEFAULT-VALUE}).")
  private int count;

  @Option(
      names = "--tokenizer",
      paramLabel = "N",
      description = "Also train a T5 tokenizer of at most N tokens on them.")
  private Integer tokenizer;

  @Option(
      names = "--byte-level",
      paramLabel = "N",
      description = "Also train a RoBERTa tokenizer of at most N tokens on the summaries.")
  private Integer byteLevel;

  @Override
  public Integer call() {
    if (tokenizer != null && byteLevel != null) {
      throw usage("Only one of --tokenizer and --byte-level goes");
    }
    BuiltInDialogues dialogues = BuiltInDialogues.generate(common().seed(), count);
    Path folder = folder(output);
    write("train", dialogues.train());
    write("validation", dialogues.validation());
    write("test", dialogues.test());
    if (tokenizer != null) {
      DialogueTokenizers.unigram(dialogues, tokenizer).write(folder(folder.resolve("tokenizer")));
    }
    if (byteLevel != null) {
      DialogueTokenizers.byteLevel(dialogues, byteLevel).write(folder(folder.resolve("tokenizer")));
    }
    terminal()
        .println(
            "%d dialogues to train with, %d for validation, %d to test with, in %s"
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
      throw new InvalidInputException("Cannot make the folder " + path + ": " + Reason.of(e), e);
    }
  }

  private void write(String split, List<BuiltInDialogue> dialogues) {
    write(split + ".jsonl", dialogues.stream().map(BuiltInDialogue::toJson));
    write(
        split + "-pairs.jsonl",
        dialogues.stream()
            .filter(BuiltInDialogue::rude)
            .map(dialogue -> dialogue.toPair(PromptTemplate.DEFAULT)));
    write(
        split + "-labels.jsonl",
        dialogues.stream().flatMap(dialogue -> dialogue.toLabelled().stream()));
  }

  private void write(String name, Stream<Map<String, Object>> objects) {
    try (JsonLinesWriter file = JsonLinesWriter.to(output.resolve(name))) {
      objects.forEach(file::write);
      file.commit();
    }
  }
}
