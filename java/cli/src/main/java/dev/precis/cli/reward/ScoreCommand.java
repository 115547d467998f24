package dev.precis.cli.reward;

import dev.precis.Classifier;
import dev.precis.Classifier.Scores;
import dev.precis.alignment.reward.RewardModelFile;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.options.ConfigOption;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.JudgeOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.RewardModelOption;
import dev.precis.data.DataFiles;
import dev.precis.data.JsonLinesWriter;
import dev.precis.data.TextReader;
import dev.precis.data.TextRow;
import dev.precis.evaluation.Consistency;
import dev.precis.evaluation.PairJudge;
import dev.precis.evaluation.TextPair;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;

@Command(
    name = "score",
    header = "Scores texts with a classifier, a reward model or a judge of pairs.",
    description = {
      "Writes one JSON object per line, in the order of the input: {\"id\", \"label\", \"logits\","
          + " \"probabilities\"}. The label is the one with the largest logit; logits and"
          + " probabilities are listed by label name, as the model's config.json names them.",
      "Probabilities are a softmax over the labels, or a sigmoid of each where several labels can"
          + " be true at once or there is only one. Batched and unbatched scores are bitwise"
          + " identical.",
      "With --judge, a text is compared with its source, the field 'prompt': {\"id\", \"score\","
          + " \"sentences\"} has the probability that the source supports it, and that of each"
          + " sentence with the chunk of the source that supports it best."
    },
    footer = {
      "",
      "Input: "
          + DataFiles.TABLES
          + ", or a folder of them, with a field 'text' (or 'summary', as 'precis generate' writes,"
          + " or 'completion') and optionally 'id'; .txt with one text per line.",
      "A reward model whose template contains {prompt} also needs a field 'prompt'.",
      "Model: a folder of a RoBERTa, XLM-RoBERTa, BERT, DistilBERT, ELECTRA or DeBERTa (v2, v3)"
          + " with a classifier, its tokenizer in tokenizer.json, in vocab.json and merges.txt, or"
          + " in vocab.txt. A text that is too long for the model is truncated at its end.",
      "",
      "Examples:",
      "  precis download facebook/roberta-hate-speech-dynabench-r4-target",
      "  precis score --reward-model facebook/roberta-hate-speech-dynabench-r4-target \\",
      "      --input summaries.jsonl --output scores.jsonl",
      "  precis score --reward-model run/model --input reviews.csv \\",
      "      --text-field review",
      "  precis generate ... | precis score --reward-model R --input - \\",
      "      | jq .probabilities.hate",
      "  precis score --judge lytang/MiniCheck-Flan-T5-Large --judge-prompt minicheck \\",
      "      --input summaries.jsonl --output consistency.jsonl",
      "  precis score --judge FacebookAI/roberta-large-mnli --judge-label ENTAILMENT \\",
      "      --input pairs.jsonl --text-field hypothesis --source-field premise"
    })
public final class ScoreCommand extends BaseCommand {
  /** Texts that are sorted by length and written together. */
  private static final int CHUNK = 1024;

  /** Texts that are judged and written together. */
  private static final int JUDGED_TOGETHER = 32;

  @ArgGroup(validate = false)
  private RewardModelOption rewardModel = new RewardModelOption();

  @Mixin private JudgeOptions judge = new JudgeOptions();

  @Option(
      names = "--source-field",
      paramLabel = "NAME",
      description = "With --judge: the field of the source (default: prompt, dialogue or source).")
  private String sourceField;

  @Mixin private FileOptions.Input input = new FileOptions.Input();
  @Mixin private FileOptions.Output output = new FileOptions.Output();
  @Mixin private FileOptions.TextField textField = new FileOptions.TextField();
  @Mixin private ReadOptions reading = new ReadOptions();
  @Mixin private ConfigOption config = new ConfigOption();

