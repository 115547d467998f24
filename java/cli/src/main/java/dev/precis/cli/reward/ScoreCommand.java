package dev.precis.cli.reward;

import dev.precis.Classifier;
import dev.precis.Classifier.Scores;
import dev.precis.alignment.reward.RewardModelFile;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.options.ConfigOption;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.RewardModelOption;
import dev.precis.data.DataFiles;
import dev.precis.data.JsonLinesWriter;
import dev.precis.data.TextReader;
import dev.precis.data.TextRow;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.core.JsonGenerator;

@Command(
    name = "score",
    header = "Scores texts with a classifier or a reward model.",
    description = {
      "Writes one JSON object per line, in the order of the input: {\"id\", \"label\", \"logits\","
          + " \"probabilities\"}. The label is the one with the largest logit; logits and"
          + " probabilities are listed by label name, as the model's config.json names them.",
      "Probabilities are a softmax over the labels, or a sigmoid of each where several labels can"
          + " be true at once or there is only one. Batched and unbatched scores are bitwise"
          + " identical."
    },
    footer = {
      "",
      "Input: "
          + DataFiles.TABLES
          + ", or a folder of them, with a field 'text' (or 'summary', as 'precis generate' writes,"
          + " or 'completion') and optionally 'id'; .txt with one text per line.",
      "A reward model whose template contains {prompt} also needs a field 'prompt'.",
      "Model: a RoBERTa folder with a classifier, its tokenizer in tokenizer.json or in vocab.json"
          + " and merges.txt. A text that is too long for the model is truncated at its end.",
      "",
      "Examples:",
      "  precis download facebook/roberta-hate-speech-dynabench-r4-target",
      "  precis score --reward-model facebook/roberta-hate-speech-dynabench-r4-target \\",
      "      --input summaries.jsonl --output scores.jsonl",
      "  precis score --reward-model run/model --input reviews.csv \\",
      "      --text-field review",
      "  precis generate ... | precis score --reward-model R --input - \\",
      "      | jq .probabilities.hate"
    })
public final class ScoreCommand extends BaseCommand {
  /** Texts that are sorted by length and written together. */
  private static final int CHUNK = 1024;

  @Mixin private RewardModelOption rewardModel = new RewardModelOption();
  @Mixin private FileOptions.Input input = new FileOptions.Input();
  @Mixin private FileOptions.Output output = new FileOptions.Output();
  @Mixin private FileOptions.TextField textField = new FileOptions.TextField();
  @Mixin private ReadOptions reading = new ReadOptions();
  @Mixin private ConfigOption config = new ConfigOption();

  @Override
  public Integer call() {
    Path folder = resolve(rewardModel.rewardModel());
    ReadOptions.Data data = reading.complete(this, input.input());
    List<TextRow> rows = TextReader.read(data.path(), textField.textField(), data.options());
    if (output.toStandardOutput()) {
      try (Classifier classifier = Classifier.load(folder, common().classifierOptions())) {
        score(
            classifier, rows, line -> terminal().println(new String(line, StandardCharsets.UTF_8)));
      }
      return DONE;
    }
    try (JsonLinesWriter file = JsonLinesWriter.to(output.output());
        Classifier classifier = Classifier.load(folder, common().classifierOptions())) {
      score(classifier, rows, file::writeJson);
      file.commit();
    }
    return DONE;
  }

  private void score(Classifier classifier, List<TextRow> rows, Consumer<byte[]> lines) {
    RewardTemplate template = RewardModelFile.template(classifier.folder(), null);
    rows.forEach(row -> checkPrompt(row, template));
    Map<String, Integer> found = new TreeMap<>();
    Progress progress = new Progress(terminal(), common().quiet());
    try (progress) {
      for (int at = 0; at < rows.size(); at += CHUNK) {
        int from = at;
        List<TextRow> chunk = rows.subList(from, Math.min(rows.size(), from + CHUNK));
        List<float[]> logits =
            classifier.logits(
                chunk.stream().map(row -> read(row, template, classifier)).toList(),
                done ->
                    progress.show(
                        "%,d/%,d texts  %s"
                            .formatted(
                                from + done,
                                rows.size(),
                                progress.left((double) (from + done) / rows.size()))));
        for (int i = 0; i < chunk.size(); i++) {
          Scores scores = classifier.scores(logits.get(i));
          found.merge(scores.label(), 1, Integer::sum);
          lines.accept(line(chunk.get(i).id(), scores));
        }
      }
    }
    if (terminal().errIsTerminal()) {
      note(
          "%,d texts in %s: %s."
              .formatted(
                  rows.size(),
                  Progress.clock(progress.seconds()),
                  String.join(
                      ", ",
                      found.entrySet().stream()
                          .map(each -> "%s %,d".formatted(each.getKey(), each.getValue()))
                          .toList())));
    }
  }

  private static void checkPrompt(TextRow row, RewardTemplate template) {
    if (template.readsPrompt() && row.prompt() == null) {
      throw new InvalidInputException(
          "%s has no \"prompt\", which this reward model reads beside the text: \"%s\""
              .formatted(row.where(), template.text().replace("\n", "\\n")));
    }
  }

  /** Fills the template that the model was trained with. */
  private static String read(TextRow row, RewardTemplate template, Classifier classifier) {
    return template.fill(row.prompt(), row.text(), classifier::tokens, classifier.maxTokens());
  }

  private static byte[] line(String id, Scores scores) {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("id", id);
          json.writeStringProperty("label", scores.label());
          write(json, "logits", scores.logits());
          write(json, "probabilities", scores.probabilities());
          json.writeEndObject();
        });
  }

  private static void write(JsonGenerator json, String key, Map<String, Double> numbers) {
    json.writeObjectPropertyStart(key);
    numbers.forEach(json::writeNumberProperty);
    json.writeEndObject();
  }
}
