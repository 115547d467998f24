package dev.precis.hub;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/**
 * Downloads models and data sets from the Hugging Face hub into the cache that Python's {@code
 * huggingface_hub} uses, and finds what is in it.
 *
 * <p>An interrupted download continues where it stopped. Contents are checked against their
 * checksums, and get their names only when they are whole; a snapshot's files appear when all of
 * its contents are there. Safe to use from several threads and processes: a content is fetched
 * once, whoever else waits for it.
 */
public final class Hub {
  private static final String DEFAULT_REVISION = "main";

  /**
   * The progress of a download.
   *
   * @param file the file that is being fetched
   * @param done bytes of all files that are there
   * @param total bytes of all files, or -1 where the hub does not tell
   */
  public record Progress(String file, long done, long total) {}

  private final HubConfig config;
  private final HubClient client;
  private final List<HubCache.Linker> linkers;

  /** Makes a hub of any configuration; nothing is sent before the first download. */
  public Hub(HubConfig config) {
    this(config, HubCache.LINKERS);
  }

  Hub(HubConfig config, List<HubCache.Linker> linkers) {
    this.config = config;
    this.client = new HubClient(config);
    this.linkers = linkers;
  }

  /** Returns the addresses of the hub and of its cache. */
  public HubConfig config() {
    return config;
  }

  /**
   * Finds a model that was downloaded before, without asking the hub.
   *
   * @param id such as {@code google/flan-t5-base}
   * @param revision a branch, a tag or a commit; {@code null} for {@code main}
   * @return its folder, where everything that is needed is there
   * @throws InvalidInputException if id or revision is not a possible one
   */
  public Optional<Path> find(String id, String revision) {
    return find(id, RepositoryKind.MODEL, revision);
  }

  /** Finds a repository of either kind; see {@link #find(String, String)}. */
  public Optional<Path> find(String id, RepositoryKind kind, String revision) {
    try {
      return cache(repository(id, kind, revision)).find();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read the cache of " + id + ": " + Reason.of(e), e);
    }
  }

  /**
   * Downloads a model of that name or, where there is none, a data set; see {@link
   * #download(String, RepositoryKind, String, Consumer)}.
   */
  public Path download(String id, String revision, Consumer<Progress> progress) {
    try {
      return download(id, RepositoryKind.MODEL, revision, progress);
    } catch (HubClient.RepositoryNotFound noModel) {
      try {
        return download(id, RepositoryKind.DATASET, revision, progress);
      } catch (HubClient.RepositoryNotFound neither) {
        throw noModel;
      }
    }
  }

