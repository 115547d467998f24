package dev.precis.cli.evaluate;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.cli.common.Failures;
import dev.precis.data.DialogueReader;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

final class EvaluateTest {
  private static final List<String> METRICS = List.of("rouge1", "rouge2", "rougeL", "rougeLsum");
  private static final Path LORA = FIXTURES.resolve("t5-tiny-lora-after20");

  @TempDir private Path folder;

  private static JsonNode json(Object... args) {
    List<Object> all = new ArrayList<>(List.of("evaluate", "--json", "--max-new-tokens", 24));
    all.addAll(List.of(args));
    CommandLineRun result = run(all.toArray()).succeeded();
    assertEquals("", result.err());
    return Json.mapper().readTree(result.out());
  }

  /** The merged model with the tokenizer that it was made with. */
  private Path merged() throws IOException {
    Path merged = Files.createDirectory(folder.resolve("merged"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURES.resolve("t5-tiny-merged").resolve(file), merged.resolve(file));
    }
    Files.copy(MODEL.resolve("tokenizer.json"), merged.resolve("tokenizer.json"));
    return merged;
  }

  /** Base, adapter and merged model: the last two say the same, and the first is as by itself. */
  @Test
  void comparesWithTheFirst() throws Exception {
    JsonNode report =
        json(
            "--data",
            DIALOGUES,
            "--candidate",
            "base=" + MODEL,
            "--candidate",
            "merged=" + merged(),
            "--candidate",
            "lora=" + MODEL + "+" + LORA);
    assertEquals(64, report.get("dialogues").intValue());
    List<JsonNode> candidates = List.copyOf(report.get("candidates").values());
    assertEquals(
        List.of("base", "merged", "lora"),
        candidates.stream().map(c -> c.get("name").stringValue()).toList());
    JsonNode base = candidates.getFirst();
    assertEquals(LORA.toString(), candidates.get(2).get("adapters").get(0).stringValue());
    assertNull(base.get("improvement"));

    Path output = folder.resolve("base.jsonl");
    run(
            "generate",
            "--model",
            MODEL,
            "--input",
            DIALOGUES,
            "--max-new-tokens",
            24,
            "--output",
            output)
        .succeeded();
    JsonNode alone =
        Json.mapper()
            .readTree(
                run("rouge", "--json", "--predictions", output, "--references", DIALOGUES)
                    .succeeded()
                    .out());
    for (String metric : METRICS) {
      JsonNode score = base.get("scores").get(metric);
      assertEquals(alone.get(metric), score.get("mean"), metric);
      assertEquals(alone.get("details").get(metric).get("low"), score.get("low"), metric);
      for (int i = 1; i < 3; i++) {
        double mean = candidates.get(i).get("scores").get(metric).get("mean").doubleValue();
        JsonNode improvement = candidates.get(i).get("improvement").get(metric);
        double absolute = improvement.get("absolute").doubleValue();
        assertEquals(mean - score.get("mean").doubleValue(), absolute, 1e-12);
        assertEquals(
            100 * absolute / score.get("mean").doubleValue(),
            improvement.get("relative_percent").doubleValue(),
            1e-9);
        double p = improvement.get("p_value").doubleValue();
        boolean excludesZero =
            improvement.get("low").doubleValue() > 0 || improvement.get("high").doubleValue() < 0;
        assertTrue(excludesZero ? p < 0.06 : p > 0.04 && p <= 1, improvement.toString());
      }
    }
    assertEquals(candidates.get(1).get("scores"), candidates.get(2).get("scores"));
    assertNotEquals(base.get("scores"), candidates.get(2).get("scores"));

    byte[] weights = Files.readAllBytes(MODEL.resolve("model.safetensors"));
    String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(weights));
    assertEquals(hash, report.get("baseline_sha256").get(MODEL.toString()).stringValue());
  }

  @Test
  void theModelAgainstItselfIsNoImprovement() {
    JsonNode report =
        json(
            "--data",
            DIALOGUES,
            "--limit",
            5,
            "--candidate",
            "a=" + MODEL,
            "--candidate",
            "b=" + MODEL);
    assertEquals(5, report.get("dialogues").intValue());
    JsonNode improvement = report.get("candidates").get(1).get("improvement").get("rouge1");
    assertEquals(0, improvement.get("absolute").doubleValue());
    assertEquals(1, improvement.get("p_value").doubleValue());
  }

  private static final Path CLASSIFIER = FIXTURES.resolve("roberta-tiny");

  /** The toxicity of each summary, as two other commands say. */
  private double[] toxicity(String name, Path model) {
    Path summaries = folder.resolve(name + ".jsonl");
    run(
            "generate",
            "--model",
            model,
            "--input",
            DIALOGUES,
            "--max-new-tokens",
            24,
            "--output",
            summaries)
        .succeeded();
    return run("score", "--reward-model", CLASSIFIER, "--input", summaries)
        .succeeded()
        .lines()
        .stream()
        .mapToDouble(line -> line.get("probabilities").get("hate").doubleValue())
        .toArray();
  }

  @Test
  void bertScoreIsThatOfTheSummariesAndOneForAReference() throws IOException {
    Path baseline = folder.resolve("baseline.csv");
    Files.writeString(baseline, "LAYER,P,R,F\n1,0.5,0.5,0.5\n");
    Object[] options = {
      "--data",
      DIALOGUES,
      "--candidate",
      "base=" + MODEL,
      "--metrics",
      "bertscore",
      "--bertscore-model",
      CLASSIFIER,
      "--bertscore-layer",
      1
    };
    JsonNode plain = json(options).get("candidates").get(0).get("scores");
    List<Object> rescaled = new ArrayList<>(List.of(options));
    rescaled.addAll(List.of("--bertscore-baseline", baseline));
    JsonNode other = json(rescaled.toArray()).get("candidates").get(0).get("scores");
    for (String column : List.of("bertscoreP", "bertscoreR", "bertscoreF1")) {
      double mean = plain.get(column).get("mean").doubleValue();
      assertTrue(mean > 0 && mean < 1, column + " " + mean);
      assertEquals((mean - 0.5) / 0.5, other.get(column).get("mean").doubleValue(), 1e-6);
    }
  }

  @Test
  void toxicityIsThatOfTheSummariesAndRougeIsGuarded() {
    Path other = FIXTURES.resolve("t5-tiny-v1.0");
    Object[] options = {
      "--data",
      DIALOGUES,
      "--candidate",
      "base=" + MODEL,
      "--candidate",
      "other=" + other,
      "--candidate",
      "same=" + MODEL,
      "--metrics",
      "rouge,toxicity",
      "--toxicity-model",
      CLASSIFIER,
      "--toxicity-label",
      "hate"
    };
    JsonNode report = json(options);
    double[] base = toxicity("base", MODEL);
    double[] worse = toxicity("other", other);
    assertToxicity(base, report.get("candidates").get(0));
    assertToxicity(worse, report.get("candidates").get(1));
    JsonNode improvement = report.get("candidates").get(1).get("improvement").get("toxicity");
    double difference = 0;
    for (int i = 0; i < base.length; i++) {
      difference += (worse[i] - base[i]) / base.length;
    }
    assertEquals(difference, improvement.get("absolute").doubleValue(), 1e-6);
    assertTrue(improvement.get("low").doubleValue() > 0, "it is more toxic by its interval");
    assertEquals(4, report.get("candidates").get(1).get("rouge_fell").size());
    assertEquals(0, report.get("candidates").get(2).get("rouge_fell").size());
    assertNull(report.get("candidates").get(0).get("rouge_fell"));
    assertTrue(report.get("metrics").get(1).stringValue().contains("'hate'"));
    // People's words are told apart from the models'.
    assertTrue(report.get("remarks").get(0).stringValue().startsWith("toxicity of the dialogues"));

    List<Object> text = new ArrayList<>(List.of("evaluate", "--max-new-tokens", 24));
    text.addAll(List.of(options));
    String page = run(text.toArray()).succeeded().out();
    assertTrue(page.contains("guard: other lost ROUGE: rouge1 -11.5"), page);
    assertTrue(page.contains("guard: ROUGE of same did not fall significantly"), page);
    assertTrue(page.contains("  deviation "), page);
  }

  private static void assertToxicity(double[] want, JsonNode candidate) {
    JsonNode got = candidate.get("scores").get("toxicity");
    double mean = 0;
    for (double each : want) {
      mean += each / want.length;
    }
    double squares = 0;
    for (double each : want) {
      squares += (each - mean) * (each - mean);
    }
    assertEquals(mean, got.get("mean").doubleValue(), 1e-6);
    assertEquals(Math.sqrt(squares / (want.length - 1)), got.get("deviation").doubleValue(), 1e-6);
    assertNull(candidate.get("scores").get("rouge1").get("deviation"));
  }

  @Test
  void toxicityAloneHasNoGuard() {
    JsonNode report =
        json(
            "--data",
            DIALOGUES,
            "--limit",
            4,
            "--candidate",
            "a=" + MODEL,
            "--candidate",
            "b=" + MODEL,
            "--metrics",
            "toxicity",
            "--reward-model",
            CLASSIFIER,
            "--toxicity-label",
            "hate");
    assertNull(report.get("candidates").get(1).get("rouge_fell"));
    assertEquals(
        List.of("toxicity"),
        List.copyOf(report.get("candidates").get(0).get("scores").propertyNames()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--metrics toxicity                                | needs --toxicity-model and",
        "--metrics toxicity --toxicity-model roberta-tiny  | needs --toxicity-model and",
        "--toxicity-label hate                             | need --metrics toxicity or --safety",
        "--metrics toxicity --toxicity-model roberta-tiny --toxicity-label toxic"
            + " | no label 'toxic'; its labels are: nothate, hate",
        "--metrics toxicity --toxicity-model t5-tiny --toxicity-label hate | not a RoBERTa",
        "--metrics bleu        | only rouge, loss, toxicity, facts and bertscore",
        "--metrics bertscore   | --metrics bertscore needs --bertscore-model",
        "--bertscore-idf       | need --metrics bertscore",
        "--metrics bertscore --bertscore-model roberta-tiny --bertscore-layer 9 | layer 9",
        "--metrics bertscore --bertscore-model t5-tiny      | not a RoBERTa",
      })
  void toxicityRefuses(String options, String sentence) {
    List<Object> args =
        new ArrayList<>(List.of("evaluate", "--data", DIALOGUES, "--candidate", "a=" + MODEL));
    for (String each : options.strip().split(" +")) {
      args.add(each.endsWith("-tiny") ? FIXTURES.resolve(each) : each);
    }
    CommandLineRun result = run(args.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertEquals("", result.out());
    assertEquals(1, result.err().lines().count(), result.err());
  }

  /** A row for each reference, as in DialogSum's test set on the hub: one dialogue. */
  @Test
  void rowsOfADialogueAreOne() throws IOException {
    Path data = folder.resolve("test.csv");
    Files.writeString(
        data,
        """
        id,dialogue,summary
        t_0_1,A: Hi.,Amina asks for a room for two nights.
        t_0_2,A: Hi.,Nothing of the kind happens here.
        t_1_1,B: Ho.,Something else.
        """);
    JsonNode report =
        json("--data", data, "--candidate", "base=" + MODEL, "--examples", 2, "--multi", "mean");
    assertEquals(2, report.get("dialogues").intValue());
    assertTrue(
        report.get("metrics").get(0).stringValue().contains("1 to 2 references each, of which the"),
        report.toString());
    JsonNode example = report.get("examples").get(0);
    assertEquals("t_0_1", example.get("id").stringValue());
    assertEquals(2, example.get("references").size());
    assertFalse(example.get("summaries").get("base").stringValue().isEmpty());
    assertEquals("B: Ho.", report.get("examples").get(1).get("dialogue").stringValue());
  }

  @Test
  void pageHasTheTableTheHashAndExamples() {
    String page =
        run(
                "evaluate",
                "--data",
                DIALOGUES,
                "--limit",
                8,
                "--max-new-tokens",
                24,
                "--examples",
                2,
                "--candidate",
                "original=" + MODEL,
                "--candidate",
                "peft=" + MODEL + "+" + LORA)
            .succeeded()
            .out();
    assertTrue(page.startsWith("8 dialogues of " + DIALOGUES + ", greedy, at most 24"), page);
    for (String line :
        List.of(
            "rouge_score \\(Porter stemmer, .*\\); one reference each",
            " +rouge1 +rouge2 +rougeL +rougeLsum",
            "original +0\\.\\d{4} +0\\.\\d{4} +0\\.\\d{4} +0\\.\\d{4}",
            " +0\\.\\d{4}-0\\.\\d{4} .*",
            "peft +0\\.\\d{4} .*",
            "peft minus original, in points of 100",
            "absolute +[+-]\\d+\\.\\d\\d .*",
            "95 % interval +[+-]\\d+\\.\\d\\d\\.\\.[+-]\\d+\\.\\d\\d .*",
            "relative +[+-]\\d+\\.\\d % .*",
            "p +[01]\\.\\d{4} .*",
            "[0-9a-f]{64}  .*t5-tiny",
            "-- own_0 -+",
            "-- own_4 -+",
            "human baseline  Priya asks for a history book at a bakery. .*",
            "original        .* asks for .*",
            "peft            .* asks for .*")) {
      assertTrue(page.lines().anyMatch(each -> each.matches(line)), line + "\n" + page);
    }
    assertTrue(
        page.lines().filter(l -> !l.contains("fixtures")).allMatch(l -> l.length() < 80), page);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--candidate base                       | must be NAME=MODEL[+ADAPTER]... or NAME=FILE, not"
            + " 'base'",
        "--candidate =MODEL                     | must be NAME=MODEL[+ADAPTER]... or NAME=FILE, not"
            + " '=",
        "--candidate a=MODEL+                   | must be NAME=MODEL[+ADAPTER]... or NAME=FILE, not"
            + " 'a=",
        "--candidate a=MODEL --candidate a=MODEL | There are two candidates named 'a'",
        "--candidate a=./nowhere                | There is no folder ./nowhere",
        "--candidate a=MODEL+./nowhere          | There is no folder ./nowhere",
        "--candidate a=MODEL --limit 0          | --limit must be 1 or more, not 0",
        "--candidate a=MODEL --examples -1      | --examples must be 0 or more, not -1",
        "--candidate a=MODEL --batch-size 0     | --batch-size must be 1 or more, not 0",
        "--candidate a=MODEL --num-beams 0      | --num-beams is 0",
        "--candidate a=MODEL --max-source-length 1 | --max-source-length must be 2 or more",
        "--candidate a=MODEL --max-source-length 9 | --truncate",
        "--candidate a=MODEL --metrics bleu     | There is no metric 'bleu', only rouge, loss,"
            + " toxicity",
        "--candidate a=MODEL --multi best       | --multi must be max or mean, not 'best'",
        "--candidate a=MODEL --preset perl      | There is no ROUGE preset 'perl'",
        "--candidate a=MODEL --template x{}     | has no {dialogue}"
      })
  void refuses(String options, String sentence) {
    List<Object> args = new ArrayList<>(List.of("evaluate", "--data", DIALOGUES));
    args.addAll(
        List.of(options.replace("MODEL[", "model[").replace("MODEL", MODEL.toString()).split(" ")));
    CommandLineRun result = run(args.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertEquals("", result.out());
  }

  @Test
  void dialoguesNeedSummaries() throws IOException {
    Path data =
        Files.writeString(folder.resolve("in.jsonl"), "{\"id\":\"x\",\"dialogue\":\"A: Hi.\"}\n");
    CommandLineRun result = run("evaluate", "--data", data, "--candidate", "a=" + MODEL);
    assertEquals(2, result.exitCode());
    assertEquals(
        "precis: "
            + data
            + ", line 1 has no summary to learn from or compare with; its fields are: id,"
            + " dialogue.",
        result.err().strip());
  }

  /** The kept predictions, read again by rouge and by evaluate, give the same numbers. */
  @Test
  void keepsTheSummariesAndAPage() throws IOException {
    Path data = folder.resolve("test.jsonl");
    Files.writeString(
        data,
        """
        {"id":"one","dialogue":"Ann: Hi, Bob. Bob: Hi!","summary":"Ann greets Bob."}
        {"id":"two","dialogue":"Ann: <b>Tea</b>?","summary":"Ann offers tea."}
        {"id":"one again","dialogue":"Ann: Hi, Bob. Bob: Hi!","summary":"They say hello."}
        """);
    Path kept = folder.resolve("kept");
    CommandLineRun result =
        run(
                "evaluate",
                "--json",
                "--max-new-tokens",
                24,
                "--data",
                data,
                "--candidate",
                "base=" + MODEL,
                "--candidate",
                "my lora=" + MODEL + "+" + LORA,
                "--output",
                kept)
            .succeeded();
    assertEquals(
        "Done: %s has base.jsonl, my lora.jsonl, evaluation.json, report.html.".formatted(kept),
        result.err().strip());
    assertEquals(result.out(), Files.readString(kept.resolve("evaluation.json")));
    JsonNode report = Json.mapper().readTree(result.out());

    Path generated = folder.resolve("generated.jsonl");
    run(
            "generate",
            "--model",
            MODEL,
            "--adapter",
            LORA,
            "--input",
            data,
            "--max-new-tokens",
            24,
            "--output",
            generated)
        .succeeded();
    assertEquals(Files.readString(generated), Files.readString(kept.resolve("my lora.jsonl")));

    String rouge =
        run("rouge", "--json", "--predictions", kept.resolve("base.jsonl"), "--references", data)
            .succeeded()
            .out();
    assertEquals(
        report.at("/candidates/0/scores/rougeL/mean"), Json.mapper().readTree(rouge).get("rougeL"));

    JsonNode again =
        json(
            "--data",
            data,
            "--candidate",
            "base=" + kept.resolve("base.jsonl"),
            "--candidate",
            "lora=" + MODEL + "+" + LORA);
    for (int i = 0; i < 2; i++) {
      assertEquals(
          report.at("/candidates/%d/scores".formatted(i)),
          again.at("/candidates/%d/scores".formatted(i)));
    }
    assertEquals(
        kept.resolve("base.jsonl").toString(), again.at("/candidates/0/summaries").stringValue());

    String page = Files.readString(kept.resolve("report.html"));
    assertTrue(
        page.contains("<h1>Evaluation of base (t5-tiny) and my lora (t5-tiny) on test.jsonl</h1>"),
        page);
    assertTrue(page.contains("rouge1 of my lora") && page.contains("rougeLsum"), page);
    assertTrue(page.contains("Ann: &lt;b&gt;Tea&lt;/b&gt;?"), "text is escaped");
    assertTrue(page.contains("They say hello."), "all references are shown");

    CommandLineRun full =
        run("evaluate", "--data", data, "--candidate", "a=" + MODEL, "--output", kept);
    assertEquals(2, full.exitCode());
    assertTrue(full.err().contains("already exists"), full.err());
  }

  @Test
  void anEmptyFolderIsFilledAndAFailureLeavesNothing() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    Object[] arguments = {
      "evaluate", "--data", DIALOGUES, "--limit", 2, "--max-new-tokens", 2, "--output", empty
    };
    List<Object> bad = new ArrayList<>(List.of(arguments));
    bad.addAll(List.of("--candidate", "a=" + MODEL, "--max-source-length", 8));
    assertEquals(2, run(bad.toArray()).exitCode());
    assertEquals(0, empty.toFile().list().length);
    List<Object> good = new ArrayList<>(List.of(arguments));
    good.addAll(List.of("--candidate", "a=" + MODEL));
    run(good.toArray()).succeeded();
    assertEquals(3, empty.toFile().list().length);
    assertEquals(2, Files.readAllLines(empty.resolve("a.jsonl")).size());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a/b=MODEL | cannot be a file's name",
        "a=FILE --metrics loss | --metrics loss needs models, but 'a' is a file",
        "a=FILE | has no summary of the dialogue",
        "a=TWICE | has the id 'x' twice",
        "a=SHORT | has 1 summaries and the data 64 rows"
      })
  void refusesCandidates(String options, String sentence) throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("file.jsonl"), "{\"id\":\"x\",\"summary\":\"A summary.\"}\n");
    Path twice =
        Files.writeString(
            folder.resolve("twice.jsonl"), Files.readString(file) + Files.readString(file));
    Path few = Files.writeString(folder.resolve("short.txt"), "A summary.\n");
    List<Object> args =
        new ArrayList<>(
            List.of("evaluate", "--data", DIALOGUES, "--output", folder.resolve("out")));
    args.add("--candidate");
    for (String each : options.strip().split(" ")) {
      args.add(
          each.replace("MODEL", MODEL.toString())
              .replace("FILE", file.toString())
              .replace("TWICE", twice.toString())
              .replace("SHORT", few.toString()));
    }
    CommandLineRun result = run(args.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertFalse(Files.exists(folder.resolve("out")));
  }

  /** Somebody who trains the baseline while it is judged gets no table. */
  @Test
  void aBaselineThatChangesIsNone() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(MODEL.resolve(file), model.resolve(file));
    }
    Path adapter = Files.createDirectory(folder.resolve("adapter"));
    for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
      Files.copy(LORA.resolve(file), adapter.resolve(file));
    }
    BaselineFingerprint frozen =
        new BaselineFingerprint(new Candidate("base", model, List.of(adapter)));
    frozen.check();
    assertEquals(List.of(model, adapter), List.copyOf(frozen.hashes().keySet()));
    for (Path weights :
        List.of(adapter.resolve("adapter_model.safetensors"), model.resolve("model.safetensors"))) {
      byte[] bytes = Files.readAllBytes(weights);
      bytes[bytes.length - 1] ^= 1;
      Files.write(weights, bytes);
      UncheckedIOException e = assertThrows(UncheckedIOException.class, frozen::check);
      assertTrue(e.getMessage().contains(weights.getParent().toString()), e.getMessage());
      assertEquals(1, Failures.of(e).exitCode());
      assertEquals(e.getMessage(), Failures.of(e).sentence());
      bytes[bytes.length - 1] ^= 1;
      Files.write(weights, bytes);
    }
    frozen.check();
    assertEquals(2, Map.copyOf(frozen.hashes()).size());
  }

  /** The means over dialogues and over tokens of what the training reports for each dialogue. */
  @Test
  void lossIsThatOfTraining() {
    JsonNode report =
        Json.mapper()
            .readTree(
                run(
                        "evaluate",
                        "--data",
                        DIALOGUES,
                        "--candidate",
                        "base=" + MODEL,
                        "--metrics",
                        "rouge,loss",
                        "--limit",
                        5,
                        "--max-new-tokens",
                        2,
                        "--json")
                    .succeeded()
                    .out());
    double want = 0;
    double sum = 0;
    long tokens = 0;
    try (var tokenizer = Tokenizer.load(MODEL);
        var t5 = TrainableT5.full(MODEL, DType.FLOAT32, 0, new DeviceOptions().threads(1));
        var training = new FineTuning(t5, 0, false)) {
      for (var dialogue : DialogueReader.read(DIALOGUES).subList(0, 5)) {
        var example =
            new Example(
                tokenizer.encode(PromptTemplate.DEFAULT.fill(dialogue.dialogue())),
                tokenizer.encode(dialogue.summaries().getFirst()));
        double loss = training.evaluate(List.of(example));
        want += loss / example.target().length / 5;
        sum += loss;
        tokens += example.target().length;
      }
    }
    JsonNode scores = report.get("candidates").get(0).get("scores");
    assertEquals(want, scores.get("loss").get("mean").doubleValue(), 1e-5 * want);
    assertEquals(
        sum / tokens, scores.get("token_loss").get("mean").doubleValue(), 1e-5 * sum / tokens);
    assertTrue(Math.abs(want - sum / tokens) > 1e-3, "the two means are told apart");
    String perplexity = String.format(Locale.ROOT, "%.3f", Math.exp(sum / tokens));
    assertTrue(report.toString().contains("in this order: " + perplexity), report.toString());
  }
}
