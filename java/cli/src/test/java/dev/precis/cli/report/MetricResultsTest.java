package dev.precis.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.report.Result.Verdict;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Results from metrics, their sentences, and the cost. */
final class MetricResultsTest {
  private static ObjectNode line(int step, String key, double value) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", step);
    line.put(key, value);
    return line;
  }

  private static List<ObjectNode> losses(double... values) {
    List<ObjectNode> lines = new ArrayList<>();
    for (double value : values) {
      lines.add(line(lines.size() + 1, "loss", value));
    }
    return lines;
  }

  @Test
  void comparesTheEndsOfARun() {
    double[] values = new double[100];
    for (int i = 0; i < 100; i++) {
      values[i] = 4 - i / 50.0 + (i % 2) * 0.1;
    }
    Result result = MetricResults.of(losses(values)).getFirst();
    assertEquals("The training loss", result.name());
    assertEquals(4 - 4.5 / 50 + 0.05, result.before(), 1e-12);
    assertEquals(4 - 94.5 / 50 + 0.05, result.after(), 1e-12);
    assertEquals(-1.8, result.interval().mean(), 1e-12);
    assertTrue(result.interval().low() < -1.8 + 1e-9 && result.interval().high() > -1.8 - 1e-9);
    assertTrue(result.interval().high() < 0, "it fell by more than chance");
    assertEquals(Verdict.BETTER, result.verdict());
    assertTrue(result.basis().contains("first and of the last 10 of 100 steps"), result.basis());
  }

  @Test
  void aFewStepsHaveNoInterval() {
    Result two = MetricResults.of(losses(3, 2)).getFirst();
    assertNull(two.interval());
    assertEquals("The training loss fell by 1.0000, from 3.0000 to 2.0000", two.sentence());
    Result one = MetricResults.of(losses(3)).getFirst();
    assertEquals("The training loss is 3.0000", one.sentence());
    assertEquals(Verdict.LEVEL, one.verdict());
    assertEquals(List.of(), MetricResults.of(List.of()));
  }

  @Test
  void theBestEvaluationComesFirst() {
    List<ObjectNode> lines = new ArrayList<>(losses(3, 2, 1));
    lines.add(line(1, "eval_rougeL", 0.2));
    lines.add(line(2, "eval_rougeL", 0.5));
    lines.add(line(3, "eval_rougeL", 0.4));
    lines.add(line(1, "eval_loss", 2.5));
    lines.add(line(3, "eval_loss", 2.6));
    List<Result> results = MetricResults.of(lines);
    assertEquals(
        List.of("ROUGE-L on the evaluation data", "The evaluation loss", "The training loss"),
        results.stream().map(Result::name).toList());
    assertEquals(0.5, results.getFirst().after());
    assertTrue(results.getFirst().basis().contains("the best of 3, at step 2"));
    assertEquals(2.5, results.get(1).after(), "the best loss is the lowest");
    assertEquals(Verdict.UNCLEAR, results.get(1).verdict());
  }

  @Test
  void whatIsNoNumberIsPassedOver() {
    ObjectNode text = line(1, "other", 1);
    text.put("loss", "NaN");
    ObjectNode huge = line(2, "loss", Double.POSITIVE_INFINITY);
    assertEquals(List.of(), MetricResults.of(List.of(text, huge)));
    assertEquals(2, Cost.of(List.of(text, huge)).steps());
  }

  @ParameterizedTest
  @CsvSource({
    "0.4, 0.5, 0.05, 0.15, true, BETTER",
    "0.4, 0.5, 0.05, 0.15, false, WORSE",
    "0.5, 0.4, -0.15, -0.05, false, BETTER",
    "0.4, 0.5, -0.05, 0.25, true, UNCLEAR",
  })
  void aChangeCountsWhereItsIntervalExcludesZero(
      double before, double after, double low, double high, boolean higher, Verdict verdict) {
    Interval interval = new Interval(after - before, low, high);
    Result result = new Result("ROUGE-1", before, after, interval, higher, "");
    assertEquals(verdict, result.verdict());
    assertTrue(result.sentence().contains("95 % interval of the difference"), result.sentence());
    assertEquals(verdict == Verdict.UNCLEAR, result.sentence().contains("did not change clearly"));
    ObjectNode json = result.toJson(Json.mapper().createObjectNode());
    assertEquals(result.sentence(), Result.of(json, "it").sentence());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[]",
        "{\"name\":1}",
        "{\"after\":1}",
        "{\"name\":\"x\",\"before\":\"much\"}",
        "{\"name\":\"x\",\"low\":[],\"high\":1}"
      })
  void aDamagedResultIsRefused(String json) {
    Assertions.assertThrows(
        InvalidInputException.class, () -> Result.of(Json.mapper().readTree(json), "results.json"));
  }

  @Test
  void costsAddUp() {
    List<ObjectNode> lines = losses(3, 2);
    for (ObjectNode line : lines) {
      line.put("tokens", 500);
      line.put("tokens_per_second", 100);
    }
    lines.get(0).put("kl", 0.5);
    lines.get(1).put("kl", 0.75);
    lines.add(line(3, "time/ppo/total", 2.5));
    Cost cost = Cost.of(lines).withParameters(250, 1000).withMemory(3_000_000, 0);
    assertEquals(
        "{Steps=3, Time of the steps=12.5 s, Peak memory=3 MB, Parameters trained=250,"
            + " All parameters=1,000, KL from the reference, nats=0.7500}",
        cost.entries().toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"method\":\"lora\",\"model\":\"google/flan-t5-base\",\"data\":\"data/train.csv\"}"
            + "|LoRA fine-tuning of google/flan-t5-base on train.csv",
        "{\"method\":\"full\",\"model\":\"/home/x/runs/a/model\",\"data\":\"train.csv\"}"
            + "|Full fine-tuning of a/model on train.csv",
        "{\"method\":\"full\",\"init\":\"config.json\",\"data\":\"../d.jsonl\"}"
            + "|Full fine-tuning of config.json from random weights on d.jsonl",
        "{\"algorithm\":\"dpo\",\"method\":\"lora\",\"model\":\"m\",\"pairs\":\"p.jsonl\"}"
            + "|DPO alignment (LoRA) of m on p.jsonl",
        "{\"algorithm\":\"kto\",\"method\":\"full\",\"model\":\"m\",\"feedback\":\"f.jsonl\"}"
            + "|KTO alignment (all weights) of m on f.jsonl",
        "{\"method\":\"reward\",\"model\":\"roberta-base\",\"pairs\":\"x/p.jsonl\"}"
            + "|Reward model training of roberta-base on p.jsonl",
        "{\"method\":\"reward\",\"model\":\"roberta-base\",\"data\":\"t.jsonl\"}"
            + "|Classifier training of roberta-base on t.jsonl",
        "{\"method\":[],\"model\":7}|Training run",
        "{}|Training run",
      })
  void titlesNameMethodModelAndData(String config, String title) {
    assertEquals(title, RunTitle.of(Json.parseObject(config, "it").node()));
  }
}
