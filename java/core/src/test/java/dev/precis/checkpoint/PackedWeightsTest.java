package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Weights that are found again are the same bytes; whatever is wrong with them, they are packed.
 */
class PackedWeightsTest {
  private static final Map<String, Integer> SIZES =
      new TreeMap<>(Map.of("embedding", 4096, "norm", 20, "q+k+v", 1000));

  @TempDir static Path home;
  @TempDir Path folder;
  private static Path settled;
  private static Path changing;
  private Path source;
  private WeightsCache cache;

  @BeforeAll
  static void writeSource() throws Exception {
    settled = Files.writeString(home.resolve("model.bin"), "a checkpoint");
    changing = Files.writeString(home.resolve("other.bin"), "a checkpoint");
    Thread.sleep(2100); // until it counts as settled
  }

  @BeforeEach
  void makeCache() {
    cache = new WeightsCache(folder.resolve("weights"), 1 << 26, 0);
    source = settled;
  }

  /** Result of one run: the number of weights that it packed, and their bytes. */
  private record Run(int packed, Map<String, byte[]> bytes) {}

  private Run run(WeightsCache cache, String dependencies, Map<String, Integer> sizes) {
    try (Arena arena = Arena.ofShared()) {
      PackedWeights weights =
          new PackedWeights(
              bytes -> arena.allocate(bytes, 64),
              cache,
              List.of(source),
              "it",
              dependencies,
              arena);
      int[] packed = {0};
      Map<String, byte[]> all = new TreeMap<>();
      sizes.forEach(
          (name, size) -> {
            MemorySegment part =
                weights.get(
                    name,
                    size,
                    target -> {
                      packed[0]++;
                      for (int i = 0; i < size; i++) {
                        target.set(ValueLayout.JAVA_BYTE, i, (byte) (name.charAt(0) + i));
                      }
                    });
            assertEquals(size.longValue(), part.byteSize());
            assertEquals(0, part.address() % 64);
            all.put(name, part.toArray(ValueLayout.JAVA_BYTE));
          });
      assertEquals(packed[0] == 0, weights.wereFound());
      weights.keep();
      return new Run(packed[0], all);
    }
  }

  private Run run() {
    return run(cache, "float32", SIZES);
  }

