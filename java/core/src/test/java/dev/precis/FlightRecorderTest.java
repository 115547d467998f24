package dev.precis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.GenerationOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The flight recorder sees loading, encoding, decoding steps and scoring. */
class FlightRecorderTest {
  private static List<RecordedEvent> of(List<RecordedEvent> all, String name) {
    return all.stream()
        .filter(each -> each.getEventType().getName().equals("dev.precis." + name))
        .toList();
  }

  @Test
  void eventsTellWhatTheEngineDid(@TempDir Path folder) throws IOException {
    Path tiny = Fixtures.folder("t5-tiny");
    Path file = folder.resolve("recording.jfr");
    try (Recording recording = new Recording()) {
      recording.start();
      try (T5 model = T5.load(tiny, new T5.LoadOptions().threads(1));
          Classifier classifier = Classifier.load(Fixtures.folder("roberta-tiny"))) {
        GenerationOptions options =
            GenerationOptions.builder().maxNewTokens(6).minNewTokens(6).build();
        List<int[]> sources = List.of(new int[] {5, 6, 1}, new int[] {7, 8, 9, 1});
        model.generateTokens(sources, options, 2, null);
        classifier.score(List.of("One.", "Two."));
      }
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> all = RecordingFile.readAllEvents(file);

    List<RecordedEvent> loads = of(all, "Load");
    assertEquals(2, loads.size());
    RecordedEvent load = loads.getFirst();
    assertEquals("model", load.getString("model"));
    assertEquals(tiny.toString(), load.getString("folder"));
    assertEquals("FLOAT32", load.getString("dtype"));
    assertEquals(1, load.getInt("threads"));
    assertEquals("classifier", loads.getLast().getString("model"));

    RecordedEvent encoding = of(all, "Encoding").getFirst();
    assertEquals(2, encoding.getInt("sources"));
    assertEquals(7, encoding.getInt("tokens"));

    List<RecordedEvent> steps = of(all, "DecodingStep");
    assertEquals(6, steps.size());
    for (RecordedEvent step : steps) {
      assertEquals(2, step.getInt("rows"));
      assertEquals(2, step.getInt("tokens"));
      assertEquals(0, step.getInt("drafted"));
      assertEquals(1, step.getInt("requests"));
      assertEquals(0, step.getInt("waiting"));
      assertTrue(step.getLong("cacheBytes") > 0);
      Duration kernels = step.getDuration("kernelTime");
      assertTrue(
          kernels.isPositive() && kernels.compareTo(step.getDuration()) <= 0,
          kernels + " of " + step.getDuration());
    }

    RecordedEvent scoring = of(all, "Scoring").getFirst();
    assertEquals(2, scoring.getInt("texts"));
    assertTrue(scoring.getInt("tokens") >= 6);
  }
}
