package dev.precis.alignment.policy.replay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.policy.replay.PpoFormulas.Penalty;
import dev.precis.alignment.policy.replay.TrlClassicReplay.Batch;
import dev.precis.alignment.policy.replay.TrlClassicReplay.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The replay against steps that TRL itself made: alignment/make.py among the resources. */
class TrlRecordingsTest {
  private static final JsonNode RUNS =
      JsonMapper.shared().readTree(Fixtures.resource("alignment/trl_ppo.json").toFile());

  static Stream<String> runs() {
    return RUNS.valueStream().map(run -> run.get("name").stringValue());
  }

  /** Options of a recorded run, by TRL's names. */
  private static Settings settings(JsonNode run) {
    Settings settings = new Settings();
    settings.learningRate = 1e-3;
    settings.miniBatch = 2;
    if (run.get("name").stringValue().startsWith("lab")) {
      settings.whitensMiniBatches = true;
      settings.stopsInEpochs = true;
      settings.ratioThreshold = Double.POSITIVE_INFINITY;
    }
    run.get("settings")
        .propertyStream()
        .forEach(
            entry -> {
              JsonNode value = entry.getValue();
              switch (entry.getKey()) {
                case "kl_penalty" ->
                    settings.penalty =
                        Penalty.valueOf(value.stringValue().toUpperCase(Locale.ROOT));
                case "ratio_threshold" -> settings.ratioThreshold = value.doubleValue();
                case "use_score_scaling" -> settings.normalisesScores = true;
                case "score_clip" -> settings.scoreClip = value.doubleValue();
                case "target_kl" -> settings.earlyStopKl = value.doubleValue();
                case "whiten_rewards" -> settings.whitensRewards = true;
                case "adap_kl_ctrl" -> settings.adaptiveKl = value.booleanValue();
                case "max_grad_norm" -> settings.maxGradNorm = value.doubleValue();
                case "gamma" -> settings.gamma = value.doubleValue();
                case "use_score_norm", "early_stopping", "ppo_epochs" -> {}
                default -> throw new IllegalArgumentException(entry.getKey());
              }
            });
    return settings;
  }

  private static List<int[]> rows(JsonNode lists) {
    return lists
        .valueStream()
        .map(list -> list.valueStream().mapToInt(JsonNode::intValue).toArray())
        .toList();
  }

  private static double[] doubles(JsonNode list) {
    return list.valueStream().mapToDouble(JsonNode::doubleValue).toArray();
  }

  @ParameterizedTest
  @MethodSource("runs")
  void theSameStatistics(String name) {
    JsonNode run =
        RUNS.valueStream()
            .filter(r -> r.get("name").stringValue().equals(name))
            .findFirst()
            .orElseThrow();
    DoubleT5 t5 = new DoubleT5(Fixtures.folder("t5-tiny"));
    t5.adapt(Fixtures.folder("t5-tiny-lora-after20"));
    JsonNode head = run.get("value_head");
    t5.valueHead(doubles(head.get("weight")), head.get("bias").doubleValue());
    TrlClassicReplay replay = new TrlClassicReplay(t5, settings(run));
    List<String> wrong = new ArrayList<>();
    int number = 0;
    for (JsonNode step : run.get("steps")) {
      number++;
      Map<String, Double> got =
          replay.step(
              new Batch(
                  rows(step.get("prompts")),
                  rows(step.get("responses")),
                  doubles(step.get("scores")),
                  rows(step.get("orders")).toArray(int[][]::new)));
      JsonNode want = step.get("statistics");
      Set<String> names = new TreeSet<>();
      want.propertyStream().forEach(entry -> names.add(entry.getKey()));
      assertEquals(names, new TreeSet<>(got.keySet()));
      for (String key : names) {
        double w = want.get(key).doubleValue();
        if (Math.abs(got.get(key) - w) > 1e-5 * Math.abs(w) + 1e-6) {
          wrong.add("step " + number + " " + key + " " + got.get(key) + ", TRL " + w);
        }
      }
    }
    assertTrue(wrong.isEmpty(), () -> String.join("\n", wrong));
  }
}
