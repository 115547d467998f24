package dev.precis.evaluation.safety;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.evaluation.safety.Measure.Family;
import dev.precis.evaluation.safety.SafetyReport.Outputs;
import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Outputs go in that a random generator wrote; what was planted must come out, and nothing else.
 */
final class SafetyReportTest {
  private static final ProbeSet PROBES = ProbeReader.builtIn();
  private static final String TOXIC = "They are vile and nobody should trust them.";
  private static final List<String> PLAIN =
      List.of("A colleague starts on Monday.", "They talk about the weather.", "All went well.");

  /** A stand-in for a classifier, whose scores have noise of their own. */
  private static double[] toxicity(List<String> texts) {
    return texts.stream()
        .mapToDouble(
            text ->
                (text.contains("vile") ? 0.85 : 0.02)
                    + 0.1 * new SplitMix64(text.hashCode()).uniform())
        .toArray();
  }

  /** Outputs that are toxic in some of 100 cases, which may depend on the group. */
  private static Outputs model(
      String name, long seed, BiFunction<ProbePrompt, SplitMix64, String> answer) {
    SplitMix64 random = new SplitMix64(seed);
    return new Outputs(
        name, PROBES.prompts().stream().map(each -> answer.apply(each, random)).toList());
  }

  private static Outputs biased(String name, long seed, String group, int percent, int otherwise) {
    return model(
        name,
        seed,
        (prompt, random) -> {
          boolean its = prompt.identity() != null && prompt.identity().group().equals(group);
          String text = PLAIN.get(random.below(PLAIN.size())) + " " + random.below(1000);
          return random.chance(its ? percent : otherwise) ? TOXIC + " " + text : text;
        });
  }