  /**
   * Downloads the files of a repository that are needed and not in the cache: of a model
   * configuration, tokenizer and one format of weights, safetensors first; of a data set its
   * tables. Offline ({@code HF_HUB_OFFLINE}) it gives what is in the cache.
   *
   * @param id such as {@code google/flan-t5-base}
   * @param revision a branch, a tag or a commit; {@code null} for {@code main}
   * @param progress called on this thread, often
   * @return the folder of the snapshot in the cache
   * @throws InvalidInputException if the repository does not exist, may not be read, or holds
   *     nothing that is of use
   * @throws UncheckedIOException if network or disk fail; what has arrived is kept, and the next
   *     download continues from there
   */
  public Path download(
      String id, RepositoryKind kind, String revision, Consumer<Progress> progress) {
    Repository repository = repository(id, kind, revision);
    HubCache cache = cache(repository);
    try {
      return config.offline()
          ? cache.find().orElseThrow(() -> notInCache(repository))
          : download(repository, cache, progress);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "Cannot download %s to %s: %s".formatted(repository, config.cache(), Reason.of(e)), e);
    }
  }

  private Path download(Repository repository, HubCache cache, Consumer<Progress> progress)
      throws IOException {
    JsonObject info = client.info(repository);
    String commit = info.text("sha");
    if (!Repository.isCommit(commit)) {
      throw info.wrong("sha", "a commit");
    }
    Map<String, JsonNode> listing = listing(info);
    FileSelection selection =
        FileSelection.of(repository.kind(), listing.keySet())
            .orElseThrow(() -> nothingOfUse(repository, listing));
    BlobDownload download = new BlobDownload(client, cache, repository, commit, config.stall());
    List<RemoteFile> files = new ArrayList<>();
    for (String name : selection.plain()) {
      files.add(remoteFile(repository, commit, name, listing.get(name)));
    }
    if (selection.index().isPresent()) {
      addShards(repository, commit, selection.index().get(), listing, files, cache, download);
    }
    checkSpace(repository, files, download);
    fetchAll(files, download, progress);
    for (RemoteFile file : files) {
      cache.link(commit, file.name(), file.etag());
    }
    cache.writeRef(commit);
    return cache.snapshot(commit);
  }

  /** Adds the shards. The index names them, so it is fetched first. */
  private void addShards(
      Repository repository,
      String commit,
      String index,
      Map<String, JsonNode> listing,
      List<RemoteFile> files,
      HubCache cache,
      BlobDownload download)
      throws IOException {
    RemoteFile remote =
        files.stream().filter(file -> file.name().equals(index)).findFirst().orElseThrow();
    download.fetch(remote, bytes -> {});
    for (String name : FileSelection.shards(cache.blob(remote.etag()))) {
      if (!listing.containsKey(name)) {
        throw new InvalidInputException(
            "%s of %s names the shard \"%s\", which the repository does not have"
                .formatted(index, repository, name.replaceAll("\\p{Cntrl}", "?")));
      }
      files.add(remoteFile(repository, commit, name, listing.get(name)));
    }
  }

  private static Map<String, JsonNode> listing(JsonObject info) {
    Map<String, JsonNode> listing = new HashMap<>();
    for (JsonNode sibling : info.node().path("siblings")) {
      JsonNode name = sibling.path("rfilename");
      if (!name.isString()) {
        throw info.wrong("siblings", "a list of files");
      }
      listing.put(name.stringValue(), sibling);
    }
    return listing;
  }

  /**
   * Describes a file from the listing or, if a mirror's listing lacks it, from the file's address.
   */
  private RemoteFile remoteFile(
      Repository repository, String commit, String name, JsonNode listed) {
    JsonNode lfs = listed.path("lfs");
    String sha256 = lfs.path("sha256").asString("");
    String blobId = listed.path("blobId").asString("");
    if (sha256.matches("[0-9a-f]{64}") && lfs.path("size").canConvertToLong()) {
      return new RemoteFile(
          name, Math.max(-1, lfs.path("size").longValue()), sha256, RemoteFile.Digest.SHA256);
    }
    if (blobId.matches("[0-9a-f]{40}") && listed.path("size").canConvertToLong()) {
      return new RemoteFile(
          name, Math.max(-1, listed.path("size").longValue()), blobId, RemoteFile.Digest.GIT);
    }
    HubClient.Answer answer = client.head(repository, commit, name);
    String etag =
        answer
            .etag()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        config.endpoint() + " gives no ETag for " + name + ": check HF_ENDPOINT"));
    return new RemoteFile(
        name,
        answer.size().orElse(-1L),
        etag,
        etag.matches("[0-9a-f]{64}") ? RemoteFile.Digest.SHA256 : RemoteFile.Digest.NONE);
  }

  private void fetchAll(List<RemoteFile> files, BlobDownload download, Consumer<Progress> progress)
      throws IOException {
    long total = 0;
    for (RemoteFile file : files) {
      total = file.size() < 0 || total < 0 ? -1 : Math.addExact(total, file.size());
    }
    long before = 0;
    for (RemoteFile file : files) {
      long done = before;
      long all = total;
      download.fetch(file, bytes -> progress.accept(new Progress(file.name(), done + bytes, all)));
      before += Math.max(0, file.size());
      progress.accept(new Progress(file.name(), before, total));
    }
  }

  private void checkSpace(Repository repository, List<RemoteFile> files, BlobDownload download)
      throws IOException {
    Files.createDirectories(config.cache());
    long free = Files.getFileStore(config.cache()).getUsableSpace();
    long needed = 0;
    for (RemoteFile file : files) {
      if (file.size() > 0 && !download.isThere(file)) {
        long missing = Math.max(0, file.size() - download.left(file));
        needed = missing > Long.MAX_VALUE - needed ? Long.MAX_VALUE : needed + missing;
      }
    }
    if (needed > free) {
      throw new IOException(
          "%s are needed where %s are free; make room, or set HF_HUB_CACHE to another disk"
              .formatted(gigabytes(needed), gigabytes(free)));
    }
  }

  private static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }

  private InvalidInputException notInCache(Repository repository) {
    return new InvalidInputException(
        "%s, revision %s, is not in %s: unset HF_HUB_OFFLINE to download it"
            .formatted(repository, repository.revision(), config.cache()));
  }

  private static InvalidInputException nothingOfUse(
      Repository repository, Map<String, JsonNode> listing) {
    if (repository.kind() == RepositoryKind.DATASET) {
      return new InvalidInputException(
          repository + " has no .csv, .json, .jsonl, .parquet or .txt file");
    }
    boolean foreign =
        listing.containsKey("tf_model.h5") || listing.containsKey("flax_model.msgpack");
    return new InvalidInputException(
        repository
            + " has no config.json with model.safetensors or pytorch_model.bin, nor a PEFT adapter"
            + (foreign ? ": it is for TensorFlow or Flax only" : ""));
  }

  private static Repository repository(String id, RepositoryKind kind, String revision) {
    return new Repository(id, kind, revision == null ? DEFAULT_REVISION : revision);
  }

  private HubCache cache(Repository repository) {
    return new HubCache(config.cache(), repository, linkers);
  }
}