  private static void assertSame(Run want, Run got) {
    assertEquals(want.bytes.keySet(), got.bytes.keySet());
    want.bytes.forEach((name, bytes) -> assertArrayEquals(bytes, got.bytes.get(name), name));
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> all = Files.list(cache.folder())) {
      return all.sorted().toList();
    }
  }

  @Test
  void areFoundByTheNextRun() throws IOException {
    Run first = run();
    assertEquals(3, first.packed);
    Run second = run();
    assertEquals(0, second.packed);
    assertSame(first, second);
    assertEquals(1, files().size());
    assertEquals(Files.size(files().getFirst()), cache.size());
    assertEquals("rwx------", permissions(cache.folder()));
    assertEquals(3, run(cache, "bfloat16", SIZES).packed);
    assertEquals(2, files().size());
  }

  private static String permissions(Path path) throws IOException {
    return java.nio.file.attribute.PosixFilePermissions.toString(
        Files.getPosixFilePermissions(path));
  }

  @Test
  void foundWeightsCannotBeWrittenTo() {
    run();
    try (Arena arena = Arena.ofShared()) {
      PackedWeights weights =
          new PackedWeights(arena::allocate, cache, List.of(source), "it", "float32", arena);
      assertTrue(weights.get("norm", 20, target -> {}).isReadOnly());
    }
  }

  @Test
  void aSourceThatChangesInPlaceIsPackedAnew() throws IOException {
    source = changing;
    run();
    FileTime time = Files.getLastModifiedTime(source);
    byte[] original = Files.readAllBytes(source);
    Files.writeString(source, "A CHECKPOINT", StandardOpenOption.WRITE);
    Files.setLastModifiedTime(source, time);
    assertEquals(original.length, Files.size(source));
    assertEquals(3, run().packed);
    // And is not kept before it is certain that another change would show.
    assertEquals(3, run().packed);
    assertEquals(1, files().size());
  }

  @Test
  void otherWeightsThanExpectedArePackedOneByOne() {
    run();
    Map<String, Integer> other = new TreeMap<>(SIZES);
    other.put("norm", 500);
    assertEquals(1, run(cache, "float32", other).packed);
    assertEquals(0, run(cache, "float32", other).packed);
    other.remove("q+k+v");
    other.put("wi", 64);
    assertEquals(1, run(cache, "float32", other).packed);
    assertEquals(0, run(cache, "float32", other).packed);
  }

  @Test
  void damageOfAnyKindIsPackedAnew() throws IOException {
    Run want = run();
    Path file = files().getFirst();
    byte[] whole = Files.readAllBytes(file);
    List<byte[]> damaged = new ArrayList<>();
    for (int length = 0; length < whole.length; length += 97) {
      damaged.add(Arrays.copyOf(whole, length));
    }
    damaged.add(Arrays.copyOf(whole, whole.length - 1));
    damaged.add(Arrays.copyOf(whole, whole.length + 64));
    for (int at = 0; at < whole.length; at += 61) {
      byte[] flipped = whole.clone();
      flipped[at] ^= 0x10;
      damaged.add(flipped);
    }
    damaged.add(new byte[whole.length]);
    int unharmed = 0;
    for (byte[] bytes : damaged) {
      Files.write(file, bytes);
      Run run = run();
      assertSame(want, run);
      unharmed += run.packed == 0 ? 1 : 0;
      assertEquals(0, run().packed, "it is repaired");
    }
    // The header's padding and other bytes that nobody reads.
    assertTrue(unharmed < 12, unharmed + " of " + damaged.size() + " passed");
  }

  @Test
  void aFolderThatCannotBeWrittenIsNoFailure() throws IOException {
    Path plain = Files.writeString(folder.resolve("plain"), "no folder");
    WeightsCache nowhere = new WeightsCache(plain.resolve("weights"), 1 << 20, 0);
    assertEquals(3, run(nowhere, "float32", SIZES).packed);
    assertEquals(3, run(nowhere, "float32", SIZES).packed);
    assertEquals(0, nowhere.size());
    assertEquals("no folder", Files.readString(plain));
  }

  @Test
  void aSourceThatIsGoneIsNoFailure() throws IOException {
    try (Arena arena = Arena.ofShared()) {
      PackedWeights weights =
          new PackedWeights(
              arena::allocate, cache, List.of(folder.resolve("gone")), "it", "float32", arena);
      weights.get("norm", 64, target -> {});
      weights.keep();
    }
    assertEquals(0, cache.size());
  }

  @Test
  void manyWritersLeaveOneGoodFile() throws Exception {
    int writers = 8;
    CountDownLatch start = new CountDownLatch(1);
    List<Thread> threads = new ArrayList<>();
    List<Run> runs = new ArrayList<>();
    for (int i = 0; i < writers; i++) {
      threads.add(
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      start.await();
                    } catch (InterruptedException e) {
                      throw new IllegalStateException(e);
                    }
                    for (int n = 0; n < 20; n++) {
                      Run run = run();
                      synchronized (runs) {
                        runs.add(run);
                      }
                    }
                  }));
    }
    start.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(20 * writers, runs.size());
    runs.forEach(run -> assertSame(runs.getFirst(), run));
    assertEquals(0, run().packed);
    assertEquals(1, files().size());
  }

  @Test
  void whatWasUsedLeastRecentlyGoesFirst() throws IOException {
    Instant now = Instant.now();
    List<Path> old = new ArrayList<>();
    for (String name : List.of("a", "b", "c")) {
      run(cache, name, SIZES);
      old.addAll(files().stream().filter(file -> !old.contains(file)).toList());
    }
    long size = cache.size() / 3;
    for (int i = 0; i < 3; i++) {
      Files.setLastModifiedTime(old.get(i), FileTime.from(now.minusSeconds(100 - i)));
    }
    Path abandoned = Files.writeString(cache.folder().resolve(".x.tmp"), "left behind");
    Files.setLastModifiedTime(abandoned, FileTime.from(now.minus(Duration.ofHours(2))));
    Path growing = Files.writeString(cache.folder().resolve(".y.tmp"), "being written");
    Path other = Files.writeString(cache.folder().resolve("README"), "somebody's");
    Files.setLastModifiedTime(other, FileTime.from(now.minus(Duration.ofHours(2))));
    cache = new WeightsCache(cache.folder(), 3 * size + 100, 0);
    assertEquals(3, run().packed);
    assertFalse(Files.exists(old.get(0)), "used least recently");
    assertTrue(Files.exists(old.get(1)) && Files.exists(old.get(2)));
    assertFalse(Files.exists(abandoned));
    assertTrue(Files.exists(growing) && Files.exists(other));
    assertEquals(0, run().packed);
    assertEquals(0, run(cache, "b", SIZES).packed);
    Instant used = Files.getLastModifiedTime(old.get(1)).toInstant();
    assertTrue(used.isAfter(now.minusSeconds(1)), "found is used");
  }

  @Test
  void onlyWhatIsWorthItAndFitsIsKept() {
    cache = new WeightsCache(cache.folder(), 1 << 26, 1 << 16);
    run();
    assertEquals(3, run().packed);
    cache = new WeightsCache(cache.folder(), 4096, 0);
    run();
    assertEquals(3, run().packed);
    assertEquals(0, cache.size());
  }

  @Test
  void theEnvironmentDescribesIt() {
    assertTrue(WeightsCache.of(Map.of("PRECIS_WEIGHTS_CACHE", "off")).isEmpty());
    WeightsCache some =
        WeightsCache.of(Map.of("PRECIS_WEIGHTS_CACHE", "500M", "PRECIS_CACHE_DIR", "/c")).get();
    assertEquals(Path.of("/c/weights"), some.folder());
    assertEquals(500L << 20, some.limit());
    assertEquals(40L << 30, WeightsCache.of(Map.of("PRECIS_WEIGHTS_CACHE", "40g")).get().limit());
    assertEquals(WeightsCache.DEFAULT_LIMIT, WeightsCache.of(Map.of()).get().limit());
    for (String bad : List.of("x", "M", "-1G", "5", "1T")) {
      InvalidInputException e =
          assertThrows(
              InvalidInputException.class,
              () -> WeightsCache.of(Map.of("PRECIS_WEIGHTS_CACHE", bad)));
      assertTrue(e.getMessage().contains("not '" + bad + "'"), e.getMessage());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16", "INT8", "INT4"})
  void aModelFromTheCacheIsTheSame(DType dtype) throws IOException {
    T5.LoadOptions options = new T5.LoadOptions().dtype(dtype).weightsCache(cache);
    GenerationOptions length = GenerationOptions.builder().maxNewTokens(24).build();
    List<int[]> sources = List.of(new int[] {13, 120, 7, 401, 1}, new int[] {88, 1});
    List<List<List<GeneratedTokens>>> all = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      try (T5 t5 = T5.load(Fixtures.folder("t5-tiny"), options)) {
        all.add(t5.generateTokens(sources, length, 2, null));
        t5.useAdapters(List.of(Fixtures.folder("t5-tiny-lora-after20")));
        all.add(t5.generateTokens(sources, length, 2, null));
      }
      assertEquals(1, files().size());
    }
    Path kept = files().getFirst();
    assertTrue(kept.getFileName().toString().startsWith("t5-tiny-" + dtype.name().toLowerCase()));
    for (int i = 0; i < 2; i++) {
      for (int s = 0; s < sources.size(); s++) {
        GeneratedTokens packed = all.get(i).get(s).getFirst();
        GeneratedTokens found = all.get(i + 2).get(s).getFirst();
        assertArrayEquals(packed.tokens(), found.tokens());
        assertEquals(packed.score(), found.score());
      }
    }
  }
}
