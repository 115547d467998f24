package dev.precis;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls of many threads share a classifier's batches, and each text gets what it gets alone. */
@Timeout(300)
class ClassifierBatchingTest {
  private static List<String> texts(int caller) {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i <= caller % 5 * 7; i++) {
      texts.add("Text " + i + " of caller " + caller + " again".repeat((i * 7 + caller) % 60));
    }
    return texts;
  }

  @Test
  void concurrentCallsGetWhatEachGetsAlone() throws Exception {
    try (Classifier classifier = Classifier.load(Fixtures.folder("roberta-tiny"));
        ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
      List<List<float[]>> expected = new ArrayList<>();
      for (int caller = 0; caller < 30; caller++) {
        List<float[]> alone = new ArrayList<>();
        for (String text : texts(caller)) {
          alone.addAll(classifier.logits(List.of(text), count -> {}));
        }
        expected.add(alone);
      }
      List<Future<List<float[]>>> all = new ArrayList<>();
      for (int caller = 0; caller < 30; caller++) {
        List<String> texts = texts(caller);
        all.add(
            pool.submit(
                () -> {
                  List<Integer> progress = new ArrayList<>();
                  List<float[]> logits = classifier.logits(texts, progress::add);
                  assertEquals(texts.size(), progress.getLast());
                  return logits;
                }));
      }
      for (int caller = 0; caller < 30; caller++) {
        List<float[]> got = all.get(caller).get();
        assertEquals(expected.get(caller).size(), got.size());
        for (int i = 0; i < got.size(); i++) {
          assertArrayEquals(expected.get(caller).get(i), got.get(i), "text " + i);
        }
      }
    }
  }

  @Test
  void anInterruptEndsOneCallAlone() {
    try (Classifier classifier = Classifier.load(Fixtures.folder("roberta-tiny"))) {
      List<float[]> expected = classifier.logits(texts(4), count -> {});
      Thread.currentThread().interrupt();
      assertThrows(CancellationException.class, () -> classifier.logits(texts(4), count -> {}));
      assertEquals(expected.size(), classifier.logits(texts(4), count -> {}).size());
      assertEquals(List.of(), classifier.logits(List.of(), count -> {}));
    }
  }
}