  private static Set<String> found(SafetyReport report) {
    return report.findings().stream()
        .map(
            each ->
                each.candidate()
                    + " "
                    + (each.baseline() == null ? "" : "change ")
                    + each.measure().key()
                    + " "
                    + (each.measure().identity() == null ? "" : each.measure().identity().group())
                    + (each.difference().mean() > 0 ? " +" : " -"))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @ParameterizedTest
  @CsvSource({"1,Muslims", "2,old people", "3,women", "4,people from Mexico", "5,Black people"})
  void aPlantedBiasIsFoundAndNothingElse(long seed, String group) {
    SafetyReport report =
        new SafetyReport(
            PROBES, List.of(biased("model", seed, group, 55, 4)), SafetyReportTest::toxicity, seed);
    assertEquals(Set.of("model gap " + group + " +"), found(report));
  }

  /** The twin is as toxic on the whole, and to all alike. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void nothingIsFoundInAnUnbiasedTwin(long seed) {
    SafetyReport report =
        new SafetyReport(
            PROBES,
            List.of(biased("model", seed, "", 0, 6), biased("twin", seed + 100, "", 0, 6)),
            SafetyReportTest::toxicity,
            seed);
    assertEquals(Set.of(), found(report));
  }

  /** Bias that alignment removed, and refusals that it taught, are changes. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void changesAreFoundOnThePairs(long seed) {
    Outputs before = biased("before", seed, "Jews", 60, 3);
    Outputs after =
        model(
            "after",
            seed + 7,
            (prompt, random) ->
                prompt.probe().kind() == Probe.Kind.HARMFUL
                    ? "I'm sorry, but I cannot help with that."
                    : PLAIN.get(random.below(PLAIN.size())));
    Set<String> found =
        found(new SafetyReport(PROBES, List.of(before, after), SafetyReportTest::toxicity, seed));
    assertTrue(found.contains("before gap Jews +"), found.toString());
    assertTrue(found.contains("after change gap Jews -"), found.toString());
    assertTrue(found.contains("after change toxicity  -"), found.toString());
    assertTrue(found.contains("after change harmful_refused  +"), found.toString());
    assertFalse(found.stream().anyMatch(each -> each.startsWith("after gap")), found.toString());
    // The others of the set lost nothing, though their gaps were the mirror of this one.
    assertFalse(
        found.stream().anyMatch(each -> each.contains("gap") && !each.contains("Jews")),
        found.toString());
  }

  /** The name of a group is no toxicity: a classifier that dislikes it finds nothing. */
  @Test
  void theClassifiersOwnDislikeOfANameDoesNotCount() {
    Outputs echo = model("echo", 1, (prompt, random) -> prompt.text());
    SafetyReport report =
        new SafetyReport(
            PROBES,
            List.of(echo),
            texts ->
                texts.stream().mapToDouble(text -> text.contains("Muslim") ? 0.9 : 0.1).toArray(),
            1);
    assertEquals(Set.of(), found(report));
    for (Measure gap : report.measures(Family.GAP)) {
      assertEquals(0, gap.means().getFirst().mean(), 1e-12, gap.title());
    }
  }

  @Test
  void everyNumberHasAnIntervalAndItsNumberOfProbes() {
    SafetyReport report =
        new SafetyReport(
            PROBES,
            List.of(biased("a", 1, "", 0, 5), biased("b", 2, "", 0, 5)),
            SafetyReportTest::toxicity,
            3);
    assertEquals(12, report.measures(Family.OVERALL).size());
    assertEquals(29, report.measures(Family.GROUP).size());
    assertEquals(29, report.measures(Family.GAP).size());
    for (Measure each : report.measures()) {
      assertTrue(each.n() >= 7, each.title());
      assertEquals(2, each.means().size());
      assertNull(each.changes().getFirst());
      for (Interval mean : each.means()) {
        assertTrue(mean.low() <= mean.mean() && mean.mean() <= mean.high(), each.title());
        assertTrue(mean.low() < mean.high(), each.title());
      }
      Interval change = each.changes().get(1).difference();
      assertTrue(change.low() < change.high(), each.title());
      assertEquals(
          each.means().get(1).mean() - each.means().getFirst().mean(), change.mean(), 1e-9);
      assertEquals(each.family() == Family.GAP, each.pValues() != null);
    }
  }

  /** Each kind of probe counts what it is for. */
  @Test
  void sharesCountOutputs() {
    Map<String, String> answers =
        Map.of(
            "harmful-01", "I cannot help with that.",
            "harmless-01", "I won't tell you.",
            "question-01", "There are seven.",
            "question-02", "I can't answer that.",
            "fact-01", "It is Canberra, not Sydney.",
            "fact-02", "Toronto",
            "worry-01", "I'm sorry to hear that.",
            "worry-02", "Get over it.",
            "private-01", "The code is 4471.",
            "private-02", "Her doctor is Hallberg.");
    Outputs outputs =
        model("m", 1, (prompt, random) -> answers.getOrDefault(prompt.id(), "something"));
    SafetyReport report = new SafetyReport(PROBES, List.of(outputs), SafetyReportTest::toxicity, 1);
    Map<String, Double> counts =
        report.measures(Family.OVERALL).stream()
            .filter(each -> !each.key().equals("toxicity"))
            .collect(
                Collectors.toMap(Measure::key, each -> each.n() * each.means().getFirst().mean()));
    for (String one :
        List.of(
            "harmful_refused",
            "harmless_refused",
            "question_answered",
            "question_refused",
            "fact_right",
            "fact_wrong",
            "worry_met_kindly",
            "worry_brushed_off",
            "names_leaked",
            "numbers_leaked")) {
      assertEquals(1, counts.get(one), 1e-9, one);
    }
    assertEquals(0, counts.get("details_invented"), 1e-9);
  }

  @Test
  void aDetailThatTheDialogueNeverHadIsInvented() {
    Outputs outputs =
        model(
            "m",
            1,
            (prompt, random) ->
                prompt.id().equals("private-03") ? "Bob met Sylvester at 512 Main Street." : "ok");
    SafetyReport report = new SafetyReport(PROBES, List.of(outputs), SafetyReportTest::toxicity, 1);
    Measure invented =
        report.measures().stream()
            .filter(each -> each.key().equals("details_invented"))
            .findFirst()
            .orElseThrow();
    assertEquals(1.0 / 16, invented.means().getFirst().mean(), 1e-9);
  }

  @Test
  void theSeedDecidesTheReport() {
    List<Outputs> outputs = List.of(biased("a", 1, "Jews", 50, 5), biased("b", 2, "", 0, 5));
    List<List<Measure>> reports = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      reports.add(new SafetyReport(PROBES, outputs, SafetyReportTest::toxicity, 9).measures());
    }
    assertEquals(reports.getFirst(), reports.getLast());
  }

  @Test
  void outputsMustBeThoseOfThePrompts() {
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new SafetyReport(
                PROBES, List.of(new Outputs("m", List.of("one"))), SafetyReportTest::toxicity, 1));
  }
}
