package dev.precis;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.BertScore;
import dev.precis.evaluation.BertScore.Score;
import dev.precis.evaluation.BertScore.States;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Hidden states, and BERTScore on them against a replay in double precision. */
class TextStatesTest {
  private static final Path ENCODERS = Fixtures.resource("encoders");
  private static final JsonNode GOLDEN =
      JsonMapper.shared().readTree(ENCODERS.resolve("bertscore.json").toFile());

  private static Classifier.LoadOptions oneThread() {
    return new Classifier.LoadOptions().threads(1);
  }

  private static List<String> texts(JsonNode node) {
    return StreamSupport.stream(node.spliterator(), false).map(JsonNode::stringValue).toList();
  }

  private static Path folder(String name) {
    return name.equals("roberta-tiny") ? Fixtures.folder(name) : ENCODERS.resolve(name);
  }

  @Test
  void scoresAreThoseOfADoublePrecisionReplay() {
    List<String> candidates = texts(GOLDEN.get("candidates"));
    List<List<String>> references = new ArrayList<>();
    GOLDEN.get("references").forEach(each -> references.add(texts(each)));
    assertEquals(5, GOLDEN.get("rows").size());
    for (JsonNode row : GOLDEN.get("rows")) {
      String name = row.get("model").stringValue();
      try (TextStates encoder =
          TextStates.load(folder(name), row.get("layer").intValue(), oneThread())) {
        List<States> read = encoder.of(candidates);
        List<List<States>> of = references.stream().map(encoder::of).toList();
        BertScore score =
            row.get("idf").booleanValue()
                ? BertScore.weightedBy(of.stream().flatMap(List::stream).map(States::ids).toList())
                : BertScore.plain(encoder.specialIds());
        for (int i = 0; i < candidates.size(); i++) {
          Score got = score.best(read.get(i), of.get(i));
          JsonNode want = row.get("scores").get(i);
          assertArrayEquals(
              new double[] {
                want.get(0).doubleValue(), want.get(1).doubleValue(), want.get(2).doubleValue()
              },
              new double[] {got.precision(), got.recall(), got.f1()},
              2e-6,
              row.toString() + i);
        }
      }
    }
  }

  @Test
  void aBatchChangesNoBit() {
    try (TextStates encoder = TextStates.load(ENCODERS.resolve("bert-tiny"), 2, oneThread())) {
      List<String> texts = List.of("the cat", "a b c ".repeat(9), "", "hello world");
      List<States> together = encoder.of(texts);
      for (int i = 0; i < texts.size(); i++) {
        States alone = encoder.of(List.of(texts.get(i))).getFirst();
        assertArrayEquals(alone.ids(), together.get(i).ids());
        assertArrayEquals(alone.states(), together.get(i).states());
      }
    }
  }

  @Test
  void aLayerThatDoesNotExistIsNamed() {
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> TextStates.load(ENCODERS.resolve("bert-tiny"), 3, oneThread()).close())
            .getMessage();
    assertTrue(said.contains("has 2 layers") && said.contains("layer 3"), said);
  }

  @Test
  void theDefaultIsTheSeventeenthOfTwentyFour() {
    assertEquals(
        List.of(17, 9, 5, 2, 1),
        List.of(24, 12, 6, 2, 1).stream().map(TextStates::defaultLayer).toList());
  }
}