  @Override
  public Integer call() {
    checkOptions();
    ReadOptions.Data data = reading.complete(this, input.input());
    if (judge.judge() != null) {
      judge(TextReader.read(data.path(), textField.textField(), sources(), data.options()));
      return DONE;
    }
    Path folder = resolve(rewardModel.rewardModel());
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

  private void checkOptions() {
    if (rewardModel.rewardModel() == null && judge.judge() == null) {
      throw usage("--reward-model or --judge is missing");
    }
    if (rewardModel.rewardModel() != null && judge.judge() != null) {
      throw usage("--reward-model and --judge are mutually exclusive");
    }
    if (judge.judge() == null) {
      for (String option :
          List.of(
              "--judge-label",
              "--judge-prompt",
              "--judge-answers",
              "--judge-rule",
              "--judge-chunk",
              "--source-field")) {
        if (given(option)) {
          throw usage(option + " needs --judge");
        }
      }
    } else if (!List.of("consistency", "pair").contains(judge.rule())) {
      throw usage("--judge-rule must be consistency or pair, not '" + judge.rule() + "'");
    } else if (judge.chunkWords() < 1) {
      throw usage("--judge-chunk must be 1 or more, not " + judge.chunkWords());
    }
  }

  private List<String> sources() {
    return sourceField == null ? List.of("prompt", "dialogue", "source") : List.of(sourceField);
  }

  private void judge(List<TextRow> rows) {
    for (TextRow row : rows) {
      if (row.prompt() == null) {
        throw new InvalidInputException(
            "%s has no source to compare with: it needs a field \"%s\""
                .formatted(row.where(), String.join("\" or \"", sources())));
      }
    }
    try (PairJudge loaded =
        judge
            .settings()
            .load(resolve(judge.judge()), common().classifierOptions(), common().loadOptions())) {
      if (output.toStandardOutput()) {
        judge(loaded, rows, line -> terminal().println(new String(line, StandardCharsets.UTF_8)));
        return;
      }
      try (JsonLinesWriter file = JsonLinesWriter.to(output.output())) {
        judge(loaded, rows, file::writeJson);
        file.commit();
      }
    }
  }

  private void judge(PairJudge loaded, List<TextRow> rows, Consumer<byte[]> lines) {
    boolean whole = judge.rule().equals("pair");
    Consistency rule = new Consistency(loaded, judge.chunkWords());
    Progress progress = new Progress(terminal(), common().quiet());
    try (progress) {
      for (int at = 0; at < rows.size(); at += JUDGED_TOGETHER) {
        List<TextRow> some = rows.subList(at, Math.min(rows.size(), at + JUDGED_TOGETHER));
        List<TextPair> pairs =
            some.stream().map(row -> new TextPair(row.prompt(), row.text())).toList();
        if (whole) {
          double[] scores = loaded.judge(pairs);
          for (int i = 0; i < scores.length; i++) {
            lines.accept(line(some.get(i).id(), scores[i], List.of()));
          }
        } else {
          List<Consistency.Result> results = rule.score(pairs);
          for (int i = 0; i < results.size(); i++) {
            Consistency.Result result = results.get(i);
            lines.accept(line(some.get(i).id(), result.score(), result.sentences()));
          }
        }
        int done = at + some.size();
        progress.show(
            "%,d/%,d texts  %s"
                .formatted(done, rows.size(), progress.left((double) done / rows.size())));
      }
    }
  }

  private static byte[] line(String id, double score, List<Consistency.Sentence> sentences) {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("id", id);
          json.writeNumberProperty("score", score);
          if (!sentences.isEmpty()) {
            json.writeArrayPropertyStart("sentences");
            for (Consistency.Sentence sentence : sentences) {
              json.writeStartObject();
              json.writeStringProperty("text", sentence.text());
              json.writeNumberProperty("score", sentence.score());
              json.writeNumberProperty("chunk", sentence.chunk());
              json.writeEndObject();
            }
            json.writeEndArray();
          }
          json.writeEndObject();
        });
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
