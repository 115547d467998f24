package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.PairedBootstrap;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class EvaluationChangesTest {
  private static final double[] FIRST = {3, 2.5, 4, 3.5, 2, 3};
  private static final double[] SECOND = {2, 2.5, 3, 3.25, 1, 2.5};

  @TempDir private Path folder;
  private RunFolder run;

  @BeforeEach
  void open() {
    run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
  }

  @AfterEach
  void close() {
    run.close();
  }

  private static Map<String, double[]> evaluation(double... parts) {
    return Map.of("loss", parts);
  }

  private PairedBootstrap.Interval expected(double[] now) {
    return new PairedBootstrap(0).compare(FIRST, now).difference();
  }

  @Test
  void comparesWithTheFirstEvaluationAlsoWhenResumed() {
    EvaluationChanges changes = new EvaluationChanges(run);
    assertEquals(Map.of(), changes.since(10, evaluation(FIRST)));
    assertEquals(Map.of("loss", expected(SECOND)), changes.since(20, evaluation(SECOND)));
    assertTrue(expected(SECOND).high() < 0);
    EvaluationChanges resumed = new EvaluationChanges(run);
    assertEquals(Map.of("loss", expected(SECOND)), resumed.since(30, evaluation(SECOND)));
  }

  @Test
  void theFirstOneIsKeptAnewWhereItIsRepeated() {
    EvaluationChanges changes = new EvaluationChanges(run);
    changes.since(10, evaluation(SECOND));
    assertEquals(Map.of(), changes.since(10, evaluation(FIRST)));
    assertEquals(Map.of("loss", expected(SECOND)), changes.since(20, evaluation(SECOND)));
  }

  @Test
  void fewPartsAndOtherDataHaveNoInterval() {
    EvaluationChanges changes = new EvaluationChanges(run);
    changes.since(1, evaluation(1, 2, 3, 4));
    assertEquals(Map.of(), changes.since(2, evaluation(1, 2, 3, 3)));
    assertEquals(Map.of(), changes.since(2, evaluation(1, 2, 3, 3, 5)));
  }

  @Test
  void evaluationsWithoutPartsLeaveNoFile() throws IOException {
    new EvaluationChanges(run).since(1, Map.of());
    assertFalse(Files.exists(run.folder().resolve("first-evaluation.json")));
  }

  @Test
  void aDamagedFileIsRefused() throws IOException {
    Files.writeString(
        run.folder().resolve("first-evaluation.json"), "{\"step\":1,\"loss\":[\"much\"]}");
    InvalidInputException e =
        assertThrows(
            InvalidInputException.class,
            () -> new EvaluationChanges(run).since(2, evaluation(SECOND)));
    assertTrue(e.getMessage().contains("must be a list of numbers"), e.getMessage());
  }
}
