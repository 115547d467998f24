package dev.precis.hub;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.hub.FakeHub.Request;
import dev.precis.hub.Hub.Progress;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class HubTest {
  private static final String ID = "org/name";
  private static final String WEIGHTS = "model.safetensors";

  @TempDir Path folder;
  private final FakeHub server = new FakeHub();
  private final List<Progress> progress = new ArrayList<>();

  @BeforeEach
  void fill() {
    byte[] weights = new byte[300_000];
    new Random(7).nextBytes(weights);
    server.files.put("config.json", "{}".getBytes());
    server.files.put("tokenizer.json", "{\"version\":\"1.0\"}".getBytes());
    server.files.put(WEIGHTS, weights);
    server.files.put("pytorch_model.bin", new byte[10]);
    server.files.put("tf_model.h5", new byte[10]);
    server.files.put("README.md", new byte[10]);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private Path cache() {
    return folder.resolve("hub");
  }

  private Path repository() {
    return cache().resolve("models--org--name");
  }

  private HubConfig config(String token, boolean offline, int attempts) {
    return new HubConfig(
        server.endpoint(),
        cache(),
        Optional.ofNullable(token),
        offline,
        Optional.empty(),
        attempts,
        Duration.ofMillis(1),
        Duration.ofSeconds(20));
  }

  private Hub hub() {
    return new Hub(config(null, false, 4));
  }

  private Path download(Hub hub) {
    return hub.download(ID, RepositoryKind.MODEL, null, progress::add);
  }

  private String refusal(Hub hub) {
    return assertThrows(InvalidInputException.class, () -> download(hub)).getMessage();
  }

  private String failure(Hub hub) {
    return assertThrows(UncheckedIOException.class, () -> download(hub)).getMessage();
  }

  private static Set<String> names(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return Set.of();
    }
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(f -> !Files.isDirectory(f))
          .map(f -> folder.relativize(f).toString())
          .collect(Collectors.toSet());
    }
  }

  private void assertWhole(Path snapshot) throws IOException {
    for (String name : names(snapshot)) {
      assertArrayEquals(server.files.get(name), Files.readAllBytes(snapshot.resolve(name)), name);
    }
    assertFalse(names(cache()).stream().anyMatch(n -> n.matches(".*(incomplete|tmp)")));
  }

  @Test
  void laysOutTheCacheAsPythonDoes() throws IOException {
    Path snapshot = download(hub());
    assertEquals(repository().resolve("snapshots").resolve(FakeHub.COMMIT), snapshot);
    assertEquals(Set.of("config.json", "tokenizer.json", WEIGHTS), names(snapshot));
    assertWhole(snapshot);
    assertEquals(FakeHub.COMMIT, Files.readString(repository().resolve("refs/main")));
    String sha256 = FakeHub.digest("SHA-256", server.files.get(WEIGHTS));
    assertEquals(
        Path.of("../../blobs/" + sha256), Files.readSymbolicLink(snapshot.resolve(WEIGHTS)));
    // git hash-object of a file that holds "{}"
    assertEquals(
        Path.of("../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b"),
        Files.readSymbolicLink(snapshot.resolve("config.json")));
  }

  @Test
  void fetchesNothingTwice() {
    Path snapshot = download(hub());
    server.requests.clear();
    assertEquals(snapshot, download(hub()));
    assertEquals(0, server.count("GET", "/resolve/"));
    assertEquals(Optional.of(snapshot), hub().find(ID, null));
    assertEquals(1, server.requests.size(), "finding asks nobody");
  }

  @Test
  void reportsProgress() {
    download(hub());
    long total = server.files.get(WEIGHTS).length + 2 + 17;
    assertEquals(total, progress.getLast().done());
    assertTrue(progress.stream().allMatch(p -> p.total() == total));
    assertTrue(progress.stream().anyMatch(p -> p.file().equals(WEIGHTS) && p.done() < total));
    for (int i = 1; i < progress.size(); i++) {
      assertTrue(progress.get(i).done() >= progress.get(i - 1).done());
    }
  }

  @ParameterizedTest
  @CsvSource({"main, main", "v1.0, v1.0", "refs/pr/1, refs%2Fpr%2F1"})
  void takesBranchesAndTags(String revision, String encoded) throws IOException {
    Path snapshot = hub().download(ID, RepositoryKind.MODEL, revision, progress::add);
    assertEquals(FakeHub.COMMIT, snapshot.getFileName().toString());
    assertEquals(1, server.count("GET", "/revision/" + encoded));
    assertEquals(FakeHub.COMMIT, Files.readString(repository().resolve("refs").resolve(revision)));
    assertEquals(Optional.of(snapshot), hub().find(ID, revision));
    assertEquals(Optional.of(snapshot), hub().find(ID, FakeHub.COMMIT));
    assertEquals(Optional.empty(), hub().find(ID, "other"));
  }

  @Test
  void takesCommits() throws IOException {
    hub().download(ID, RepositoryKind.MODEL, FakeHub.COMMIT, progress::add);
    assertFalse(Files.exists(repository().resolve("refs")), "a commit needs no name");
  }

  @Test
  void namesAnUnknownRevision() {
    String message =
        assertThrows(
                InvalidInputException.class,
                () -> hub().download(ID, RepositoryKind.MODEL, "v9", progress::add))
            .getMessage();
    assertTrue(message.contains("has no revision \"v9\""), message);
  }

  @Test
  void continuesAfterACutConnection() throws IOException {
    server.cut = 120_000;
    assertWhole(download(hub()));
    List<Integer> starts =
        storageRequests()
            .map(r -> r == null ? 0 : Integer.parseInt(r.replaceAll("\\D", "")))
            .toList();
    assertTrue(starts.size() >= 3, starts.toString());
    // The network decides how much of the data sent before a cut still arrives.
    for (int i = 1; i < starts.size(); i++) {
      assertTrue(
          starts.get(i) > starts.get(i - 1) && starts.get(i) <= starts.get(i - 1) + 120_000,
          starts.toString());
    }
  }

  /** The ranges asked of the storage host; null for everything. */
  private Stream<String> storageRequests() {
    return server.requests.stream().filter(r -> r.host().equals("storage")).map(Request::range);
  }

  @Test
  void continuesInALaterRun() throws IOException {
    server.cut = 100_000;
    String message = failure(new Hub(config(null, false, 1)));
    assertTrue(message.contains(WEIGHTS) && message.contains("start again"), message);
    String etag = server.etag(WEIGHTS);
    long arrived = Files.size(repository().resolve("blobs/" + etag + ".incomplete"));
    assertTrue(arrived > 0 && arrived <= 100_000, "" + arrived);
    assertFalse(Files.exists(repository().resolve("blobs/" + etag)));
    assertFalse(Files.exists(repository().resolve("snapshots")));
    assertFalse(Files.exists(repository().resolve("refs")));
    assertEquals(Optional.empty(), hub().find(ID, null));
    server.cut = -1;
    server.requests.clear();
    assertWhole(download(hub()));
    assertEquals("bytes=" + arrived + "-", storageRequests().findFirst().orElseThrow());
  }

  @Test
  void startsAgainWhereTheServerCannotContinue() throws IOException {
    leave(Files.readAllBytes(weightsFile()), 1000);
    server.ignoresRange = true;
    assertWhole(download(hub()));
  }

  private Path weightsFile() throws IOException {
    return Files.write(folder.resolve("weights"), server.files.get(WEIGHTS));
  }

  /** Leaves the first bytes of a content as an interrupted download does. */
  private void leave(byte[] content, int length) throws IOException {
    Files.createDirectories(repository().resolve("blobs"));
    Files.write(
        repository().resolve("blobs/" + server.etag(WEIGHTS) + ".incomplete"),
        Arrays.copyOf(content, length));
  }

  @ParameterizedTest
  @ValueSource(ints = {1000, 300_000, 400_000})
  void startsAgainWhereTheBeginningIsDamaged(int length) throws IOException {
    leave(new byte[0], length);
    assertWhole(download(hub()));
  }

  @ParameterizedTest
  @ValueSource(strings = {WEIGHTS, "config.json"})
  void throwsAwayWhatHasTheWrongChecksum(String name) throws IOException {
    server.falsified = name;
    String message = failure(hub());
    assertTrue(message.contains(name) && message.contains("checksum"), message);
    assertFalse(
        names(repository().resolve("blobs")).stream().anyMatch(n -> n.contains(server.etag(name))));
    assertFalse(Files.exists(repository().resolve("snapshots")));
  }

  @Test
  void repairsABlobOfTheWrongSize() throws IOException {
    Files.createDirectories(repository().resolve("blobs"));
    Files.write(repository().resolve("blobs/" + server.etag(WEIGHTS)), new byte[7]);
    assertWhole(download(hub()));
  }

  @Test
  void sendsTheTokenToTheHubAlone() throws IOException {
    server.token = "hf_secret";
    assertWhole(download(new Hub(config("hf_secret", false, 1))));
    assertTrue(server.requests.stream().anyMatch(r -> r.host().equals("storage")));
    for (Request request : server.requests) {
      assertEquals(
          request.host().equals("storage") ? null : "Bearer hf_secret", request.authorization());
    }
    assertFalse(config("hf_secret", false, 1).toString().contains("secret"));
  }

  @ParameterizedTest
  @CsvSource({
    "401, , , set HF_TOKEN if it is private",
    "401, RepoNotFound, , set HF_TOKEN if it is private",
    "404, RepoNotFound, hf_x, the token in use is valid",
    "401, GatedRepo, , accept its conditions at",
    "403, GatedRepo, hf_x, accept its conditions at",
    "403, , hf_x, the token in use has no right to it",
    "403, , , set HF_TOKEN",
  })
  void saysWhatToDoAboutARefusal(int status, String code, String token, String advice) {
    server.errorStatus = status;
    server.errorCode = code;
    String message = refusal(new Hub(config(token, false, 3)));
    assertTrue(message.contains("org/name") && message.contains(advice), message);
    assertEquals(1, message.lines().count());
    assertEquals(1, server.requests.size(), "a refusal is not tried again");
  }

  @ParameterizedTest
  @ValueSource(ints = {408, 429, 500, 502, 503, 504})
  void triesAgainWhatMayPass(int status) throws IOException {
    server.errorStatus = status;
    server.errors = 3;
    assertWhole(download(hub()));
  }

  @Test
  void givesUpInTheEnd() {
    server.errorStatus = 503;
    String message = failure(hub());
    assertTrue(message.contains("answers 503"), message);
    assertEquals(4, server.requests.size());
  }

  @Test
  void doesNotWaitForASilentServer() throws IOException {
    server.cut = 200_000;
    server.stall = 20_000;
    HubConfig config = config(null, false, 4);
    Hub hub =
        new Hub(
            new HubConfig(
                config.endpoint(),
                config.cache(),
                config.token(),
                false,
                Optional.empty(),
                4,
                config.pause(),
                Duration.ofMillis(400)));
    long start = System.nanoTime();
    assertWhole(download(hub));
    assertTrue(System.nanoTime() - start < 10_000_000_000L, "it waited for the server");
  }

  @Test
  void saysThatNobodyIsThere() {
    server.close();
    String message = failure(hub());
    assertTrue(message.contains(server.endpoint() + " failed: it takes no connection"), message);
    assertTrue(message.contains("HF_ENDPOINT"), message);
  }

  @Test
  void saysThatTheDiskRefuses() throws IOException {
    Files.writeString(cache(), "a file where the cache should be");
    String message = failure(hub());
    assertTrue(message.contains(cache().toString()), message);
    assertFalse(message.contains("Exception"), message);
  }

  @Test
  void worksOfflineFromTheCache() {
    Hub offline = new Hub(config(null, true, 1));
    assertTrue(refusal(offline).contains("unset HF_HUB_OFFLINE"));
    assertEquals(0, server.requests.size());
    Path snapshot = download(hub());
    server.requests.clear();
    assertEquals(snapshot, download(offline));
    assertEquals(0, server.requests.size());
  }

  @Test
  void doesNotFindWhatIsIncomplete() throws IOException {
    Path snapshot = download(hub());
    Files.delete(snapshot.resolve(WEIGHTS).toRealPath());
    assertEquals(Optional.empty(), hub().find(ID, null));
    assertWhole(download(hub()));
    assertEquals(Optional.of(snapshot), hub().find(ID, null));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../../../../outside.csv",
        "/outside.csv",
        "a/../../outside.csv",
        "a//b.csv",
        "./a.csv",
        "a\\..\\b.csv",
        "c:/b.csv"
      })
  void refusesNamesThatLeaveTheFolder(String name) throws IOException {
    asDataset();
    server.files.put(name, new byte[3]);
    String message =
        assertThrows(
                InvalidInputException.class,
                () -> hub().download(ID, RepositoryKind.DATASET, null, progress::add))
            .getMessage();
    assertTrue(message.contains("does not stay in its folder"), message);
    assertEquals(0, server.count("GET", "/resolve/"));
    assertEquals(Set.of(), names(folder));
  }

  private void asDataset() {
    server.api = "/api/datasets/org/name";
    server.page = "/datasets/org/name";
  }

  @Test
  void downloadsTheTablesOfDataSets() throws IOException {
    asDataset();
    server.files.clear();
    server.files.put("data/train 1.csv", "id\n".getBytes());
    server.files.put("data/empty.jsonl", new byte[0]);
    server.files.put("README.md", new byte[3]);
    Path snapshot = hub().download(ID, null, progress::add);
    assertEquals(Set.of("data/train 1.csv", "data/empty.jsonl"), names(snapshot));
    assertWhole(snapshot);
    assertTrue(snapshot.startsWith(cache().resolve("datasets--org--name")));
    assertEquals(
        Path.of("../../../blobs/" + server.etag("data/train 1.csv")),
        Files.readSymbolicLink(snapshot.resolve("data/train 1.csv")));
    assertEquals(Optional.of(snapshot), hub().find(ID, RepositoryKind.DATASET, null));
    assertEquals(Optional.empty(), hub().find(ID, null), "it is no model");
  }

  @Test
  void namesWhatIsNeitherModelNorDataSet() {
    server.page = server.api = "/elsewhere";
    assertTrue(
        assertThrows(InvalidInputException.class, () -> hub().download(ID, null, progress::add))
            .getMessage()
            .contains("check the name"));
    assertEquals(2, server.requests.size());
  }

  @Test
  void fetchesTheShardsThatTheIndexNames() throws IOException {
    server.files.remove(WEIGHTS);
    server.files.put(
        WEIGHTS + ".index.json",
        "{'weight_map':{'a':'one.safetensors','b':'two.safetensors','c':'one.safetensors'}}"
            .replace('\'', '"')
            .getBytes());
    server.files.put("one.safetensors", new byte[] {1, 2, 3});
    server.files.put("two.safetensors", new byte[] {4});
    server.files.put("three.safetensors", new byte[] {5});
    Path snapshot = download(hub());
    assertEquals(
        Set.of(
            "config.json",
            "tokenizer.json",
            WEIGHTS + ".index.json",
            "one.safetensors",
            "two.safetensors"),
        names(snapshot));
    assertWhole(snapshot);
    Files.delete(snapshot.resolve("two.safetensors"));
    assertEquals(Optional.empty(), hub().find(ID, null), "a shard is missing");
  }

  @Test
  void refusesShardsThatAreNotListed() {
    server.files.remove(WEIGHTS);
    server.files.put(
        WEIGHTS + ".index.json", "{\"weight_map\":{\"a\":\"../../config.json\"}}".getBytes());
    String message = refusal(hub());
    assertTrue(message.contains("\"../../config.json\""), message);
    assertFalse(Files.exists(repository().resolve("snapshots")));
  }

  @Test
  void fetchesAdapters() throws IOException {
    server.files.clear();
    server.files.put("adapter_config.json", "{}".getBytes());
    server.files.put("adapter_model.bin", new byte[] {1});
    server.files.put("training_args.bin", new byte[] {2});
    assertEquals(Set.of("adapter_config.json", "adapter_model.bin"), names(download(hub())));
  }

  @Test
  void saysThatThereIsNothingOfUse() {
    server.files.remove(WEIGHTS);
    server.files.remove("pytorch_model.bin");
    server.files.remove("tf_model.h5");
    assertFalse(refusal(hub()).contains("Flax"));
    server.files.put("flax_model.msgpack", new byte[1]);
    assertTrue(refusal(hub()).contains("TensorFlow or Flax only"));
  }

  /** Mirrors that list names alone are asked about each file. */
  @Test
  void asksAboutFilesThatTheListingDoesNotDescribe() throws IOException {
    server.tellsNothing = true;
    Path snapshot = download(hub());
    assertWhole(snapshot);
    assertEquals(3, server.count("HEAD", "/resolve/"));
    assertEquals(
        Path.of("../../blobs/" + server.etag(WEIGHTS)),
        Files.readSymbolicLink(snapshot.resolve(WEIGHTS)));
  }

  @Test
  void looksForRoomFirst() throws IOException {
    server.claimedSize = 1L << 60;
    String message = failure(hub());
    assertTrue(message.contains("GB are needed") && message.contains("HF_HUB_CACHE"), message);
    assertEquals(0, server.count("GET", "/resolve/"));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void doesWithoutSymbolicLinks(int working) throws IOException {
    List<HubCache.Linker> linkers = new ArrayList<>();
    for (int i = 0; i < working; i++) {
      linkers.add(
          (link, blob) -> {
            throw new UnsupportedOperationException("no links here");
          });
    }
    linkers.add(HubCache.LINKERS.get(working));
    Path snapshot = download(new Hub(config(null, false, 1), linkers));
    assertWhole(snapshot);
    assertFalse(Files.isSymbolicLink(snapshot.resolve(WEIGHTS)));
    assertEquals(Optional.of(snapshot), hub().find(ID, null));
  }

  @Test
  void fetchesOnceForManyThreads() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      CountDownLatch together = new CountDownLatch(1);
      List<Future<Path>> downloads = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        downloads.add(
            threads.submit(
                () -> {
                  together.await();
                  return hub().download(ID, RepositoryKind.MODEL, null, p -> {});
                }));
      }
      together.countDown();
      for (Future<Path> one : downloads) {
        one.get(30, TimeUnit.SECONDS);
      }
      assertWhole(downloads.getFirst().get());
    }
    assertEquals(3, server.count("GET", "/resolve/"));
  }

  @Test
  void waitsForOtherProcesses() throws Exception {
    Path lock = cache().resolve(".locks/models--org--name/" + server.etag(WEIGHTS) + ".lock");
    Process other =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                LockHolder.class.getName(),
                lock.toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
      assertEquals("locked", other.inputReader(StandardCharsets.UTF_8).readLine());
      Future<Path> download =
          thread.submit(() -> hub().download(ID, RepositoryKind.MODEL, null, p -> {}));
      Thread.sleep(300);
      assertFalse(download.isDone());
      assertEquals(0, server.count("GET", WEIGHTS));
      other.getOutputStream().close();
      assertWhole(download.get(30, TimeUnit.SECONDS));
    } finally {
      other.destroy();
    }
  }

  @Test
  void endsWhenInterrupted() throws Exception {
    server.cut = 1000;
    server.stall = 20_000;
    Thread thread =
        Thread.ofVirtual()
            .start(() -> assertThrows(UncheckedIOException.class, () -> download(hub())));
    while (server.count("GET", WEIGHTS) < 2) {
      Thread.sleep(5);
    }
    thread.interrupt();
    assertTrue(thread.join(Duration.ofSeconds(10)));
  }

  @Test
  void goesThroughAProxy() throws IOException {
    HubConfig direct = config(null, false, 1);
    HubConfig proxied =
        new HubConfig(
            URI.create("http://hub.invalid"),
            direct.cache(),
            Optional.of("hf_x"),
            false,
            Optional.of(ProxySelector.of(new InetSocketAddress("127.0.0.1", server.port()))),
            1,
            direct.pause(),
            direct.stall());
    server.files.keySet().removeIf(FakeHub::isLarge);
    assertTrue(refusal(new Hub(proxied)).contains("has no config.json"));
    assertEquals("hub.invalid", server.requests.getFirst().host());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "/",
        "a/b/c",
        "../x",
        "x/..",
        "a b",
        "a/",
        "/a",
        "a--b",
        "x.git",
        ".x",
        "-x",
        "a/b?c",
        "a\u00e9/b",
        "http://x/y",
        "a%2fb",
        "x."
      })
  void refusesImpossibleIds(String id) {
    assertTrue(
        assertThrows(InvalidInputException.class, () -> hub().find(id, null))
            .getMessage()
            .contains("is not a hub id"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "..", "a/../b", "/a", "a/", "a b", "a?b", "a\\b", "a//b"})
  void refusesImpossibleRevisions(String revision) {
    assertTrue(
        assertThrows(InvalidInputException.class, () -> hub().find("org/name", revision))
            .getMessage()
            .contains("is not a revision"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpt2", "google/flan-t5-base", "A1/b_c.d-e", "0x/1.0"})
  void takesPossibleIds(String id) {
    assertEquals(Optional.empty(), hub().find(id, null));
  }
}
