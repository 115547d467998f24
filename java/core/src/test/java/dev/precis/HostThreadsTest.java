package dev.precis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.device.DeviceOptions;
import dev.precis.generation.GenerationOptions;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A model is a guest: the threads of its host keep their processors, and stay their own. */
class HostThreadsTest {
  private static final Path MODEL = Path.of("src/test/resources/fixtures/t5-tiny");
  private static final Path CLASSIFIER = Path.of("src/test/resources/fixtures/roberta-tiny");
  private static final String PROMPT = "Summarize: Tom and Ann talk about the weather.";
  private static final int THREADS = Math.min(2, Runtime.getRuntime().availableProcessors());

  /** Takes minutes. */
  private static final GenerationOptions ENDLESS =
      GenerationOptions.builder().maxNewTokens(1 << 14).minNewTokens(1 << 14).build();

  /** Returns the processors that the calling thread may run on, as the kernel writes them. */
  private static String affinity() {
    try (var lines = Files.lines(Path.of("/proc/thread-self/status"))) {
      return lines.filter(each -> each.startsWith("Cpus_allowed_list")).findFirst().orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String affinityOfANewThread() throws Exception {
    String[] seen = new String[1];
    Thread thread = Thread.ofPlatform().start(() -> seen[0] = affinity());
    thread.join();
    return seen[0];
  }

  private static void assertUntouched(String before, int processors) throws Exception {
    assertEquals(before, affinity());
    assertEquals(before, affinityOfANewThread());
    assertEquals(processors, Runtime.getRuntime().availableProcessors());
  }

  @Test
  void callersAreNotPinned() throws Exception {
    String before = affinity();
    int processors = Runtime.getRuntime().availableProcessors();
    try (T5 model = T5.load(MODEL, new T5.LoadOptions().threads(THREADS));
        Classifier classifier =
            Classifier.load(CLASSIFIER, new Classifier.LoadOptions().threads(THREADS))) {
      assertUntouched(before, processors);
      model.generate(PROMPT);
      assertUntouched(before, processors);
      classifier.score(List.of(PROMPT));
      assertUntouched(before, processors);
      model.stream(
          PROMPT,
          GenerationOptions.DEFAULT,
          piece -> assertEquals(before, affinity(), "in a callback"));
    }
    assertUntouched(before, processors);
  }

  @Test
  void aTrainingStepGivesTheThreadBack() throws Exception {
    String before = affinity();
    int processors = Runtime.getRuntime().availableProcessors();
    DeviceOptions device = new DeviceOptions().threads(THREADS);
    LoraConfig lora = new LoraConfig(2, 2, 0, List.of("q", "v"), false);
    try (TrainableT5 t5 = TrainableT5.lora(MODEL, lora, DType.FLOAT32, 0, 1, device);
        FineTuning loss = new FineTuning(t5, 0, false)) {
      assertUntouched(before, processors);
      for (int i = 0; i < 3; i++) {
        loss.accumulate(List.of(new Example(new int[] {5, 6, 1}, new int[] {7, 1})), 1, 0);
        assertUntouched(before, processors);
      }
      loss.evaluate(List.of(new Example(new int[] {5, 6, 1}, new int[] {7, 1})));
      assertUntouched(before, processors);
    }
  }

  @Test
  void callbacksRunOnTheCallersThread() {
    try (T5 model = T5.load(MODEL)) {
      Thread caller = Thread.currentThread();
      StringBuilder text = new StringBuilder();
      var whole =
          model.stream(
              PROMPT,
              GenerationOptions.DEFAULT,
              piece -> {
                assertSame(caller, Thread.currentThread());
                text.append(piece);
              });
      assertEquals(whole.text(), text.toString());
      assertEquals(model.generate(PROMPT).text(), text.toString());
    }
  }

  @Test
  void aCallbackMayThrowAndMayCallTheModel() {
    try (T5 model = T5.load(MODEL)) {
      IllegalStateException ours = new IllegalStateException("enough");
      assertSame(
          ours,
          assertThrows(
              IllegalStateException.class,
              () ->
                  model.stream(
                      PROMPT,
                      GenerationOptions.DEFAULT,
                      piece -> {
                        throw ours;
                      })));
      String expected = model.generate(PROMPT).text();
      model.stream(
          PROMPT,
          GenerationOptions.DEFAULT,
          piece -> assertEquals(expected, model.generate(PROMPT).text(), "in a callback"));
      assertEquals(model.generate(PROMPT).text(), model.generate(PROMPT).text());
    }
  }

  @Test
  @Timeout(60)
  void anInterruptEndsOneCallAlone() throws Exception {
    try (T5 model = T5.load(MODEL)) {
      String expected = model.generate(PROMPT).text();
      CountDownLatch begun = new CountDownLatch(1);
      Thread[] ofEndless = new Thread[1];
      Future<?> endless;
      Future<String> other;
      try (ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
        endless =
            pool.submit(
                () -> {
                  ofEndless[0] = Thread.currentThread();
                  model.stream(PROMPT, ENDLESS, piece -> begun.countDown());
                });
        begun.await();
        other = pool.submit(() -> model.generate(PROMPT).text());
        ofEndless[0].interrupt();
      }
      assertTrue(
          assertThrows(Exception.class, () -> endless.get()).getCause()
              instanceof CancellationException);
      assertEquals(expected, other.get());
      assertEquals(expected, model.generate(PROMPT).text());
    }
  }

  @Test
  void manyThreadsGetTheSameTokens() throws Exception {
    try (T5 model = T5.load(MODEL);
        ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
      String expected = model.generate(PROMPT).text();
      List<Future<String>> all =
          java.util.stream.IntStream.range(0, 40)
              .mapToObj(i -> pool.submit(() -> model.generate(PROMPT).text()))
              .toList();
      for (Future<String> each : all) {
        assertEquals(expected, each.get());
      }
    }
  }

  @Test
  void closingEndsTheThreads() throws Exception {
    T5 model = T5.load(MODEL, new T5.LoadOptions().threads(THREADS));
    model.generate(PROMPT);
    List<Thread> engineThreads =
        Thread.getAllStackTraces().keySet().stream()
            .filter(each -> each.getName().equals("precis-engine"))
            .toList();
    assertTrue(!engineThreads.isEmpty());
    model.close();
    model.close();
    String message =
        assertThrows(IllegalStateException.class, () -> model.generate(PROMPT)).getMessage();
    assertTrue(message.contains("closed"), message);
    for (Thread each : engineThreads) {
      assertTrue(each.join(Duration.ofSeconds(10)), "ends when its model is closed");
    }
  }

  @Test
  void twoClassLoadersLoadTheLibrary() throws Exception {
    URL[] classPath =
        Arrays.stream(System.getProperty("java.class.path").split(java.io.File.pathSeparator))
            .map(
                each -> {
                  try {
                    return Path.of(each).toUri().toURL();
                  } catch (IOException e) {
                    throw new UncheckedIOException(e);
                  }
                })
            .toArray(URL[]::new);
    String expected;
    try (T5 model = T5.load(MODEL)) {
      expected = model.generate(PROMPT).text();
    }
    for (int i = 0; i < 2; i++) {
      try (var loader = new URLClassLoader(classPath, ClassLoader.getPlatformClassLoader())) {
        Class<?> door = loader.loadClass("dev.precis.T5");
        AutoCloseable model =
            (AutoCloseable) door.getMethod("load", Path.class).invoke(null, MODEL);
        Object generated = door.getMethod("generate", String.class).invoke(model, PROMPT);
        assertEquals(expected, generated.getClass().getMethod("text").invoke(generated));
        model.close();
      }
    }
  }
}
