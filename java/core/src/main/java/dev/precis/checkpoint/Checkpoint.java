package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.NearestName;
import dev.precis.io.Notes;
import dev.precis.io.PlainPath;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * The weights of a Hugging Face model folder, by name.
 *
 * <p>Files are mapped, not read: opening costs the headers alone, and a tensor's pages come into
 * memory when its data is touched. Everything that a file claims about its tensors is checked when
 * it is opened. Reading is safe from several threads; {@link #close} makes every view unusable and
 * belongs to the one who opened it.
 */
public final class Checkpoint implements AutoCloseable {
  private static final List<String> FILES = List.of("model.safetensors", "pytorch_model.bin");
  private static final String INDEX = ".index.json";
  private static final int NOTED = 4;
  private static final String CONFIG = "config.json";

  private final Path path;
  private final Arena arena = Arena.ofShared();
  private final Map<String, TensorFile> files = new LinkedHashMap<>();
  private final List<TensorFile> opened = new ArrayList<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  /** The tensors' names, and each one's name in its file. */
  private final Map<String, String> stored = new LinkedHashMap<>();

  private final Map<String, Supplier<TensorView>> replacements = new HashMap<>();
  private final Map<String, TensorView> replaced = new ConcurrentHashMap<>();
  private final Map<String, TensorView> views = new ConcurrentHashMap<>();

  private TensorNames resolver; // null: the names are those of the file

  private Checkpoint(Path path) {
    this.path = path;
  }

  /**
   * Opens the first of {@code model.safetensors}, {@code model.safetensors.index.json} with its
   * shards, {@code pytorch_model.bin}, {@code pytorch_model.bin.index.json} with its shards that
   * the folder has. Where its {@code config.json} is that of a model known here, the tensors get
   * the names that transformers gives them, whatever program saved them.
   *
   * @throws InvalidInputException if the folder or its files cannot be used
   * @throws UncheckedIOException if reading fails
   */
  public static Checkpoint open(Path folder) {
    PlainPath.require(folder);
    if (!Files.isDirectory(folder)) {
      throw new InvalidInputException(
          folder
              + (Files.exists(folder) ? " is not a folder" : " does not exist")
              + ": give the folder of a model, with config.json and weights in it");
    }
    return opened(
        folder,
        checkpoint -> {
          checkpoint.addFolder(folder);
          Path config = folder.resolve(CONFIG);
          TensorNames resolver =
              Files.isRegularFile(config) ? TensorNames.of(Json.readObject(config)) : null;
          checkpoint.resolve(resolver);
        });
  }

  private void addFolder(Path folder) {
    for (String name : FILES) {
      if (Files.exists(folder.resolve(name))) {
        addFile(folder.resolve(name));
        return;
      }
      if (Files.exists(folder.resolve(name + INDEX))) {
        addShards(folder, folder.resolve(name + INDEX));
        return;
      }
    }
    throw new InvalidInputException(noWeights(folder));
  }

  /** Gives the tensors the model's names; null: those of the file. */
  private void resolve(TensorNames resolver) {
    this.resolver = resolver;
    if (resolver == null) {
      files.keySet().forEach(name -> stored.put(name, name));
    } else {
      stored.putAll(resolver.resolve(path, files.keySet(), metadata, this::read));
    }
  }

  /**
   * Opens one file: safetensors by its extension, else one of {@code torch.save}.
   *
   * @throws InvalidInputException if it cannot be used
   * @throws UncheckedIOException if reading fails
   */
  public static Checkpoint openFile(Path file) {
    return opened(
        file,
        checkpoint -> {
          checkpoint.addFile(file);
          checkpoint.resolve(null);
        });
  }

  private interface Filling {
    void fill(Checkpoint checkpoint);
  }

  private static Checkpoint opened(Path path, Filling filling) {
    Checkpoint checkpoint = new Checkpoint(path);
    try {
      filling.fill(checkpoint);
      return checkpoint;
    } catch (RuntimeException | Error e) {
      checkpoint.close();
      throw e;
    }
  }

  private void addFile(Path file) {
    TensorFile opened = openTensors(file);
    opened.names().forEach(name -> files.put(name, opened));
    metadata.putAll(opened.metadata());
  }

  private TensorFile openTensors(Path file) {
    try {
      TensorFile tensors =
          file.toString().endsWith(".safetensors")
              ? new SafeTensorsFile(file, arena)
              : new TorchFile(file, arena);
      opened.add(tensors);
      return tensors;
    } catch (InternalError e) {
      throw MappedFile.changed(file); // a page of the mapped file is gone
    }
  }

  private void addShards(Path folder, Path index) {
    JsonObject map = Json.readObject(index).object("weight_map");
    Map<String, TensorFile> shards = new HashMap<>();
    for (String name : map.keys()) {
      TensorFile shard =
          shards.computeIfAbsent(map.text(name), file -> openTensors(shard(folder, index, file)));
      if (!shard.names().contains(name)) {
        throw TensorFile.invalid(
            index,
            "places tensor "
                + name
                + " in "
                + shard.path().getFileName()
                + ", which does not hold it: the files are not of one model");
      }
      files.put(name, shard);
      metadata.putAll(shard.metadata());
    }
    if (files.isEmpty()) {
      throw new InvalidInputException(index + " names no tensors in its \"weight_map\"");
    }
  }

  /**
   * Returns a shard's path. It must be in the folder, or where the hub's cache keeps a snapshot's
   * files.
   */
  private static Path shard(Path folder, Path index, String name) {
    if (name.isEmpty() || name.startsWith(".") || !name.matches("[^/\\\\:\\p{Cntrl}]+")) {
      throw TensorFile.invalid(
          index, "names the shard \"" + name + "\", which is not a plain file name");
    }
    Path shard = folder.resolve(name);
    if (!Files.isRegularFile(shard)) {
      throw TensorFile.invalid(
          index, "names the shard " + name + ", which is missing: finish the download");
    }
    try {
      Path home = folder.toRealPath();
      Path snapshots = home.getParent();
      if (snapshots != null
          && snapshots.endsWith("snapshots")
          && snapshots.getNameCount() > 2
          && snapshots.getParent().getFileName().toString().matches("(models|datasets)--.*")) {
        home = snapshots.getParent().getParent();
      }
      if (!shard.toRealPath().startsWith(home)) {
        throw TensorFile.invalid(
            index, "names the shard " + name + ", which is a link out of the model's folder");
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + shard + ": " + Reason.of(e), e);
    }
    return shard;
  }

  private static String noWeights(Path folder) {
    for (String foreign : List.of("tf_model.h5", "flax_model.msgpack", "model.onnx")) {
      if (Files.exists(folder.resolve(foreign))) {
        return folder
            + " has its weights only as "
            + foreign
            + ", which is not read: convert them to model.safetensors";
      }
    }
    for (String inside : List.of("model", "adapter")) {
      if (Files.exists(folder.resolve(inside))) {
        return "%s has no weights; it looks like the folder of a run, whose %s is %s: give that"
            .formatted(folder, inside, folder.resolve(inside));
      }
    }
    return folder
        + " has no weights: one of model.safetensors and pytorch_model.bin, or its .index.json"
        + " with shards, must be in it";
  }

  /** Returns the folder or the file that was opened. */
  public Path path() {
    return path;
  }

  /** Returns the files that the tensors are in, by name. */
  public List<Path> files() {
    return files.values().stream().map(TensorFile::path).distinct().sorted().toList();
  }

  /** Returns the tensors' names, in the files' order. */
  public Set<String> names() {
    return Collections.unmodifiableSet(stored.keySet());
  }

  /** Returns true if there is a tensor of that name. */
  public boolean contains(String name) {
    return stored.containsKey(name);
  }

  /** Returns the texts that safetensors files carry beside their tensors. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  /**
   * Returns a tensor: read-only, contiguous, little endian, aligned to its element, valid until
   * {@link #close}.
   *
   * @throws InvalidInputException if there is none of that name, or its type is not read
   */
  public TensorView get(String name) {
    Supplier<TensorView> replacement = replacements.get(name);
    if (replacement != null) {
      return replaced.computeIfAbsent(name, _ -> replacement.get());
    }
    String own = stored.get(name);
    if (own == null) {
      String nearest =
          NearestName.of(name, stored.keySet())
              .map(found -> ": the nearest name is " + found)
              .orElseGet(() -> TensorNames.explain(files.keySet()));
      throw TensorFile.invalid(path, "has no tensor " + name + nearest);
    }
    return read(own);
  }

  /**
   * Replaces a tensor, or adds one.
   *
   * @param tensor makes it each time that it is read anew
   */
  void replace(String name, Supplier<TensorView> tensor) {
    stored.putIfAbsent(name, name);
    replacements.put(name, tensor);
  }

  /**
   * Returns the weight of that name, whose elements are all finite.
   *
   * @throws InvalidInputException if there is none, one of its elements is infinite or not a
   *     number, or another program changed the file meanwhile
   */
  public TensorView weight(String name) {
    requireUnchanged();
    TensorView tensor = get(name);
    try {
      FiniteCheck.require(path, tensor);
    } catch (InternalError e) {
      throw MappedFile.changed(path); // a page of the mapped file is gone
    }
    return tensor;
  }

  /**
   * Makes sure that the files are as they were when they were opened.
   *
   * @throws InvalidInputException if another program changed one
   */
  public void requireUnchanged() {
    opened.forEach(TensorFile::requireUnchanged);
  }

  /** Returns true if an adapter replaces the tensor of that name. */
  public boolean replaces(String name) {
    return replacements.containsKey(name);
  }

  /** Returns a tensor as the file has it; one that the file does not have as it was added. */
  public TensorView original(String name) {
    String own = stored.get(name);
    return own != null && files.containsKey(own) ? read(own) : get(name);
  }

  private TensorView read(String own) {
    return views.computeIfAbsent(own, files.get(own)::get);
  }

  /**
   * Says in a note which tensors no part of the model reads, but for those that are known to be
   * harmless.
   *
   * @param used the names of the model's tensors
   */
  public void noteUnused(Set<String> used) {
    List<String> unused =
        stored.keySet().stream()
            .filter(name -> !used.contains(name))
            .filter(name -> resolver == null || !resolver.harmless(name))
            .toList();
    if (!unused.isEmpty()) {
      String some =
          unused.stream().limit(NOTED).map(TensorNames::shown).collect(Collectors.joining(", "));
      String more = unused.size() > NOTED ? " and " + (unused.size() - NOTED) + " more" : "";
      Notes.say(path + " holds " + some + more + ", which this model does not have and ignores");
    }
  }

  /** Returns the tensor of that name if there is one; see {@link #get}. */
  public Optional<TensorView> find(String name) {
    return contains(name) ? Optional.of(get(name)) : Optional.empty();
  }

  /**
   * Drops a tensor's pages from resident memory, once its data was copied or packed. The view stays
   * valid; touching it reads the file again.
   */
  public void release(String name) {
    if (replacements.containsKey(name)) {
      replaced.remove(name);
      return;
    }
    TensorView tensor = get(name);
    if (tensor.data().isMapped()) {
      tensor.data().unload();
    }
  }

  /** Unmaps the files. No view may be in use or be used afterwards. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
